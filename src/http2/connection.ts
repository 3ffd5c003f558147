// One HTTP/2 connection in either role (RFC 9113): bytes in, events out, frames collected for one write a turn.

import type { Buffer } from 'node:buffer';
import type { MessageHead } from '../http1/message-head.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { ErrorCode } from './error-code.ts';
import type { ConnectionFailure } from './failures.ts';
import type { ConnectionHandler } from './handler.ts';
import type { ConnectionOptions } from './options.ts';
import type { OutputSink } from './output.ts';
import type { Stream } from './stream.ts';

/**
 * Writes one header block. Names are written in lower case whatever they are given in; what HTTP/2 forbids
 * (Connection and its like, Transfer-Encoding, Host) is left out, so that heads and lines made for HTTP/1.1 can be given.
 */
export interface HeadEncoder {
  /** `:status`. */
  status(status: number): void;
  /** The pseudo fields of a request; `protocol` is that of extended CONNECT, else ''. `authority` may be ''. */
  request(method: string, scheme: string, authority: string, path: string, protocol: string): void;
  /**
   * The fields of a head but for those in `drop` (a byte for each field id) and `dropNames` (lower case): the
   * same choice that `copyFields` makes for HTTP/1.1, without a string for each.
   */
  copy(head: MessageHead, drop: Uint8Array, dropNames: ReadonlySet<string> | null): void;
  /** Latin-1 lines `Name: value`, each with CRLF. */
  lines(text: string): void;
  field(name: string, value: string): void;
}

/** What both roles share. `H` is the kind of head that is received, `O` what the session keeps for a stream. */
export declare abstract class Connection<H extends MessageHead, O> {
  /** The connection failed or was ended by `goaway` with an error: nothing is read or written any more. */
  readonly failed: boolean;
  /** Streams that are open in either direction. */
  readonly streamCount: number;
  /** Bytes that the peer lets us send on all streams together. */
  readonly sendWindow: number;
  /** The peer has acknowledged our settings. */
  readonly settingsAcknowledged: boolean;
  /** Set by the session while its wire is congested: what is written then is counted against a bound. */
  congested: boolean;

  constructor(
    handler: ConnectionHandler<H, O>,
    sink: OutputSink,
    options: ConnectionOptions,
    workspace: Workspace,
  );

  /** Writes the preface (client) and our SETTINGS; call it once, before anything else. */
  start(): void;
  /** Reads `buffer[start, end)`, all of it. `nowMs` is monotonic and measures rates of abuse. */
  receive(buffer: Buffer, start: number, end: number, nowMs: number): void;
  /** Begins a head: fill the encoder, then call `endHead` before anything else of this connection. */
  beginHead(stream: Stream<H, O>): HeadEncoder;
  /** Writes the head. `endStream` when nothing follows. Interim responses are heads like any other. */
  endHead(endStream: boolean): void;
  /**
   * Writes as much of `buffer[start, end)` as the windows take.
   * @returns the number of bytes taken; when it is less than given, `onWindow` says when to go on. With `endStream`,
   * END_STREAM is set on the last of the bytes, and only then.
   */
  sendData(stream: Stream<H, O>, buffer: Buffer, start: number, end: number, endStream: boolean): number;
  /** Ends the message; `trailers` are lines with CRLF, or ''. Does nothing when our side has ended. */
  sendEnd(stream: Stream<H, O>, trailers: string): void;
  /** Gives a stream up; does nothing when it is closed. No event follows. */
  reset(stream: Stream<H, O>, code: ErrorCode): void;
  /** The other side has taken bytes of `onData`: the windows open again. */
  consume(stream: Stream<H, O>, bytes: number): void;
  /** The session keeps no reference to a closed stream any more: its object may serve another. */
  release(stream: Stream<H, O>): void;
  /** Asks for a sign of life; `onPong` follows. At most one is under way. */
  ping(): void;
  /**
   * First step of a graceful end: GOAWAY that still takes streams, and a PING. When the answer comes, or
   * `finishDrain` is called, GOAWAY with the last stream follows and new ones are ignored.
   */
  drain(): void;
  /** Second step at once. */
  finishDrain(): void;
  /** Ends the connection with a code: nothing more is read. */
  goaway(code: ErrorCode): void;
  /** Hands what has been collected to the sink; called at the end of a turn. */
  flush(): void;
  /** The connection is gone: gives back its output buffer. */
  close(): void;
}

/** The side that clients connect to. */
export declare class ServerConnection<O> extends Connection<RequestHead, O> {}

/** The side that connects to a target. */
export declare class ClientConnection<O> extends Connection<ResponseHead, O> {
  /** Whether a stream can be opened now: limits, GOAWAY and ids allow it. */
  readonly canOpen: boolean;
  /** Streams that the target lets us have at once. */
  readonly maxStreams: number;
  /** The target takes extended CONNECT (RFC 8441). */
  readonly extendedConnect: boolean;
  /** A new stream, or null when `canOpen` is false. Its request follows with `beginHead`. */
  open(method: string, owner: O): Stream<ResponseHead, O> | null;
}

/** Scratch memory that all connections of a worker share: heads are read and written one at a time. */
export declare class Workspace {
  constructor();
}

/** Whether `buffer[start, end)` begins as a client's HTTP/2 preface does (RFC 9113, section 3.4). */
export type PrefaceMatch = 'no' | 'partial' | 'yes';
export declare function matchPreface(buffer: Buffer, start: number, end: number): PrefaceMatch;

/** Why a connection failed. */
export type { ConnectionFailure };
