// Opaque two-way bytes between a client and a target: back-pressure, half-close and one idle limit for both directions.

import type { FailureCode } from '../model/failures.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import { TARGET_LOST } from './upstream/target.ts';
import type { UpstreamUser } from './upstream/upstream-connection.ts';
import type { UpstreamSide } from './upstream/upstream-stream.ts';
import { closeFrame, WebSocketFrames } from './web-socket-frames.ts';
import type { Wire, WireOwner } from './wire/wire.ts';

/** How a tunnel ended: `complete` when both sides ended in order. */
export type TunnelResult =
  | 'complete'
  | 'client-aborted'
  | 'upstream-reset'
  | 'target-lost'
  | 'stream-idle'
  | 'tunnel-expired'
  | 'shutdown';

/** The client's side of a tunnel: a socket, or a stream of an HTTP/2 connection. */
export interface TunnelSide
  extends Pick<
    Wire,
    | 'bytes'
    | 'congested'
    | 'hasPeer'
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
  'tunnel-expired': 'tunnel-expired',
  shutdown: null,
};

/** How long a tunnel may be silent, and how long it may live at all. */
export interface TunnelLimits {
  readonly idleMs: number;
  /** Infinity for tunnels that end by themselves. */
  readonly lifetimeMs: number;
  /** Both sides speak WebSocket: it can be ended with a code. */
  readonly webSocket: boolean;
}

/** Peers that were told that this is the end get so long to end it themselves, in milliseconds. */
const GRACE_MS = 5000;
/** A client that is not read, because it has ended its side or its target takes nothing, does not tell that it was reset. */
const LOOK_MS = 30_000;
/** Of clients that are told to go, not all may come back at once: they are told over this time, in milliseconds. */
const SPREAD_MS = 60_000;
/** RFC 6455, section 7.4.1: the server goes down, or the client moves elsewhere. */
const GOING_AWAY = closeFrame(1001);

export class Tunnel implements WireOwner, UpstreamUser, Deadline {
  dueAtMs = Number.POSITIVE_INFINITY;
  filedTick = -1;
  filedPlace = 0;
  readonly #downstream: TunnelSide;
  readonly #session: WireOwner;
  readonly #upstream: UpstreamSide;
  readonly #limits: TunnelLimits;
  readonly #deadlines: Deadlines;
  readonly #now: () => number;
  readonly #onDone: (result: TunnelResult) => void;
  /** When something has moved last. */
  #movedAtMs = 0;
  #downstreamEnded = false;
  #upstreamEnded = false;
  #done = false;
  /** What comes from the target; null when it is not followed. */
  readonly #frames: WebSocketFrames | null;
  /** When the tunnel has to end whatever it does. */
  #endsAtMs: number;
  #endsAs: TunnelResult = 'tunnel-expired';
  /** Our end is due, or said: from then on nothing of the target passes. */
  #farewell: 'none' | 'due' | 'said' = 'none';

  /** @param session gets the wire back when the tunnel is over, and hears of its close in any case */
  constructor(
    downstream: TunnelSide,
    session: WireOwner,
    upstream: UpstreamSide,
    limits: TunnelLimits,
    deadlines: Deadlines,
    now: () => number,
    onDone: (result: TunnelResult) => void,
  ) {
    this.#downstream = downstream;
    this.#session = session;
    this.#upstream = upstream;
    this.#limits = limits;
    this.#frames = limits.webSocket ? new WebSocketFrames() : null;
    this.#endsAtMs = now() + limits.lifetimeMs;
    this.#deadlines = deadlines;
    this.#now = now;
    this.#onDone = onDone;
    downstream.owner = this;
    upstream.handOver(this);
    downstream.resume();
    upstream.wire.resume();
    this.#touch();
  }

