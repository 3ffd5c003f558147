// gRPC-Web through the data plane to targets that speak gRPC: Connect's client in binary, grpc-web's in text, and frames by hand.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import type net from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import {
  create,
  createFileRegistry,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
} from '@bufbuild/protobuf';
import {
  type BytesValueSchema,
  FileDescriptorProtoSchema,
  file_google_protobuf_wrappers,
} from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, type Transport } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-node';
import * as grpc from '@grpc/grpc-js';
import type { RequestHead } from '../../src/http1/request-head.ts';
import type { ResponseHead } from '../../src/http1/response-head.ts';
import { attach, ClientEnd, type Listening, listen, ServerEnd, type TestStream } from '../http2/endpoint.ts';
import {
  assertNoSocketLeft,
  DataPlane,
  eventually,
  RawPeer,
  RawServer,
  standsStill,
} from '../support/data-plane.ts';
import { allToFirstPool, RETRY, snapshotOf } from '../support/snapshots.ts';
import { WebXhr } from '../support/web-xhr.ts';

type GrpcWeb = typeof import('grpc-web');

const raw = (bytes: Buffer): Buffer => bytes;
const method = (name: string, responseStream: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream: false,
  responseStream,
  requestSerialize: raw,
  requestDeserialize: raw,
  responseSerialize: raw,
  responseDeserialize: raw,
});

/** The service as Connect's client knows it: `BytesValue` both ways. */
function echoService(): DescService {
  const type = '.google.protobuf.BytesValue';
  const file = create(FileDescriptorProtoSchema, {
    name: 'echo.proto',
    package: 'test',
    syntax: 'proto3',
    dependency: ['google/protobuf/wrappers.proto'],
    service: [
      {
        name: 'Echo',
        method: [
          { name: 'Unary', inputType: type, outputType: type },
          { name: 'Down', inputType: type, outputType: type, serverStreaming: true },
        ],
      },
    ],
  });
  return createFileRegistry(file, () => file_google_protobuf_wrappers.proto).getService('test.Echo')!;
}

const echo = echoService();
const UNARY = echo.method['unary'] as DescMethodUnary<typeof BytesValueSchema, typeof BytesValueSchema>;
const DOWN = echo.method['down'] as DescMethodServerStreaming<
  typeof BytesValueSchema,
  typeof BytesValueSchema
>;
const value = (text: string) => ({ value: Buffer.from(text) });
/** A `BytesValue` of a short text. */
const encoded = (text: string): Buffer => Buffer.from([10, text.length, ...Buffer.from(text)]);

let plane = new DataPlane();
let server: grpc.Server | null = null;
const endpoints: Listening[] = [];
const peers: RawPeer[] = [];
let cancelled = 0;
/** Lets the stream of `Down` go on to its second message. */
let goOn = (): void => {};
let seen = new grpc.Metadata();
let deadline: grpc.Deadline = 0;

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.destroy();
  server?.forceShutdown();
  server = null;
  cancelled = 0;
  await plane.close();
  for (const endpoint of endpoints.splice(0)) await endpoint.close();
  plane = new DataPlane();
});
after(async () => {
  await plane.close();
  await assertNoSocketLeft();
});

const implementation: grpc.UntypedServiceImplementation = {
  unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
    seen = call.metadata;
    deadline = call.getDeadline();
    call.on('cancelled', () => {
      cancelled += 1;
    });
    if (call.request.includes('silence')) return;
    if (call.request.includes('refuse')) {
      done({ code: grpc.status.FAILED_PRECONDITION, details: 'with ünicode' });
      return;
    }
    const trailer = new grpc.Metadata();
    trailer.set('x-trailer', call.metadata.get('x-asked')[0] ?? 'none');
    done(null, call.request, trailer);
  },
  down: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
    call.on('cancelled', () => {
      cancelled += 1;
    });
    call.write(encoded('first'));
    goOn = () => {
      call.write(encoded('second'));
      if (call.request.includes('fail')) {
        call.emit('error', { code: grpc.status.DATA_LOSS, details: 'half' });
        return;
      }
      if (!call.request.includes('endless')) call.end();
    };
  },
};

