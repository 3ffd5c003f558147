// Feeds bytes to the server role in any pieces and writes down what it says and sends.

import { Buffer } from 'node:buffer';
import type { MessageHead } from '../../src/http1/message-head.ts';
import type { RequestHead } from '../../src/http1/request-head.ts';
import type { ResponseHead } from '../../src/http1/response-head.ts';
import { ClientConnection } from '../../src/http2/client-connection.ts';
import type { ConnectionHandler } from '../../src/http2/handler.ts';
import type { ConnectionOptions } from '../../src/http2/options.ts';
import { OUTPUT_BUFFER_BYTES, type OutputSink } from '../../src/http2/output.ts';
import { ServerConnection } from '../../src/http2/server-connection.ts';
import type { Stream } from '../../src/http2/stream.ts';
import { Workspace } from '../../src/http2/workspace.ts';
import { OPTIONS } from './endpoint.ts';
import { FrameLog, OPENING } from './frames.ts';

const workspace = new Workspace();

export const fieldsOf = (head: MessageHead): string =>
  Array.from({ length: head.count }, (_, i) => `${head.name(i)}=${head.value(i)}`).join('|');

/** Records everything; answers nothing unless told to. */
export class Recorder<H extends MessageHead> implements ConnectionHandler<H, unknown>, OutputSink {
  readonly log = new FrameLog();
  readonly events: string[] = [];
  /** Streams by id, while they are not released. */
  readonly streams = new Map<number, Stream<H, unknown>>();
  onRequest: (stream: Stream<H, unknown>) => void = () => {};
  consume: (stream: Stream<H, unknown>, bytes: number) => void = () => {};
  onMore: (stream: Stream<H, unknown>) => void = () => {};
  release = true;
  failure = '';
  /** What is sent is looked at before the next buffer is asked for. */
  readonly #buffer = Buffer.allocUnsafe(OUTPUT_BUFFER_BYTES);
  connection!: { release(stream: Stream<H, unknown>): void };

  take(): Buffer {
    return this.#buffer;
  }
  send(buffer: Buffer, used: number): void {
    this.log.write(Buffer.from(buffer.subarray(0, used)));
  }
  pending(): void {}

  onHead(stream: Stream<H, unknown>): void {
    this.streams.set(stream.id, stream);
    this.events.push(`head ${stream.id} ${describe(stream.head)}`);
  }
  onData(stream: Stream<H, unknown>, buffer: Buffer, start: number, end: number): void {
    const text = buffer.latin1Slice(start, end);
    const last = this.events.at(-1);
    // However a body is cut, it is one body.
    if (last?.startsWith(`data ${stream.id} `) === true) this.events[this.events.length - 1] = last + text;
    else this.events.push(`data ${stream.id} ${text}`);
    this.consume(stream, end - start);
  }
  onEnd(stream: Stream<H, unknown>, trailers: string): void {
    this.events.push(`end ${stream.id} ${trailers}`.trimEnd());
    this.onRequest(stream);
  }
  onReset(stream: Stream<H, unknown>, code: number): void {
    this.events.push(`reset ${stream.id} ${code}`);
  }
  onRefused(stream: Stream<H, unknown>, reason: string): void {
    this.events.push(`refused ${stream.id} ${reason}`);
  }
  onWindow(stream: Stream<H, unknown>): void {
    this.onMore(stream);
  }
  onGoaway(lastStreamId: number, code: number): void {
    this.events.push(`goaway ${lastStreamId} ${code}`);
  }
  onSettings(): void {}
  onPong(): void {
    this.events.push('pong');
  }
  onClosed(stream: Stream<H, unknown>): void {
    this.streams.delete(stream.id);
    if (this.release) this.connection.release(stream);
  }
  onFailure(failure: string): void {
    this.failure = failure;
    this.events.push(`failure ${failure}`);
  }
}

function describe(head: MessageHead): string {
  const { method, target, status } = head as MessageHead & {
    method?: string;
    target?: string;
    status?: number;
  };
  return `${method === undefined ? status : `${method} ${target}`} ${fieldsOf(head)}`;
}

export interface Driven {
  readonly recorder: Recorder<RequestHead>;
  readonly connection: ServerConnection<unknown>;
  /** Time for the budgets, in milliseconds. */
  nowMs: number;
  send(...frames: readonly Buffer[]): void;
}

/** A server that has got a client's first bytes. */
export function driveServer(options: Partial<ConnectionOptions> = {}, opening = OPENING): Driven {
  const recorder = new Recorder<RequestHead>();
  const connection = new ServerConnection<unknown>(recorder, recorder, { ...OPTIONS, ...options }, workspace);
  recorder.connection = connection;
  recorder.consume = (stream, bytes) => connection.consume(stream, bytes);
  connection.start();
  const driven: Driven = {
    recorder,
    connection,
    nowMs: 0,
    send: (...frames) => {
      const bytes = Buffer.concat(frames);
      connection.receive(bytes, 0, bytes.length, driven.nowMs);
      connection.flush();
    },
  };
  driven.send(opening);
  return driven;
}

export interface DrivenClient {
  readonly recorder: Recorder<ResponseHead>;
  readonly connection: ClientConnection<unknown>;
  nowMs: number;
  send(...frames: readonly Buffer[]): void;
}

/** A client that has said its first bytes and got none. */
export function driveClient(options: Partial<ConnectionOptions> = {}): DrivenClient {
  const recorder = new Recorder<ResponseHead>();
  const connection = new ClientConnection<unknown>(recorder, recorder, { ...OPTIONS, ...options }, workspace);
  recorder.connection = connection;
  recorder.consume = (stream, bytes) => connection.consume(stream, bytes);
  connection.start();
  connection.flush();
  const driven: DrivenClient = {
    recorder,
    connection,
    nowMs: 0,
    send: (...frames) => {
      const bytes = Buffer.concat(frames);
      connection.receive(bytes, 0, bytes.length, driven.nowMs);
      connection.flush();
    },
  };
  return driven;
}

export interface Outcome {
  readonly events: readonly string[];
  readonly frames: readonly string[];
  readonly windows: ReadonlyMap<number, number>;
}

/** What the server makes of `bytes` (the client's preface included), given in pieces that end at `cuts`. */
export function readServer(
  bytes: Buffer,
  cuts: readonly number[] = [],
  options: Partial<ConnectionOptions> = {},
): Outcome {
  const driven = driveServer(options, Buffer.alloc(0));
  driven.recorder.onRequest = (stream) => {
    driven.connection.beginHead(stream).status(204);
    driven.connection.endHead(true);
  };
  let start = 0;
  for (const end of [...cuts, bytes.length]) {
    // A copy of its own for each piece: nothing may be read outside of it, or kept.
    const piece = Buffer.from(bytes.subarray(start, end));
    driven.send(piece);
    piece.fill(0xee);
    start = end;
  }
  const { events, log } = driven.recorder;
  return { events, frames: log.lines, windows: log.windows };
}
