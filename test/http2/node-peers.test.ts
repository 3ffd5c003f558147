// The codec in both roles against node:http2, which is nghttp2, over real sockets.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { ResponseHead } from '../../src/http1/response-head.ts';
import { attach, ClientEnd, type Listening, listen, type Message, type TestStream } from './endpoint.ts';

interface Answer {
  readonly headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader;
  readonly trailers: http2.IncomingHttpHeaders;
  readonly body: string;
}

async function ask(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body: Buffer | null,
): Promise<Answer> {
  const stream = session.request(headers, { endStream: body === null });
  const answer = { headers: {}, trailers: {}, body: '' };
  stream.on('response', (received) => Object.assign(answer.headers, received));
  stream.on('trailers', (received) => Object.assign(answer.trailers, received));
  stream.setEncoding('latin1');
  stream.on('data', (text: string) => {
    answer.body += text;
  });
  if (body !== null) stream.end(body);
  await once(stream, 'close');
  return answer as Answer;
}

describe('the server role with a client of node:http2', () => {
  let server: Listening;
  let session: http2.ClientHttp2Session;

  before(async () => {
    server = await listen((end) => {
      end.onMessage = (stream, message) => {
        const { head } = stream;
        const status = Number(head.query || 200);
        end.answer(
          stream,
          status,
          `Content-Type: text/plain\r\nX-Request: ${head.method} ${head.target} ${head.host}\r\nX-Cookie: ${head.findName('cookie') < 0 ? '' : head.value(head.findName('cookie'))}\r\n`,
          Buffer.from(message.body.toUpperCase(), 'latin1'),
          `x-length: ${message.body.length}\r\n${message.trailers}`,
        );
      };
    });
    session = http2.connect(`http://127.0.0.1:${server.port}`);
    session.on('error', () => {});
    await once(session, 'connect');
  });

  after(async () => {
    session.destroy();
    await server.close();
  });

  it('answers requests one after the other, whose fields come from its tables', async () => {
    for (let i = 0; i < 5; i++) {
      const { headers, body, trailers } = await ask(
        session,
        { ':path': `/a/${i}`, cookie: ['a=1', 'b=2'], 'x-same': 'again and again' },
        null,
      );
      assert.equal(headers[':status'], 200);
      assert.equal(headers['x-request'], `GET /a/${i} 127.0.0.1`);
      assert.equal(headers['x-cookie'], 'a=1; b=2');
      assert.equal(body, '');
      assert.equal(trailers['x-length'], '0');
    }
  });

  it('takes and sends bodies larger than every window, many at once', async () => {
    const bodies = Array.from({ length: 10 }, (_, i) => Buffer.alloc(150_000 + i, 'abcdefghijk'));
    const answers = await Promise.all(
      bodies.map((body, i) => ask(session, { ':path': `/${i}`, ':method': 'POST' }, body)),
    );
    for (const [i, answer] of answers.entries()) {
      assert.equal(answer.body.length, bodies[i]!.length);
      assert.equal(answer.body, bodies[i]!.toString('latin1').toUpperCase());
      assert.equal(answer.trailers['x-length'], String(bodies[i]!.length));
    }
  });

  it('answers a PING', async () => {
    const payload = Buffer.from('12345678');
    const echoed = await new Promise<Buffer>((resolve) => {
      session.ping(payload, (_error, _duration, echo) => resolve(echo));
    });
    assert.deepEqual(echoed, payload);
  });

  it('writes statuses outside of the static table', async () => {
    assert.equal((await ask(session, { ':path': '/?418' }, null)).headers[':status'], 418);
  });
});

describe('the client role with a server of node:http2', () => {
  let server: http2.Http2Server;
  let socket: net.Socket;
  let client: ClientEnd;

  before(async () => {
    server = http2.createServer({ settings: { enableConnectProtocol: true } });
    server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
      stream.on('error', () => {});
      if (headers[':path'] === '/interim') stream.additionalHeaders({ ':status': 103, link: '</a>' });
      let body = '';
      stream.setEncoding('latin1');
      stream.on('data', (text: string) => {
        body += text;
      });
      stream.on('end', () => {
        const fields = { ':status': 200, 'x-method': headers[':method'], 'x-echo': headers['x-echo'] };
        stream.respond(fields, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-length': String(body.length) }));
        stream.end(body.toUpperCase());
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
    client = new ClientEnd((bytes) => socket.write(bytes));
    client.onBegin = ({ head }, message) => {
      if (head.status < 200) message.interim.push(head.status);
    };
    client.onGone = settle;
    attach(socket, client);
  });

  after(async () => {
    socket.destroy();
    server.close();
    await once(server, 'close');
  });

  interface Got {
    readonly status: number;
    readonly message: Message;
    readonly echo: string;
  }

  /** By stream id, since the objects of closed streams are used again. */
  const waiting = new Map<number, (got: Got) => void>();

  function fetchOne(method: string, path: string, lines: string, body: Buffer | null): Promise<Got> {
    const { id } = client.request(method, path, lines, body);
    return new Promise((resolve) => waiting.set(id, resolve));
  }

  function settle({ id, head }: TestStream<ResponseHead>, message: Message): void {
    const at = head.findName('x-echo');
    waiting.get(id)?.({ status: head.status, message, echo: at < 0 ? '' : head.value(at) });
    waiting.delete(id);
  }

  it('asks again and again with the same fields, which come to be indexed', async () => {
    for (let i = 0; i < 6; i++) {
      const { status, echo, message } = await fetchOne(
        'GET',
        '/same',
        'X-Echo: the same\r\nCookie: a=1\r\n',
        null,
      );
      assert.equal(status, 200);
      assert.equal(echo, 'the same');
      assert.equal(message.end, 'end');
      assert.equal(message.trailers, 'x-length: 0\r\n');
    }
  });

  it('sends and takes bodies larger than every window', async () => {
    const body = Buffer.alloc(500_000, 'xyz');
    const { message } = await fetchOne('PUT', '/large', '', body);
    assert.equal(message.body, body.toString('latin1').toUpperCase());
    assert.equal(message.trailers, 'x-length: 500000\r\n');
  });

  it('reads interim responses before the final one', async () => {
    const { status, message } = await fetchOne('GET', '/interim', '', null);
    assert.deepEqual(message.interim, [103]);
    assert.equal(status, 200);
  });

  it('learns what the server offers', () => {
    assert.equal(client.client.extendedConnect, true);
    assert.equal(client.client.settingsAcknowledged, true);
    assert.equal(client.client.streamCount, 0);
  });
});