async function serve(): Promise<void> {
  const at = await new Promise<number>((resolve, reject) => {
    server = new grpc.Server();
    const service = { unary: method('Unary', false), down: method('Down', true) };
    server.addService(service as unknown as grpc.ServiceDefinition, implementation);
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
  plane.apply(snapshotOf({ pools: [{ targets: [`127.0.0.1:${at}`], protocol: 'http2' }] }));
}

for (const httpVersion of ['1.1', '2'] as const) {
  describe(`Connect's client of gRPC-Web over HTTP/${httpVersion}`, () => {
    const transport = (): Transport => {
      const baseUrl = `http://127.0.0.1:${plane.port()}`;
      return httpVersion === '2'
        ? createGrpcWebTransport({ baseUrl, httpVersion, idleConnectionTimeoutMs: 1 })
        : createGrpcWebTransport({ baseUrl, httpVersion, nodeOptions: { agent: false } });
    };

    it('calls pass with their metadata and trailers', async () => {
      await serve();
      const headers = new Headers({ 'x-asked': 'yes' });
      const answer = await transport().unary(UNARY, undefined, 5000, headers, value('hello'));
      assert.equal(Buffer.from(answer.message.value).toString(), 'hello');
      assert.equal(answer.trailer.get('x-trailer'), 'yes');
      assert.match(answer.header.get('content-type') ?? '', /^application\/grpc-web\+proto$/);
      assert.deepEqual(seen.get('x-asked'), ['yes']);
      assert.ok(Number(deadline) - Date.now() > 1000 && Number(deadline) - Date.now() <= 5000);
    });

    it('large messages pass both ways', async () => {
      await serve();
      const large = Buffer.alloc(2 * 1024 * 1024, 'y');
      const answer = await transport().unary(UNARY, undefined, undefined, undefined, { value: large });
      assert.equal(Buffer.compare(large, answer.message.value), 0);
    });

    it('status and message of a server pass', async () => {
      await serve();
      const error = await assert.rejects(
        transport().unary(UNARY, undefined, undefined, undefined, value('refuse')),
        (thrown) => {
          const connect = ConnectError.from(thrown);
          assert.deepEqual([connect.code, connect.rawMessage], [Code.FailedPrecondition, 'with ünicode']);
          return true;
        },
      );
      assert.equal(error, undefined);
    });

    it('messages of a stream come one by one, its trailers last', async () => {
      await serve();
      async function* one() {
        yield value('go');
      }
      const answer = await transport().stream(DOWN, undefined, undefined, undefined, one());
      const got: string[] = [];
      for await (const { value: bytes } of answer.message) {
        got.push(Buffer.from(bytes).toString());
        if (got.length === 1) goOn();
      }
      assert.deepEqual(got, ['first', 'second']);
    });

    it('an error behind messages arrives behind them', async () => {
      await serve();
      async function* one() {
        yield value('fail');
      }
      const answer = await transport().stream(DOWN, undefined, undefined, undefined, one());
      const got: string[] = [];
      await assert.rejects(
        async () => {
          for await (const { value: bytes } of answer.message) {
            got.push(Buffer.from(bytes).toString());
            if (got.length === 1) goOn();
          }
        },
        (thrown) => ConnectError.from(thrown).code === Code.DataLoss,
      );
      assert.deepEqual(got, ['first', 'second']);
    });

    it('a call that its client gives up is cancelled at the server', async () => {
      await serve();
      const abort = new AbortController();
      async function* one() {
        yield value('endless');
      }
      const answer = await transport().stream(DOWN, abort.signal, undefined, undefined, one());
      await assert.rejects(async () => {
        for await (const _ of answer.message) abort.abort();
      });
      await eventually('the cancellation', () => {
        // An HTTP/1.1 client that has ended its side may still read: it is found gone by what it is sent.
        if (httpVersion === '1.1') goOn();
        return cancelled === 1;
      });
    });

    it('a deadline that has passed is told by Portico too, and cancels the call', async () => {
      await serve();
      await assert.rejects(
        transport().unary(UNARY, undefined, 800, undefined, value('silence')),
        (thrown) => ConnectError.from(thrown).code === Code.DeadlineExceeded,
      );
      await eventually('the cancellation', () => cancelled === 1);
    });

    for (const protocol of ['http1', 'http2'] as const) {
      it(`failures of Portico arrive as status, with ${protocol} targets`, async () => {
        plane.apply(snapshotOf({ pools: [{ targets: [], protocol }] }));
        await assert.rejects(
          transport().unary(UNARY, undefined, undefined, undefined, value('hello')),
          (thrown) => {
            const { code, rawMessage } = ConnectError.from(thrown);
            assert.equal(code, Code.Unavailable);
            assert.match(rawMessage, /no-target/);
            return true;
          },
        );
      });
    }
  });
}

describe("grpc-web's client in text", () => {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'XMLHttpRequest');
  Object.defineProperty(globalThis, 'XMLHttpRequest', { value: WebXhr, configurable: true, writable: true });
  after(() => {
    if (before === undefined) Reflect.deleteProperty(globalThis, 'XMLHttpRequest');
    else Object.defineProperty(globalThis, 'XMLHttpRequest', before);
  });
  const web = createRequire(import.meta.url)('grpc-web') as GrpcWeb;
  const bytes = (message: Buffer): Uint8Array => message;
  const text = (message: Uint8Array): Buffer => Buffer.from(message);
  const descriptor = (name: string, kind: string) =>
    new web.MethodDescriptor<Buffer, Buffer>(
      `/test.Echo/${name}`,
      kind,
      Buffer as never,
      Buffer as never,
      bytes,
      text,
    );
  const client = (): InstanceType<GrpcWeb['GrpcWebClientBase']> =>
    new web.GrpcWebClientBase({ format: 'text' });
  const url = (name: string): string => `http://127.0.0.1:${plane.port()}/test.Echo/${name}`;

  it('a call passes, whatever the length of its message', async () => {
    await serve();
    for (const length of [0, 1, 2, 3, 4, 100_000]) {
      const message = Buffer.alloc(length, 'z');
      const answer = await client().unaryCall(url('Unary'), message, {}, descriptor('Unary', 'unary'));
      assert.equal(Buffer.compare(answer, message), 0);
    }
  });

  it('status and message of a server pass', async () => {
    await serve();
    await assert.rejects(
      client().unaryCall(url('Unary'), Buffer.from('refuse'), {}, descriptor('Unary', 'unary')),
      (error: Error & { code: number }) => {
        assert.deepEqual([error.code, error.message], [grpc.status.FAILED_PRECONDITION, 'with ünicode']);
        return true;
      },
    );
  });

  it('messages of a stream come one by one, and its status', async () => {
    await serve();
    const stream = client().serverStreaming(
      url('Down'),
      Buffer.from('go'),
      {},
      descriptor('Down', 'server_streaming'),
    );
    const got: string[] = [];
    stream.on('data', (message) => {
      got.push(message.subarray(2).toString());
      if (got.length === 1) goOn();
    });
    const status = await new Promise<{ code: number }>((resolve, reject) => {
      stream.on('status', resolve);
      stream.on('error', reject);
    });
    assert.equal(status.code, grpc.status.OK);
    assert.deepEqual(got, ['first', 'second']);
  });

  it('failures of Portico arrive as status', async () => {
    plane.apply(snapshotOf({ pools: [{ targets: [], protocol: 'http2' }] }));
    await assert.rejects(
      client().unaryCall(url('Unary'), Buffer.from('hello'), {}, descriptor('Unary', 'unary')),
      (error: Error & { code: number }) => {
        assert.equal(error.code, grpc.status.UNAVAILABLE);
        assert.match(error.message, /no-target/);
        return true;
      },
    );
  });
});

describe('gRPC-Web by hand', () => {
  type Act = (end: ServerEnd, stream: TestStream<RequestHead>, body: string) => void;
  const GRPC = 'content-type: application/grpc+proto\r\n';
  const message = (text: string): Buffer =>
    Buffer.concat([Buffer.from([0, 0, 0, 0, text.length]), Buffer.from(text)]);
  const trailers = (lines: string): Buffer =>
    Buffer.concat([Buffer.from([0x80, 0, 0, 0, lines.length]), Buffer.from(lines)]);

  /** A target on the codec itself; `act` is called when a request is complete. */
  async function target(act: Act, began: Act = () => {}): Promise<string> {
    const listening = await listen((end) => {
      end.onMessage = (stream, { body }) => act(end, stream, body);
      end.onBegin = (stream) => began(end, stream, '');
    });
    endpoints.push(listening);
    return `127.0.0.1:${listening.port}`;
  }

  function headOf({ head }: TestStream<RequestHead> | TestStream<ResponseHead>): Record<string, string> {
    const fields: Record<string, string> = {};
    for (let i = 0; i < head.count; i++) fields[head.name(i)] = head.value(i);
    return fields;
  }

  async function open(): Promise<RawPeer> {
    const peer = await RawPeer.connect(plane.port());
    peers.push(peer);
    return peer;
  }

  const request = (type: string, body: string, more = ''): string =>
    `POST /a.B/C HTTP/1.1\r\nHost: www.example.com\r\nContent-Type: ${type}\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;

  /** Status line and fields, and the body with its chunks put together. */
  function parts(received: string): { head: string; body: string; isWhole: boolean } {
    const split = received.indexOf('\r\n\r\n');
    let rest = received.slice(split + 4);
    const head = received.slice(0, split);
    if (!/transfer-encoding: chunked/i.test(head)) return { head, body: rest, isWhole: true };
    let body = '';
    for (;;) {
      const line = rest.indexOf('\r\n');
      if (line === -1) return { head, body, isWhole: false };
      const size = Number.parseInt(rest.slice(0, line), 16);
      if (size === 0) return { head, body, isWhole: true };
      body += rest.slice(line + 2, line + 2 + size);
      rest = rest.slice(line + 4 + size);
    }
  }

  for (const [type, more, asTarget, back, isText] of [
    ['application/grpc-web', '', 'application/grpc', 'application/grpc-web', false],
    ['application/grpc-web+proto', '', 'application/grpc+proto', 'application/grpc-web+proto', false],
    ['Application/gRPC-Web+JSON; x=y', '', 'application/grpc+json', 'application/grpc-web+json', false],
    ['application/grpc-web-text', '', 'application/grpc', 'application/grpc-web-text', true],
    [
      'application/grpc-web-text+proto',
      '',
      'application/grpc+proto',
      'application/grpc-web-text+proto',
      true,
    ],
    [
      'application/grpc-web-text',
      'Accept: application/grpc-web\r\n',
      'application/grpc',
      'application/grpc-web',
      false,
    ],
    [
      'application/grpc-web',
      'Accept: application/grpc-web-text\r\n',
      'application/grpc',
      'application/grpc-web-text',
      true,
    ],
  ] as const) {
    it(`${type}${more === '' ? '' : `, ${more.trim()}`}: ${asTarget}, and back ${back}`, async () => {
      let fields: Record<string, string> = {};
      const at = await target((end, stream, body) => {
        fields = headOf(stream);
        assert.equal(body, message('ask').toString('latin1'));
        end.answer(
          stream,
          200,
          `content-type: ${asTarget}\r\n`,
          message('say'),
          'grpc-status: 0\r\nx-last: 1\r\n',
        );
      });
      plane.apply(snapshotOf({ pools: [{ targets: [at], protocol: 'http2' }] }));
      const peer = await open();
      const sent = type.includes('text')
        ? message('ask').toString('base64')
        : message('ask').toString('latin1');
      peer.send(request(type, sent, `${more}TE: gzip\r\nX-Grpc-Web: 1\r\n`));
      await peer.expect('\r\n0\r\n\r\n');
      assert.equal(fields['content-type'], asTarget);
      assert.equal(fields['te'], 'trailers');
      assert.equal(fields['accept'], undefined);
      assert.equal(fields['content-length'], undefined);
      assert.equal(fields['x-grpc-web'], '1');
      const { head, body } = parts(peer.received);
      assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
      assert.deepEqual(/^content-type: (.*)$/im.exec(head)?.slice(1), [back]);
      assert.equal(head.match(/content-type/gi)?.length, 1);
      const expected = Buffer.concat([message('say'), trailers('grpc-status: 0\r\nx-last: 1\r\n')]);
      const got = isText
        ? body.replace(/[^=]+=*/g, (run) => Buffer.from(run, 'base64').toString('latin1'))
        : body;
      assert.equal(got, expected.toString('latin1'));
    });
  }

  for (const body of ['AAAA*AAA', 'AAAAA', 'AAAAAA=A']) {
    it(`a request that is not base64 (${body}) is answered with a status and cancelled`, async () => {
      let resets = 0;
      const listening = await listen((end) => {
        end.onGone = (_stream, { end: how }) => {
          if (how === 'reset 8') resets += 1;
        };
      });
      endpoints.push(listening);
      plane.apply(snapshotOf({ pools: [{ targets: [`127.0.0.1:${listening.port}`], protocol: 'http2' }] }));
      const peer = await open();
      peer.send(request('application/grpc-web-text', body));
      const answer = await peer.all();
      assert.match(
        answer,
        /^HTTP\/1\.1 200 OK\r\nContent-Type: application\/grpc-web-text\r\ngrpc-status: 13\r\n/,
      );
      assert.match(answer, /grpc-message: [^\r]*\(bad-request\)\r\n/);
      await eventually('the cancellation', () => resets === 1);
    });
  }

  it('a request that ends within base64 while it waits for its second connection is answered once', async () => {
    const second = Promise.withResolvers<() => void>();
    const accept = (socket: net.Socket): ServerEnd => {
      const end = new ServerEnd((bytes) => socket.write(bytes));
      attach(socket, end);
      socket.resume();
      return end;
    };
    let isCancelled = false;
    const server = new RawServer(({ socket }, index) => {
      socket.removeAllListeners('data');
      socket.pause();
      if (index > 1)
        return second.resolve(() => {
          const end = accept(socket);
          end.onGone = (_stream, { end: how }) => {
            isCancelled = how === 'reset 8';
          };
        });
      const end = accept(socket);
      // Once the body has begun, it leaves, and has looked at nothing.
      end.onData = () => end.write(Buffer.from('0000080700000000000000000000000000', 'hex'));
    });
    await server.listen();
    try {
      const routes = allToFirstPool(RETRY);
      plane.apply(snapshotOf({ pools: [{ targets: [server.at], protocol: 'http2' }], routes }));
      const peer = await open();
      peer.socket.removeAllListeners('data');
      const client = new ClientEnd((bytes) => peer.socket.write(bytes));
      const answers: string[] = [];
      client.onBegin = (stream) => answers.push(headOf(stream)['grpc-status'] ?? '');
      attach(peer.socket, client);
      const lines = 'content-type: application/grpc-web-text\r\ngrpc-timeout: 60S\r\n';
      const stream = client.client.open('POST', null as never)!;
      const encoder = client.client.beginHead(stream);
      encoder.request('POST', 'http', 'www.example.com', '/a.B/C', '');
      encoder.lines(lines);
      client.client.endHead(false);
      client.client.sendData(stream, Buffer.from('AAAAA'), 0, 5, false);
      client.client.flush();
      const isThere = await second.promise;
      client.client.sendEnd(stream, '');
      client.client.ping();
      client.client.flush();
      await eventually('the worker to read the end', () => client.events.includes('pong'));
      isThere();
      await eventually('the answer', () => answers.length === 1);
      plane.freeze();
      await plane.skip(61_000);
      assert.deepEqual(answers, ['13']);
      await eventually('the cancellation', () => isCancelled);
    } finally {
      await server.close();
    }
  });

  it('what comes behind a request that is cut is not looked at', async () => {
    const asked: string[] = [];
    const at = await target(
      () => {},
      (end, stream) => {
        asked.push(stream.head.path);
        const encoder = end.connection.beginHead(stream);
        encoder.status(200);
        encoder.lines(GRPC);
        end.connection.endHead(false);
        // A part of a message: no status can follow it.
        end.connection.sendData(stream, message('say'), 0, 6, false);
      },
    );
    plane.apply(snapshotOf({ pools: [{ targets: [at], protocol: 'http2' }] }));
    const peer = await open();
    const head = (path: string): string =>
      `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web-text\r\nTransfer-Encoding: chunked\r\n\r\n`;
    peer.send(`${head('/first')}4\r\nAAAA\r\n`);
    await peer.expect('AAAA');
    peer.send(`4\r\n!!!!\r\n0\r\n\r\n${head('/second')}0\r\n\r\n`);
    await peer.until(() => peer.closed || peer.ended);
    await eventually('the end', () => plane.metric('portico_connections_active') === 0);
    assert.equal(plane.metric('portico_protocol_requests_total'), 1);
    assert.deepEqual(asked, ['/first']);
  });

  it('a target that is lost between two messages is told in a last frame', async () => {
    const at = await target((end, stream) => {
      const encoder = end.connection.beginHead(stream);
      encoder.status(200);
      encoder.lines(GRPC);
      end.connection.endHead(false);
      const body = message('whole');
      end.connection.sendData(stream, body, 0, body.length, false);
      end.connection.reset(stream, 2);
    });
    plane.apply(snapshotOf({ pools: [{ targets: [at], protocol: 'http2' }] }));
    const peer = await open();
    peer.send(request('application/grpc-web', message('ask').toString('latin1')));
    await peer.expect('\r\n0\r\n\r\n');
    const { body } = parts(peer.received);
    assert.ok(body.startsWith(message('whole').toString('latin1')));
    const last = Buffer.from(body.slice(10), 'latin1');
    assert.equal(last[0], 0x80);
    assert.equal(last.readUInt32BE(1), last.length - 5);
    assert.match(last.toString('latin1', 5), /^grpc-status: 14\r\ngrpc-message: .*\r\n$/);
    // The connection is good for the next request.
    peer.take();
    peer.send(request('application/grpc-web', message('ask').toString('latin1')));
    await peer.expect('HTTP/1.1 200 OK');
  });

  for (const [how, answer] of [
    [
      'is lost',
      (to: ServerEnd, stream: TestStream<RequestHead>, body: Buffer) => {
        const encoder = to.connection.beginHead(stream);
        encoder.status(200);
        encoder.lines(GRPC);
        to.connection.endHead(false);
        to.connection.sendData(stream, body, 0, body.length, false);
        to.connection.reset(stream, 2);
      },
    ],
    [
      'ends its answer',
      (to: ServerEnd, stream: TestStream<RequestHead>, body: Buffer) =>
        to.answer(stream, 200, GRPC, body, 'grpc-status: 0\r\n'),
    ],
  ] as const)
    it(`a target that ${how} within a message cuts the answer: what follows would be read as its rest`, async () => {
      const at = await target((to, stream) => answer(to, stream, message('whole').subarray(0, 8)));
      plane.apply(snapshotOf({ pools: [{ targets: [at], protocol: 'http2' }] }));
      const peer = await open();
      peer.send(request('application/grpc-web', message('ask').toString('latin1')));
      await peer.until(() => peer.closed);
      assert.equal(peer.error?.code, 'ECONNRESET');
      assert.ok(!peer.received.includes('grpc-status'));
      assert.equal(plane.metric('portico_failures_total'), 1);
    });

  it('an answer that is not gRPC passes as it is', async () => {
    const at = await target((end, stream) =>
      end.answer(stream, 404, 'content-type: text/plain\r\ncontent-length: 4\r\n', Buffer.from('none')),
    );
    plane.apply(snapshotOf({ pools: [{ targets: [at], protocol: 'http2' }] }));
    const peer = await open();
    peer.send(request('application/grpc-web', message('ask').toString('latin1')));
    await peer.expect('none');
    const { head, body } = parts(peer.received);
    assert.match(head, /^HTTP\/1\.1 404 Not Found\r\ncontent-type: text\/plain\r\n/);
    assert.match(head, /content-length: 4/i);
    assert.equal(body, 'none');
  });

  it('a length that the target gives is not that of the answer', async () => {
    const at = await target((end, stream) =>
      end.answer(stream, 200, `${GRPC}content-length: 8\r\n`, message('say'), 'grpc-status: 0\r\n'),
    );
    plane.apply(snapshotOf({ pools: [{ targets: [at], protocol: 'http2' }] }));
    const peer = await open();
    peer.send(request('application/grpc-web', message('ask').toString('latin1')));
    await peer.expect('\r\n0\r\n\r\n');
    const { head, body } = parts(peer.received);
    assert.doesNotMatch(head, /content-length/i);
    assert.equal(body.length, 8 + 5 + 16);
  });

  it('gRPC-Web to HTTP/1.1 targets passes as it is', async () => {
    const { createServer } = await import('node:http');
    const types: (string | undefined)[] = [];
    const plain = createServer((asked, answer) => {
      types.push(asked.headers['content-type']);
      answer.setHeader('content-type', 'application/grpc-web-text');
      answer.end('AAAA');
    });
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = plain.address() as { port: number };
      plane.apply(snapshotOf({ pools: [{ targets: [`127.0.0.1:${port}`] }] }));
      const peer = await open();
      peer.send(request('application/grpc-web-text', 'AAAA'));
      await peer.expect('AAAA');
      assert.deepEqual(types, ['application/grpc-web-text']);
    } finally {
      plain.closeAllConnections();
      await new Promise((resolve) => plain.close(resolve));
    }
  });

  for (const type of ['application/grpc-web', 'application/grpc-web-text']) {
    it(`a client of ${type} that does not read holds its target back`, async () => {
      const total = 64 * 1024 * 1024;
      let pending = 0;
      const at = await target((end, stream) => {
        const encoder = end.connection.beginHead(stream);
        encoder.status(200);
        encoder.lines(GRPC);
        end.connection.endHead(false);
        const prefix = Buffer.alloc(5);
        prefix.writeUInt32BE(total, 1);
        end.sendBody(stream, Buffer.concat([prefix, Buffer.alloc(total, 'm')]), 'grpc-status: 0\r\n');
        pending = end.messageOf(stream).pending.length;
        const timer = setInterval(() => {
          pending = stream.owner?.pending.length ?? 0;
          if (pending === 0) clearInterval(timer);
        }, 5).unref();
      });
      plane.apply(snapshotOf({ pools: [{ targets: [at], protocol: 'http2' }] }));
      const peer = await open();
      peer.socket.pause();
      peer.send(
        request(
          type,
          type.includes('text') ? message('ask').toString('base64') : message('ask').toString('latin1'),
        ),
      );
      await eventually('the answer to begin', () => pending > 0);
      await standsStill('the answer', () => pending);
      // What is on its way: socket buffers of the kernel on both sides, and a window.
      assert.ok(pending > total / 2, `${pending} of ${total} bytes wait at the target`);
      let received = 0;
      peer.socket.removeAllListeners('data');
      peer.socket.on('data', (chunk) => {
        received += chunk.length;
      });
      peer.socket.resume();
      const least = type.includes('text') ? (total / 3) * 4 : total;
      await eventually('the whole answer', () => received > least, 30_000);
    });
  }
});
