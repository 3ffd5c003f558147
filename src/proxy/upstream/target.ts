// One target as this worker lives with it: flows in flight, idle connections and passive ejection.

import type { EjectionConfig } from '../../model/config.ts';
import type { Member, TargetLive } from '../../model/picker.ts';
import type { Deadline, Deadlines } from '../deadlines.ts';
import type { UpstreamConnection } from './upstream-connection.ts';

/** Decay of the latency average: a peak is forgotten to a third after this time. */
const LATENCY_DECAY_MS = 10_000;

/** Told when a target is ejected or comes back, so that the pool can count and cap. */
export interface EjectionLedger {
  /** True when one more may be ejected (the cap on the ejected share). */
  mayEject(): boolean;
  onEjected(target: Target, reason: 'connect-failures' | 'gateway-errors', forMs: number): void;
  onReturned(target: Target): void;
}

/** Outlives snapshots: keyed by pool and identity, shared by every version that names it. */
export class Target implements TargetLive, Deadline {
  inFlight = 0;
  ejected = false;
  latencyMs = 0;
  latencyAtMs = 0;
  startedAtMs = 0;
  dueAtMs = Number.POSITIVE_INFINITY;
  filedTick = -1;
  /** Last in, first out: the warmest connection is used first and surplus ones age out. */
  readonly idle: UpstreamConnection[] = [];
  /** Open connections, connecting ones included. */
  open = 0;
  /** A connect has succeeded in this worker. */
  proven = false;
  /** No snapshot names it any more, or it is draining: connections are closed instead of kept. */
  retired = false;
  readonly identity: string;
  readonly address: string;
  readonly port: number;
  readonly cluster: string | null;
  readonly node: string | null;
  ledger: EjectionLedger;
  ejection: EjectionConfig;
  #connectFailures = 0;
  #gatewayErrors = 0;
  #ejections = 0;
  readonly #deadlines: Deadlines;

  constructor(
    member: Pick<Member, 'identity' | 'address' | 'port' | 'cluster' | 'node'>,
    ejection: EjectionConfig,
    ledger: EjectionLedger,
    deadlines: Deadlines,
  ) {
    this.identity = member.identity;
    this.address = member.address;
    this.port = member.port;
    this.cluster = member.cluster;
    this.node = member.node;
    this.ejection = ejection;
    this.ledger = ledger;
    this.#deadlines = deadlines;
  }

  begin(nowMs: number): void {
    this.inFlight += 1;
    if (this.startedAtMs === 0) this.startedAtMs = nowMs;
  }

  end(): void {
    this.inFlight -= 1;
  }

  onConnected(): void {
    this.#connectFailures = 0;
    this.proven = true;
  }

  onConnectFailed(nowMs: number): void {
    this.#connectFailures += 1;
    const limit = this.ejection.connectFailures;
    if (limit > 0 && this.#connectFailures >= limit) this.#eject(nowMs, 'connect-failures');
  }

  /** An answer arrived; `gatewayError` marks 502, 503, 504 and answers that were not HTTP. */
  onAnswer(gatewayError: boolean, tookMs: number, nowMs: number): void {
    if (gatewayError) {
      this.#gatewayErrors += 1;
      const limit = this.ejection.gatewayErrors;
      if (limit > 0 && this.#gatewayErrors >= limit) this.#eject(nowMs, 'gateway-errors');
      return;
    }
    this.#gatewayErrors = 0;
    // Peak-sensitive: a slow answer counts at once, a fast one only as the past fades.
    if (tookMs > this.latencyMs) this.latencyMs = tookMs;
    else {
      const kept = Math.exp((this.latencyAtMs - nowMs) / LATENCY_DECAY_MS);
      this.latencyMs = this.latencyMs * kept + tookMs * (1 - kept);
    }
    this.latencyAtMs = nowMs;
  }

  /** The ejection is over: the target takes flows again and its next failure ejects it for longer. */
  onDeadline(): void {
    this.ejected = false;
    this.#connectFailures = 0;
    this.#gatewayErrors = 0;
    this.ledger.onReturned(this);
  }

  /** Closes what is idle; what is in flight ends by itself. */
  retire(): void {
    this.retired = true;
    this.closeIdle();
    if (this.ejected) {
      this.ejected = false;
      this.ledger.onReturned(this);
    }
    this.#deadlines.clear(this);
  }

  closeIdle(): void {
    for (const connection of this.idle.splice(0)) connection.close();
  }

  #eject(nowMs: number, reason: 'connect-failures' | 'gateway-errors'): void {
    if (this.ejected || this.retired || !this.ledger.mayEject()) return;
    const forMs = Math.min(this.ejection.maxMs, this.ejection.baseMs * 2 ** this.#ejections);
    this.#ejections += 1;
    this.ejected = true;
    this.closeIdle();
    this.#deadlines.set(this, nowMs + forMs);
    this.ledger.onEjected(this, reason, forMs);
  }
}
