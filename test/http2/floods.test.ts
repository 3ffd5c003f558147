// What a peer may do only so often: each flood ends the connection with a reason of its own, each honest use does not.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { CONNECTION_FAILURES, errorCodeOf } from '../../src/http2/failures.ts';
import { type Driven, driveClient, driveServer } from './drive.ts';
import {
  block,
  continuation,
  data,
  frame,
  GET,
  headers,
  POST,
  ping,
  priority,
  reset,
  settings,
  settingsAck,
  windowUpdate,
} from './frames.ts';

const failureOf = ({ recorder }: Driven): string => recorder.failure;

/** Answers each request, so that its stream ends orderly. */
function answering(driven: Driven, text = ''): Driven {
  driven.recorder.onRequest = (stream) => {
    const encoder = driven.connection.beginHead(stream);
    encoder.status(204);
    encoder.field('x-text', text);
    driven.connection.endHead(true);
  };
  return driven;
}

/** Too long for the table, so that every answer is. */
const LONG = 'x'.repeat(1500);

/** What is repeated, by its number. */
const FLOODS: Readonly<Record<string, (i: number) => readonly Buffer[]>> = {
  // CVE-2023-44487.
  'reset-flood': (i) => [headers(2 * i + 1, GET), reset(2 * i + 1, 8)],
  // CVE-2025-8671: the server is made to reset.
  'provoked-reset-flood': (i) => [headers(2 * i + 1, POST, false), windowUpdate(2 * i + 1, 0)],
  'closed-stream-flood': (i) => (i === 0 ? [headers(1, POST, false), reset(1, 8)] : [reset(1, 8)]),
  'empty-frame-flood': (i) => (i === 0 ? [headers(1, POST, false)] : [data(1, '')]),
  'ping-flood': () => [ping()],
  'settings-flood': () => [settings()],
  'priority-flood': (i) => [priority(2 * i + 1)],
  'window-update-flood': () => [windowUpdate(0, 1)],
  'unknown-frame-flood': () => [frame(0x42, 0, 0)],
  'table-resize-flood': (i) => [
    frame(
      1,
      5,
      2 * i + 1,
      Buffer.concat([Buffer.from(i % 2 === 0 ? [0x20] : [0x3f, 0xe1, 0x1f]), block(...GET)]),
    ),
  ],
};

describe('a flood', () => {
  for (const [failure, frames] of Object.entries(FLOODS)) {
    it(`ends the connection as ${failure}`, () => {
      const driven = driveServer();
      let i = 0;
      for (; i < 3000 && failureOf(driven) === ''; i++) driven.send(...frames(i));
      assert.equal(failureOf(driven), failure);
      assert.match(driven.recorder.log.lines.at(-1)!, new RegExp(`^GOAWAY \\d+ 11 ${failure}$`));
      assert.ok(i > 10, 'not at once');
    });

    it(`is none when ${failure.replace('-flood', '')} come a few at a time`, () => {
      const driven = driveServer();
      for (let i = 0; i < 600; i++) {
        driven.nowMs += 1100;
        driven.send(...frames(i));
      }
      assert.equal(failureOf(driven), '');
    });
  }

  it('of resets in the open is none while as many requests are completed', () => {
    const driven = answering(driveServer());
    for (let i = 0; i < 500; i++) {
      const id = 4 * i + 1;
      driven.send(headers(id, GET), headers(id + 2, POST, false), reset(id + 2, 8));
    }
    assert.equal(failureOf(driven), '');
  });

  it('of malformed requests counts as provoked resets', () => {
    const driven = driveServer();
    for (let i = 0; i < 1000 && failureOf(driven) === ''; i++)
      driven.send(headers(2 * i + 1, [...GET, ['connection', 'close']]));
    assert.equal(failureOf(driven), 'provoked-reset-flood');
  });

  it('of streams above the limit counts as provoked resets', () => {
    const driven = driveServer({ maxStreams: 1 });
    for (let i = 0; i < 1000 && failureOf(driven) === ''; i++) driven.send(headers(2 * i + 1, POST, false));
    assert.equal(failureOf(driven), 'provoked-reset-flood');
  });

  // CVE-2024-27316.
  it('of small CONTINUATION frames', () => {
    const driven = driveServer();
    driven.send(frame(1, 1, 1, block(...GET)));
    for (let i = 0; i < 100; i++) driven.send(continuation(1, 'x', false));
    assert.equal(failureOf(driven), 'continuation-flood');
  });

  it('of large CONTINUATION frames ends before they are held', () => {
    const driven = driveServer();
    driven.send(frame(1, 1, 1, block(...GET)));
    let i = 0;
    for (; i < 100 && failureOf(driven) === ''; i++) driven.send(continuation(1, Buffer.alloc(16384), false));
    assert.equal(failureOf(driven), 'header-block-too-large');
    assert.ok(i < 8);
  });

  it('of window updates by one byte, each of which could release a frame of one byte', () => {
    const driven = driveServer();
    driven.send(settings([4, 0]), headers(1, GET));
    const body = Buffer.alloc(100_000);
    driven.recorder.onMore = (stream) => driven.connection.sendData(stream, body, 0, body.length, false);
    driven.recorder.onMore(driven.recorder.streams.get(1)!);
    let i = 0;
    for (; i < 5000 && failureOf(driven) === ''; i++) driven.send(windowUpdate(1, 1));
    assert.equal(failureOf(driven), 'small-window-flood');
    assert.ok(i > 500);
  });

  it('of window updates is none when each answers a DATA frame', () => {
    const driven = driveServer();
    driven.send(settings([4, 16384]), headers(1, GET));
    const body = Buffer.alloc(16384 * 3);
    driven.recorder.onMore = (stream) => driven.connection.sendData(stream, body, 0, body.length, false);
    driven.recorder.onMore(driven.recorder.streams.get(1)!);
    for (let i = 0; i < 600; i++) driven.send(windowUpdate(1, 16384), windowUpdate(0, 16384), ping());
    assert.equal(failureOf(driven), '');
  });

  it('of answers that nobody reads ends when too many wait', () => {
    const driven = answering(driveServer(), LONG);
    driven.connection.congested = true;
    for (let i = 0; i < 300 && failureOf(driven) === ''; i++) driven.send(headers(2 * i + 1, GET));
    assert.equal(failureOf(driven), 'output-unread');
  });

  it('of answers is none while they are read', () => {
    const driven = answering(driveServer(), LONG);
    for (let i = 0; i < 300; i++) {
      driven.connection.congested = i % 2 === 0;
      driven.send(headers(2 * i + 1, GET));
    }
    assert.equal(failureOf(driven), '');
  });

  it('of settings acknowledgements counts as settings', () => {
    const driven = driveServer();
    for (let i = 0; i < 1000 && failureOf(driven) === ''; i++) driven.send(settingsAck);
    assert.equal(failureOf(driven), 'settings-flood');
  });
});

