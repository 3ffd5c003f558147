// What an exchange needs from its session and from its worker.

import type { PathPolicy } from '../model/config.ts';
import type { Deadlines } from './deadlines.ts';
import type { HttpDate } from './http/date.ts';
import type { ForwardedClient } from './http/forwarded.ts';
import type { RequestIds } from './http/request-id.ts';
import type { ListenerMeters } from './meters.ts';
import type { Recorder } from './recorder.ts';
import type { Runtime } from './runtime.ts';
import type { SilenceWatch } from './upstream/silence.ts';
import type { UpstreamConnection } from './upstream/upstream-connection.ts';
import type { Turn } from './wire/turn.ts';
import type { Wire } from './wire/wire.ts';

/** The downstream side of an exchange. */
export interface ExchangeSession {
  readonly wire: Wire;
  readonly client: ForwardedClient;
  readonly listenerName: string;
  readonly listenerPort: number;
  readonly scheme: 'http' | 'https';
  readonly meters: ListenerMeters;
  /** How the listener reads paths. */
  readonly paths: PathPolicy;
  /** Whether the connection may serve another request after this one. */
  readonly mayKeepAlive: boolean;
  /** `HTTP/1.1` or `HTTP/1.0`. */
  readonly protocol: string;
  /** Goes on reading a body that had to wait. */
  continueReading(): void;
  onExchangeDone(keepAlive: boolean): void;
  becomeTunnel(connection: UpstreamConnection, idleMs: number): void;
  /** Resets the client connection: an answer was cut. */
  cut(): void;
}

/** What a worker gives to all its exchanges. */
export interface ExchangeContext {
  /** The runtime in force now; an exchange keeps the one it started with. */
  readonly runtime: () => Runtime;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  /** Epoch milliseconds. */
  readonly wallClock: () => number;
  readonly random: () => number;
  readonly deadlines: Deadlines;
  readonly turn: Turn;
  readonly date: HttpDate;
  readonly requestIds: RequestIds;
  readonly recorder: Recorder;
  readonly silence: SilenceWatch;
}
