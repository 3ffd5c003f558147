// CPU of a whole server process for each HTTP/2 request: one made of the codec, one of node:http2, the same client for both.
// usage: node bench/micro/http2-servers.ts [--requests N] [--json]

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { RequestHead } from '../../src/http1/request-head.ts';
import type { ConnectionHandler } from '../../src/http2/handler.ts';
import type { OutputSink } from '../../src/http2/output.ts';
import { ServerConnection } from '../../src/http2/server-connection.ts';
import type { Stream } from '../../src/http2/stream.ts';
import { Workspace } from '../../src/http2/workspace.ts';

const BODY = Buffer.alloc(66, 98);
const DATE = 'Mon, 23 Nov 2026 07:23:28 GMT';
const ROUNDS = 5;
const TOGETHER = 50;
const OUTPUT_BYTES = 68 * 1024;
const KINDS = ['codec', 'node:http2'] as const;
const workspace = new Workspace();

/** Answers every request over one socket. */
class Answering implements ConnectionHandler<RequestHead, null>, OutputSink {
  static readonly #buffers: Buffer[] = [];
  readonly #connection: ServerConnection<null>;
  readonly #socket: net.Socket;
  #pending = false;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    const head = {
      headerBytes: 32768,
      lineBytes: 32768,
      headerCount: 100,
      chunkExtensionBytes: 4096,
      trailerBytes: 8192,
    };
    const options = {
      head,
      underscores: 'drop',
      maxStreams: 100,
      streamWindow: 256 * 1024,
      connectionWindow: 1024 * 1024,
      extendedConnect: true,
    } as const;
    this.#connection = new ServerConnection<null>(this, this, options, workspace);
    this.#connection.start();
    this.#connection.flush();
    socket.on('data', (bytes: Buffer) => {
      this.#connection.receive(bytes, 0, bytes.length, performance.now());
      if (this.#pending) this.#connection.flush();
      this.#pending = false;
    });
    socket.on('error', () => this.#connection.close());
  }

  take(): Buffer {
    return Answering.#buffers.pop() ?? Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  }
  send(buffer: Buffer, used: number): void {
    this.#socket.write(buffer.subarray(0, used), () => Answering.#buffers.push(buffer));
  }
  pending(): void {
    this.#pending = true;
  }
  onEnd(stream: Stream<RequestHead, null>): void {
    const encoder = this.#connection.beginHead(stream);
    encoder.status(200);
    encoder.lines(`content-type: text/html\r\nserver: bench\r\ndate: ${DATE}\r\ncontent-length: 66\r\n`);
    this.#connection.endHead(false);
    this.#connection.sendData(stream, BODY, 0, BODY.length, true);
  }
  onClosed(stream: Stream<RequestHead, null>): void {
    this.#connection.release(stream);
  }
  onFailure(failure: string): void {
    throw new Error(failure);
  }
  onHead(): void {}
  onData(): void {}
  onReset(): void {}
  onRefused(): void {}
  onWindow(): void {}
  onGoaway(): void {}
  onSettings(): void {}
  onPong(): void {}
}

async function serve(kind: string): Promise<void> {
  let server: net.Server;
  if (kind === 'codec') server = net.createServer({ noDelay: true }, (socket) => new Answering(socket));
  else {
    server = http2.createServer().on('stream', (stream: http2.ServerHttp2Stream) => {
      const fields = { 'content-type': 'text/html', server: 'bench', date: DATE, 'content-length': 66 };
      stream.respond({ ':status': 200, ...fields });
      stream.end(BODY);
    });
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send!(user + system);
  });
  process.send!((server.address() as net.AddressInfo).port);
}

async function hear(child: ChildProcess): Promise<number> {
  return (await once(child, 'message'))[0] as number;
}

async function cpuOf(child: ChildProcess): Promise<number> {
  const answer = hear(child);
  child.send('cpu');
  return answer;
}

async function ask(session: http2.ClientHttp2Session, page: number): Promise<void> {
  const stream = session.request({
    ':path': `/organisations/portico/repositories?page=${page}`,
    'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    accept: 'text/html,*/*;q=0.8',
  });
  let length = 0;
  stream.on('data', (bytes: Buffer) => {
    length += bytes.length;
  });
  stream.end();
  await once(stream, 'close');
  if (length !== BODY.length) throw new Error(`${length} bytes for an answer`);
}

async function askAll(session: http2.ClientHttp2Session, requests: number): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < requests) await ask(session, next++);
  };
  await Promise.all(Array.from({ length: TOGETHER }, one));
}

async function measure(kind: string, requests: number): Promise<number> {
  const child = fork(fileURLToPath(import.meta.url), ['--serve', kind]);
  const session = http2.connect(`http://127.0.0.1:${await hear(child)}`);
  await askAll(session, requests >> 1);
  const before = await cpuOf(child);
  await askAll(session, requests);
  const used = (await cpuOf(child)) - before;
  session.destroy();
  child.kill();
  return (1000 * used) / requests;
}

const { values } = parseArgs({
  options: {
    serve: { type: 'string' },
    requests: { type: 'string', default: '10000' },
    json: { type: 'boolean', default: false },
  },
});
if (values.serve !== undefined) await serve(values.serve);
else {
  const samples = KINDS.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, kind] of KINDS.entries()) samples[i]!.push(await measure(kind, Number(values.requests)));
  }
  const results = KINDS.map((kind, i) => {
    const sorted = samples[i]!.toSorted((a, b) => a - b);
    return {
      name: `${kind}, CPU of a request`,
      medianNs: sorted[ROUNDS >> 1]!,
      minNs: sorted[0]!,
      maxNs: sorted.at(-1)!,
    };
  });
  if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`);
  else {
    for (const { name, medianNs, minNs, maxNs } of results)
      process.stdout.write(
        `${name.padEnd(34)} ${medianNs.toFixed(0).padStart(6)} ns  (${minNs.toFixed(0)} to ${maxNs.toFixed(0)})\n`,
      );
  }
}