/** Content of 64 bytes each, as much as a window of 64 KiB and its frames hold. */
const inFlight = (id: number): Buffer =>
  Buffer.concat(Array.from({ length: 1023 }, () => data(id, 'x'.repeat(64))));

describe('what was in flight when we reset a stream', () => {
  it('is no flood of the target: content, the end of it, its own reset', () => {
    const driven = driveClient();
    const { connection } = driven;
    driven.send(settings());
    // All at once, as when a time is over for all of them: more than are remembered.
    const streams = Array.from({ length: 400 }, () => {
      if (!connection.canOpen) driven.send(settings([3, 1000]));
      const stream = connection.open('GET', null)!;
      connection.beginHead(stream).request('GET', 'http', 'h', '/', '');
      connection.endHead(true);
      return stream;
    });
    const ids = streams.map(({ id }) => id);
    for (const stream of streams) connection.reset(stream, 8);
    driven.send(headers(1, [[':status', '200']], false), inFlight(1), headers(1, [['x-trailer', 'v']]));
    for (const id of ids.slice(1)) {
      driven.send(
        headers(id, [[':status', '200']], false),
        data(id, 'x'),
        headers(id, [['x-trailer', 'v']]),
        reset(id, 0),
      );
    }
    assert.equal(driven.recorder.failure, '');
  });

  it('is no flood of the client, whose call was answered early', () => {
    const driven = driveServer();
    for (let i = 0; i < 200; i++) {
      const id = 2 * i + 1;
      driven.send(headers(id, POST, false));
      assert.equal(failureOf(driven), '');
      driven.connection.reset(driven.recorder.streams.get(id)!, 0);
      driven.send(i === 0 ? inFlight(id) : data(id, 'x'), data(id, '', true), reset(id, 8));
    }
    assert.equal(failureOf(driven), '');
  });

  it('is no flood of the client, whose request was malformed or above the limit', () => {
    const driven = answering(driveServer({ maxStreams: 1 }));
    driven.send(headers(1, [...POST, ['connection', 'close']], false), inFlight(1));
    driven.send(headers(3, POST, false), headers(5, POST, false), inFlight(5));
    assert.equal(failureOf(driven), '');
  });

  it('is a flood when it is more than our windows let the peer send', () => {
    const driven = driveServer();
    driven.send(headers(1, POST, false));
    driven.connection.reset(driven.recorder.streams.get(1)!, 0);
    let i = 0;
    for (; i < 200 && failureOf(driven) === ''; i++) driven.send(inFlight(1));
    assert.equal(failureOf(driven), 'closed-stream-flood');
  });

  it('is a flood when it is empty', () => {
    const driven = driveServer();
    driven.send(headers(1, POST, false));
    driven.connection.reset(driven.recorder.streams.get(1)!, 0);
    for (let i = 0; i < 1000 && failureOf(driven) === ''; i++) driven.send(data(1, ''));
    assert.match(failureOf(driven), /^(closed-stream|empty-frame)-flood$/);
  });
});

it('resets of streams that have just ended in order are no flood: one for each may have been on its way', () => {
  const client = driveClient();
  client.send(settings());
  const server = answering(driveServer());
  for (let i = 0; i < 700; i++) {
    const stream = client.connection.open('GET', null)!;
    client.connection.beginHead(stream).request('GET', 'http', 'example.com', '/', '');
    client.connection.endHead(true);
    // As a target says that has not read the end of the request.
    client.send(headers(stream.id, [[':status', '401']]), reset(stream.id, 0));
    server.send(headers(2 * i + 1, GET), reset(2 * i + 1, 8));
  }
  assert.equal(client.recorder.failure, '');
  assert.equal(failureOf(server), '');
});

it('answers that must be refused are no flood of the target: each of them has had its request', () => {
  const driven = driveClient();
  driven.send(settings());
  for (let i = 0; i < 300; i++) {
    const stream = driven.connection.open('GET', null)!;
    driven.connection.beginHead(stream).request('GET', 'http', 'h', '/', '');
    driven.connection.endHead(true);
    driven.send(
      i % 2 === 0
        ? headers(stream.id, [
            [':status', '200'],
            ['connection', 'close'],
          ])
        : windowUpdate(stream.id, 0),
    );
  }
  assert.equal(driven.recorder.failure, '');
});

it('every flood asks for calm', () => {
  const floods = CONNECTION_FAILURES.filter((failure) => failure.endsWith('-flood'));
  assert.ok(floods.length > 8);
  for (const flood of floods) assert.equal(errorCodeOf(flood), 11);
});
