// Opaque two-way bytes between a client and a target: back-pressure, half-close and one idle limit for both directions.

import type { FailureCode } from '../model/failures.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import { TARGET_LOST } from './upstream/target.ts';
import type { UpstreamConnection, UpstreamUser } from './upstream/upstream-connection.ts';
import type { Wire, WireOwner } from './wire/wire.ts';

/** How a tunnel ended: `complete` when both sides ended in order. */
export type TunnelResult =
  | 'complete'
  | 'client-aborted'
  | 'upstream-reset'
  | 'target-lost'
  | 'stream-idle'
  | 'shutdown';

/** The client's side of a tunnel: a socket, or a stream of an HTTP/2 connection. */
export interface TunnelSide
  extends Pick<
    Wire,
    | 'bytes'
    | 'congested'
    | 'pause'
    | 'resume'
    | 'end'
    | 'endAndLinger'
    | 'destroyWhenSent'
    | 'destroy'
    | 'reset'
  > {
  /** Who gets what comes from the client. */
  set owner(owner: WireOwner);
}

/** What the exchange that became a tunnel is recorded with. */
export const TUNNEL_FAILURES: Readonly<Record<TunnelResult, FailureCode | null>> = {
  complete: null,
  'client-aborted': 'client-aborted',
  'upstream-reset': 'upstream-reset',
  'target-lost': 'target-lost',
  'stream-idle': 'stream-idle',
  shutdown: null,
};

export class Tunnel implements WireOwner, UpstreamUser, Deadline {
  dueAtMs = Number.POSITIVE_INFINITY;
  filedTick = -1;
  readonly #downstream: TunnelSide;
  readonly #session: WireOwner;
  readonly #connection: UpstreamConnection;
  readonly #idleMs: number;
  readonly #deadlines: Deadlines;
  readonly #now: () => number;
  readonly #onDone: (result: TunnelResult) => void;
  #downstreamEnded = false;
  #upstreamEnded = false;
  #done = false;

  /** @param session gets the wire back when the tunnel is over, and hears of its close in any case */
  constructor(
    downstream: TunnelSide,
    session: WireOwner,
    connection: UpstreamConnection,
    idleMs: number,
    deadlines: Deadlines,
    now: () => number,
    onDone: (result: TunnelResult) => void,
  ) {
    this.#downstream = downstream;
    this.#session = session;
    this.#connection = connection;
    this.#idleMs = idleMs;
    this.#deadlines = deadlines;
    this.#now = now;
    this.#onDone = onDone;
    downstream.owner = this;
    connection.handOver(this);
    downstream.resume();
    connection.wire.resume();
    this.#touch();
  }

  /** Cuts both sides: the drain deadline of the process has come. */
  shutdown(): void {
    this.#finish('shutdown');
  }

  onBytes(buffer: Buffer, length: number): void {
    const { wire } = this.#connection;
    wire.bytes(buffer, 0, length);
    if (wire.congested) this.#downstream.pause();
    this.#touch();
  }

  onEnd(): void {
    this.#downstreamEnded = true;
    this.#connection.wire.end();
    this.#touch();
    this.#finishWhenBothEnded();
  }

  onDrain(): void {
    this.#connection.wire.resume();
    this.#touch();
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    this.#finish(
      error === null && this.#downstreamEnded && this.#upstreamEnded ? 'complete' : 'client-aborted',
    );
    this.#session.onClose(error);
  }

  onUpstreamBytes(connection: UpstreamConnection, buffer: Buffer, length: number): void {
    this.#downstream.bytes(buffer, 0, length);
    if (this.#downstream.congested) connection.wire.pause();
    this.#touch();
  }

  onUpstreamEnd(): void {
    this.#upstreamEnded = true;
    this.#downstream.end();
    this.#touch();
    this.#finishWhenBothEnded();
  }

  onUpstreamDrain(): void {
    this.#downstream.resume();
    this.#touch();
  }

  onUpstreamClose(_connection: UpstreamConnection, error: NodeJS.ErrnoException | null): void {
    // A target that closes after its end of stream is no failure: what it sent is still on its way to the client.
    if (error === null && this.#upstreamEnded) {
      if (!this.#done) this.#closeDownstream('complete');
      return;
    }
    this.#finish(error === TARGET_LOST ? 'target-lost' : 'upstream-reset');
  }

  onDeadline(): void {
    this.#finish('stream-idle');
  }

  #touch(): void {
    if (!this.#done) this.#deadlines.set(this, this.#now() + this.#idleMs);
  }

  #finishWhenBothEnded(): void {
    if (!this.#downstreamEnded || !this.#upstreamEnded || this.#done) return;
    this.#settle('complete');
    this.#downstream.destroyWhenSent();
    this.#connection.wire.destroyWhenSent();
  }

  /** The target is gone after its end: the client gets what is queued, then our end, then nothing is kept. */
  #closeDownstream(result: TunnelResult): void {
    this.#settle(result);
    this.#downstream.endAndLinger();
  }

  #finish(result: TunnelResult): void {
    if (this.#done) return;
    this.#settle(result);
    if (result === 'client-aborted') this.#connection.wire.reset();
    else this.#connection.close();
    if (result === 'upstream-reset' || result === 'target-lost') this.#downstream.reset();
    else this.#downstream.destroy();
  }

  #settle(result: TunnelResult): void {
    this.#done = true;
    this.#deadlines.clear(this);
    this.#downstream.owner = this.#session;
    this.#onDone(result);
  }
}
