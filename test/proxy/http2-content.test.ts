// What becomes of the content of a request of HTTP/2 while its exchange takes it, does not, or has none.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import type { Exchange } from '../../src/proxy/exchange.ts';
import { Http2Content } from '../../src/proxy/http2-content.ts';

/** Content of a request, its exchange as far as content knows it, and what it was given and told in order. */
function newContent() {
  const seen: string[] = [];
  const exchange = {
    active: true,
    wantsBody: true,
    onRequestBody: (buffer: Buffer, start: number, end: number) =>
      seen.push(buffer.toString('latin1', start, end)),
    onRequestEnd: (trailers: string) => seen.push(`end ${trailers}`),
  };
  const content = new Http2Content(exchange as unknown as Exchange, {
    consume: (bytes) => seen.push(`window ${bytes}`),
  });
  const send = (text: string): void => content.onData(Buffer.from(`<${text}>`), 1, text.length + 1);
  return { content, exchange, seen, send };
}

describe('content of a request of HTTP/2', () => {
  it('goes to its exchange, and its window opens', () => {
    const { content, seen, send } = newContent();
    content.begin(false);
    send('abc');
    content.onEnd('T: 1\r\n');
    assert.deepEqual(seen, ['abc', 'window 3', 'end T: 1\r\n']);
  });

  it('waits with its window shut while the exchange does not want it, and keeps its order and its end', () => {
    const { content, exchange, seen, send } = newContent();
    content.begin(false);
    exchange.wantsBody = false;
    send('ab');
    content.resume();
    exchange.wantsBody = true;
    send('cde');
    content.onEnd('');
    assert.deepEqual(seen, []);
    content.resume();
    assert.deepEqual(seen, ['abcde', 'window 5', 'end ']);
    content.resume();
    assert.equal(seen.length, 3);
  });

  it('is dropped, and its window opens, once there is an answer', () => {
    const { content, exchange, seen, send } = newContent();
    content.begin(false);
    exchange.active = false;
    send('abc');
    content.onEnd('');
    assert.deepEqual(seen, ['window 3']);
  });

  it('of a handshake waits for the tunnel, whatever the exchange wants', () => {
    const { content, seen, send } = newContent();
    content.begin(true);
    send('abc');
    content.onEnd('');
    content.resume();
    assert.deepEqual(seen, []);
    assert.equal(content.take()?.toString(), 'abc');
    assert.equal(content.take(), null);
    assert.equal(content.ended, true);
  });

  it('of one request is nothing of the next', () => {
    const { content, exchange, seen, send } = newContent();
    content.begin(true);
    send('abc');
    content.onEnd('T: 1\r\n');
    content.begin(false);
    assert.equal(content.ended, false);
    exchange.wantsBody = true;
    send('de');
    assert.deepEqual(seen, ['de', 'window 2']);
  });
});
