// What an exchange needs from its session and from its worker.

import type { ResponseHead } from '../http1/response-head.ts';
import type { Workspace } from '../http2/workspace.ts';
import type { ListenerLimits, ListenerTimeouts, PathPolicy } from '../model/listener-config.ts';
import type { ClientLoad } from './admission/client-table.ts';
import type { Deadlines } from './deadlines.ts';
import type { ExchangeFacts } from './exchange-facts.ts';
import type { Answer } from './http/answers.ts';
import type { HttpDate } from './http/date.ts';
import type { ForwardedClient } from './http/forwarded.ts';
import type { PieceBudget } from './http/piece-budget.ts';
import type { RequestIds } from './http/request-id.ts';
import type { ListenerMeters } from './meters.ts';
import type { Recorder } from './recorder.ts';
import type { HeaderEdits } from './router/header-edits.ts';
import type { Runtime } from './runtime.ts';
import type { TlsFacts } from './tls/tls-facts.ts';
import type { TunnelLimits } from './tunnel.ts';
import type { OwnConnection } from './upstream/own-connection.ts';
import type { SilenceWatch } from './upstream/silence.ts';
import type { UpstreamSide } from './upstream/upstream-stream.ts';
import type { BufferPool } from './wire/buffer-pool.ts';
import type { PassShare } from './wire/pass-share.ts';
import type { Turn } from './wire/turn.ts';

/**
 * The downstream side of an exchange: an HTTP/1.1 connection, or one stream of an HTTP/2 connection. What is written
 * leaves at the end of the pass. A head is valid only during the call.
 */
export interface ExchangeSession {
  readonly client: ForwardedClient;
  /** What the client has open; each request is admitted and counted by it. */
  readonly load: ClientLoad;
  readonly listenerName: string;
  readonly listenerPort: number;
  /** Of a listener that is configured no more: what its open connections go on with; null where it is. */
  readonly lastRuntime: Runtime | null;
  readonly scheme: 'http' | 'https';
  /** Null on a connection without TLS. */
  readonly tls: TlsFacts | null;
  /** Strict-Transport-Security of the listener, for answers that no rule is known for. */
  readonly hsts: string | null;
  readonly meters: ListenerMeters;
  /** How the listener reads paths. */
  readonly paths: PathPolicy;
  /** `HTTP/1.1`, `HTTP/1.0` or `HTTP/2`. */
  readonly protocol: string;
  /** The connection to a target that the client has to itself: of HTTP/1.1 until it leaves, of HTTP/2 for one request. */
  own: OwnConnection | null;
  /** The nonce of the WebSocket handshake that an extended CONNECT becomes (RFC 8441); '' for everything else. */
  readonly webSocketKey: string;
  /** Limits and timeouts of the listener, those in force now. */
  readonly limits: ListenerLimits;
  readonly timeouts: ListenerTimeouts;
  /** Bytes that the client has taken so far; only ever compared with itself, over seconds. */
  readonly takenBytes: number;
  /** The client takes less than it is sent; `Exchange.onDownstreamDrain` tells when that is over. */
  readonly congested: boolean;
  /** A 1xx answer other than 101, to clients that can read it, without what `edits` remove. */
  sendInterim(head: ResponseHead, edits: HeaderEdits | null): void;
  /** The head of a target's answer, with the edits of the rule that `facts` name. */
  sendHead(head: ResponseHead, facts: ExchangeFacts): void;
  /** Bytes of the answer's body; copied, so that the buffer may be reused at once. */
  sendBody(buffer: Buffer, start: number, end: number): void;
  /** The target's answer is complete. `trailers` are lines with CRLF, or ''. */
  sendEnd(trailers: string): void;
  /** A whole answer of our own. */
  sendAnswer(answer: Answer, facts: ExchangeFacts): void;
  /** Goes on reading a body that had to wait. */
  continueReading(): void;
  /** The exchange is over, and the answer was sent whole. */
  onExchangeDone(): void;
  /**
   * The target has agreed to another protocol: says so with its head, and makes the client's side a tunnel to it.
   * `buffer[start, end)` are the first bytes that came through it.
   */
  becomeTunnel(
    head: ResponseHead,
    upstream: UpstreamSide,
    limits: TunnelLimits,
    buffer: Buffer,
    start: number,
    end: number,
  ): void;
  /** An answer has begun and cannot be completed: the client must see that. */
  cut(): void;
}

/** What a worker gives to all its exchanges. */
export interface ExchangeContext {
  /** The one in force now: a request is routed by it when it starts, and keeps no more of it than its pool. */
  readonly runtime: () => Runtime;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  /** Epoch milliseconds. */
  readonly wallClock: () => number;
  readonly random: () => number;
  readonly deadlines: Deadlines;
  readonly turn: Turn;
  readonly share: PassShare;
  readonly date: HttpDate;
  readonly requestIds: RequestIds;
  readonly recorder: Recorder;
  readonly silence: SilenceWatch;
  readonly pieces: PieceBudget;
  /** Output buffers of HTTP/2 connections, on their way to a wire. */
  readonly buffers: BufferPool;
  readonly http2: Workspace;
}
