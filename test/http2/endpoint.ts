// The codec over a real socket, with what it says written down: a server or a client as small as it can be.

import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { MessageHead } from '../../src/http1/message-head.ts';
import type { RequestHead } from '../../src/http1/request-head.ts';
import type { ResponseHead } from '../../src/http1/response-head.ts';
import { ClientConnection } from '../../src/http2/client-connection.ts';
import type { Connection } from '../../src/http2/connection.ts';
import type { ConnectionHandler } from '../../src/http2/handler.ts';
import type { ConnectionOptions } from '../../src/http2/options.ts';
import { OUTPUT_BUFFER_BYTES, type OutputSink } from '../../src/http2/output.ts';
import { ServerConnection } from '../../src/http2/server-connection.ts';
import type { Stream } from '../../src/http2/stream.ts';
import { Workspace } from '../../src/http2/workspace.ts';

export const OPTIONS: ConnectionOptions = {
  head: {
    headerBytes: 16384,
    lineBytes: 16384,
    headerCount: 100,
    chunkExtensionBytes: 64,
    trailerBytes: 4096,
  },
  underscores: 'drop',
  maxStreams: 100,
  streamWindow: 65535,
  connectionWindow: 1024 * 1024,
  extendedConnect: true,
};

/** What a stream has received, and what it has still to send. */
export interface Message {
  body: string;
  trailers: string;
  /** How it ended: `end`, `reset N` or `refused REASON`; '' while it goes on. */
  end: string;
  interim: number[];
  pending: Buffer;
  pendingEnd: string | null;
}

export type TestStream<H extends MessageHead> = Stream<H, Message>;

const workspace = new Workspace();

/** Sends what is asked of it as the windows allow, consumes what it gets at once. */
export class Endpoint<H extends MessageHead> implements ConnectionHandler<H, Message>, OutputSink {
  connection!: Connection<H, Message>;
  readonly events: string[] = [];
  /** Called when a message is complete. */
  onMessage: (stream: TestStream<H>, message: Message) => void = () => {};
  /** Called when a head is complete. */
  onBegin: (stream: TestStream<H>, message: Message) => void = () => {};
  onGone: (stream: TestStream<H>, message: Message) => void = () => {};
  failure = '';
  /** Sends bytes past the codec. */
  readonly write: (bytes: Buffer) => void;

  constructor(write: (bytes: Buffer) => void) {
    this.write = write;
  }

  take(): Buffer {
    return Buffer.allocUnsafe(OUTPUT_BUFFER_BYTES);
  }

  send(buffer: Buffer, used: number): void {
    if (used > 0) this.write(buffer.subarray(0, used));
  }

  pending(): void {}

  receive(bytes: Buffer): void {
    this.connection.receive(bytes, 0, bytes.length, performance.now());
    this.connection.flush();
  }

  messageOf(stream: TestStream<H>): Message {
    stream.owner ??= {
      body: '',
      trailers: '',
      end: '',
      interim: [],
      pending: Buffer.alloc(0),
      pendingEnd: null,
    };
    return stream.owner;
  }

  onHead(stream: TestStream<H>): void {
    this.onBegin(stream, this.messageOf(stream));
  }

  onData(stream: TestStream<H>, buffer: Buffer, start: number, end: number): void {
    this.messageOf(stream).body += buffer.latin1Slice(start, end);
    this.connection.consume(stream, end - start);
  }

  onEnd(stream: TestStream<H>, trailers: string): void {
    const message = this.messageOf(stream);
    message.trailers = trailers;
    message.end = 'end';
    this.onMessage(stream, message);
  }

  onReset(stream: TestStream<H>, code: number): void {
    this.messageOf(stream).end = `reset ${code}`;
  }

  onRefused(stream: TestStream<H>, reason: string): void {
    this.events.push(`refused ${reason}`);
    this.messageOf(stream).end = `refused ${reason}`;
  }

  onWindow(stream: TestStream<H>): void {
    this.#goOn(stream);
  }

  onGoaway(lastStreamId: number, code: number): void {
    this.events.push(`goaway ${lastStreamId} ${code}`);
  }

  onSettings(): void {}

  onPong(): void {
    this.events.push('pong');
  }

  onClosed(stream: TestStream<H>): void {
    const message = this.messageOf(stream);
    this.onGone(stream, message);
    this.connection.release(stream);
  }

  onFailure(failure: string): void {
    this.failure = failure;
    this.events.push(`failure ${failure}`);
  }

  /** Sends a body, then the end with these trailer lines. */
  sendBody(stream: TestStream<H>, body: Buffer, trailers: string): void {
    const message = this.messageOf(stream);
    message.pending = body;
    message.pendingEnd = trailers;
    this.#goOn(stream);
  }

  #goOn(stream: TestStream<H>): void {
    const message = this.messageOf(stream);
    if (message.pendingEnd === null) return;
    const { pending } = message;
    const taken = this.connection.sendData(stream, pending, 0, pending.length, false);
    message.pending = pending.subarray(taken);
    if (taken < pending.length) return;
    this.connection.sendEnd(stream, message.pendingEnd);
  }
}

export class ServerEnd extends Endpoint<RequestHead> {
  constructor(write: (bytes: Buffer) => void, options: ConnectionOptions = OPTIONS) {
    super(write);
    this.connection = new ServerConnection<Message>(this, this, options, workspace);
    this.connection.start();
    this.connection.flush();
  }

  answer(stream: TestStream<RequestHead>, status: number, lines: string, body: Buffer, trailers = ''): void {
    const encoder = this.connection.beginHead(stream);
    encoder.status(status);
    encoder.lines(lines);
    this.connection.endHead(false);
    this.sendBody(stream, body, trailers);
  }
}

export class ClientEnd extends Endpoint<ResponseHead> {
  readonly client: ClientConnection<Message>;

  constructor(write: (bytes: Buffer) => void, options: ConnectionOptions = OPTIONS) {
    super(write);
    this.client = new ClientConnection<Message>(this, this, options, workspace);
    this.connection = this.client;
    this.client.start();
    this.client.flush();
  }

  request(
    method: string,
    path: string,
    lines: string,
    body: Buffer | null,
    trailers = '',
  ): TestStream<ResponseHead> {
    const stream = this.client.open(method, null as unknown as Message);
    if (stream === null) throw new Error('no stream can be opened');
    const encoder = this.client.beginHead(stream);
    encoder.request(method, 'http', 'www.example.com', path, '');
    encoder.lines(lines);
    this.client.endHead(body === null);
    if (body !== null) this.sendBody(stream, body, trailers);
    this.client.flush();
    return stream;
  }
}

/** Connects a socket to an end; what it sends is read to the end. */
export function attach(socket: Duplex, end: Endpoint<RequestHead> | Endpoint<ResponseHead>): void {
  socket.on('data', (bytes: Buffer) => {
    end.receive(bytes);
    if (end.failure !== '') socket.end();
  });
  socket.on('error', () => {});
  socket.on('end', () => socket.end());
  socket.on('close', () => end.connection.close());
}

export interface Listening {
  readonly port: number;
  close(): Promise<void>;
}

/** A server on loopback; `onEnd` sees each connection's end before its first byte. */
export async function listen(
  onEnd: (end: ServerEnd, socket: net.Socket) => void,
  options: ConnectionOptions = OPTIONS,
): Promise<Listening> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    const end = new ServerEnd((bytes) => socket.write(bytes), options);
    onEnd(end, socket);
    attach(socket, end);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as net.AddressInfo).port,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