  /**
   * The process will end in `deadlineMs`: a WebSocket is told in time, at a random moment so that clients do not come
   * back all at once. Other tunnels have no word for it.
   */
  drain(deadlineMs: number, random: () => number): void {
    if (this.#frames === null || this.#done || this.#farewell !== 'none') return;
    const spreadMs = Math.max(0, Math.min(SPREAD_MS, deadlineMs - GRACE_MS));
    const endsAtMs = this.#now() + random() * spreadMs;
    if (endsAtMs >= this.#endsAtMs) return;
    this.#endsAtMs = endsAtMs;
    this.#endsAs = 'shutdown';
    this.#touch();
  }

  /** Cuts both sides: the drain deadline of the process has come. */
  shutdown(): void {
    this.#finish('shutdown');
  }

  onBytes(buffer: Buffer, length: number): void {
    const { wire } = this.#upstream;
    wire.bytes(buffer, 0, length);
    if (wire.congested) this.#downstream.pause();
    this.#touch();
  }

  onEnd(): void {
    this.#downstreamEnded = true;
    this.#upstream.wire.end();
    this.#touch();
    this.#finishWhenBothEnded();
  }

  onDrain(): void {
    this.#upstream.wire.resume();
    this.#touch();
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    this.#finish(
      error === null && this.#downstreamEnded && this.#upstreamEnded ? 'complete' : 'client-aborted',
    );
    this.#session.onClose(error);
  }

  onUpstreamBytes(buffer: Buffer, length: number): void {
    if (this.#frames !== null) return this.#passFrames(this.#frames, buffer, length);
    this.#downstream.bytes(buffer, 0, length);
    if (this.#downstream.congested) this.#upstream.wire.pause();
    this.#touch();
  }

  onUpstreamEnd(): void {
    this.#upstreamEnded = true;
    this.#downstream.end();
    this.#touch();
    this.#finishWhenBothEnded();
  }

  onUpstreamDrain(): void {
    // A stream of HTTP/2 that was the client's side serves another request by now.
    if (this.#done) return;
    this.#downstream.resume();
    this.#touch();
  }

  onUpstreamClose(error: NodeJS.ErrnoException | null): void {
    // A target that closes after its end of stream is no failure: what it sent is still on its way to the client.
    if (error === null && this.#upstreamEnded) {
      if (!this.#done) this.#closeDownstream('complete');
      return;
    }
    this.#finish(error === TARGET_LOST ? 'target-lost' : 'upstream-reset');
  }

  #passFrames(frames: WebSocketFrames, buffer: Buffer, length: number): void {
    if (this.#farewell === 'said') return;
    let position = 0;
    while (position < length && (this.#farewell === 'none' || !frames.atBoundary)) {
      position = frames.next(buffer, position, length);
    }
    if (position > 0) this.#downstream.bytes(buffer, 0, position);
    if (this.#farewell === 'due' && frames.atBoundary) this.#sayFarewell();
    if (this.#downstream.congested) this.#upstream.wire.pause();
    this.#touch();
  }

  onDeadline(nowMs: number): void {
    if (this.#farewell !== 'none') return this.#finish(this.#endsAs);
    if (nowMs < this.#endsAtMs) return this.#look(nowMs);
    if (this.#frames === null) return this.#finish(this.#endsAs);
    this.#farewell = 'due';
    this.#deadlines.set(this, nowMs + GRACE_MS);
    if (this.#frames.atBoundary) this.#sayFarewell();
  }

  /** The client answers with a Close of its own, which ends the target's side too. */
  #sayFarewell(): void {
    this.#farewell = 'said';
    this.#downstream.bytes(GOING_AWAY, 0, GOING_AWAY.length);
  }

  #look(nowMs: number): void {
    if (nowMs >= this.#movedAtMs + this.#limits.idleMs) return this.#finish('stream-idle');
    if (this.#isClientUnread && !this.#downstream.hasPeer) return this.#finish('client-aborted');
    this.#await(nowMs);
  }

  get #isClientUnread(): boolean {
    return this.#downstreamEnded || this.#upstream.wire.congested;
  }

  #touch(): void {
    if (this.#done || this.#farewell !== 'none') return;
    this.#movedAtMs = this.#now();
    this.#await(this.#movedAtMs);
  }

  #await(nowMs: number): void {
    const dueAtMs = Math.min(this.#movedAtMs + this.#limits.idleMs, this.#endsAtMs);
    this.#deadlines.set(this, this.#isClientUnread ? Math.min(dueAtMs, nowMs + LOOK_MS) : dueAtMs);
  }

  #finishWhenBothEnded(): void {
    if (!this.#downstreamEnded || !this.#upstreamEnded || this.#done) return;
    this.#settle('complete');
    this.#downstream.destroyWhenSent();
    this.#upstream.wire.destroyWhenSent();
  }

  /** The target is gone after its end: the client gets what is queued, then our end, then nothing is kept. */
  #closeDownstream(result: TunnelResult): void {
    this.#settle(result);
    this.#downstream.endAndLinger();
  }

  #finish(result: TunnelResult): void {
    if (this.#done) return;
    this.#settle(result);
    if (result === 'client-aborted') this.#upstream.wire.reset();
    else this.#upstream.close();
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
