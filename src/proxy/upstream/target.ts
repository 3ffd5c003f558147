// One target as this worker lives with it: flows in flight, idle connections and passive ejection.

import type { Member, TargetLive } from '../../model/picker.ts';
import type { EjectionConfig } from '../../model/pool-config.ts';
import type { Deadline, Deadlines } from '../deadlines.ts';
import { Roster } from '../roster.ts';
import { AnswerRecord } from './answer-record.ts';
import { ConnectRecord, runThatTells } from './connect-record.ts';
import type { Http2Connection } from './http2-connection.ts';
import { Pace } from './pace.ts';
import type { UpstreamConnection } from './upstream-connection.ts';

/** Decay of the latency average: a peak is forgotten to a third after this time. */
const LATENCY_DECAY_MS = 10_000;

/** For so long after a connect that failed or was slow to come, others are dialled first, in milliseconds. */
export const SUSPECT_MS = 1000;

/**
 * A request that must not be sent twice is lost with the machine that it is written to. A connection on which an answer
 * came so lately, in milliseconds, has hardly died since; a new one shows by its connect whether anybody is there, and a
 * connect may go elsewhere. A target that is asked ten times a second never needs a new one for this.
 */
const HEARD_LATELY_MS = 100;

/** A target that chose HTTP/1.1 is not asked for HTTP/2 again for so long, in milliseconds. */
const CHOICE_MS = 60_000;

/** What the user of a connection is told whose target's machine is gone. */
export const TARGET_LOST: NodeJS.ErrnoException = Object.assign(new Error('the target is lost'), {
  code: 'ETARGETLOST',
});

/** `silent`: nothing came back in time, so that it is not known who failed. */
export type ConnectOutcome = 'connected' | 'refused' | 'silent';

/** Told when a target is ejected or comes back, so that the pool can count and cap. */
export interface EjectionLedger {
  /** True when one more may be ejected (the cap on the ejected share). */
  mayEject(): boolean;
  onEjected(target: Target, reason: 'connect-failures' | 'gateway-errors', forMs: number): void;
  onReturned(target: Target): void;
  /** Counts a connect, and says which share of them fails at the pool's other targets, 0 to 1. */
  countConnect(target: Target, outcome: ConnectOutcome, nowMs: number): number;
  /** Counts an answer; true when the target fails clearly more often than the pool's others. */
  countAnswer(target: Target, gatewayError: boolean, nowMs: number): boolean;
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
  filedPlace = 0;
  /** Last in, first out: the warmest connection is used first and surplus ones age out. */
  readonly idle: UpstreamConnection[] = [];
  /** Those that wait for the one client that has each to itself: they take nothing from what is kept for all. */
  readonly owned: UpstreamConnection[] = [];
  /** Requests that it lets a connection carry at once, as it said last; 100 is what RFC 9113 recommends at least. */
  streamLimit = 100;
  /** Connections that carry many requests at once. */
  readonly shared: Http2Connection[] = [];
  /** Until then it is spoken to in HTTP/1.1, where its pool asks for HTTP/2 by ALPN. */
  #http1UntilMs = 0;
  /** Open ones: connecting, in use and idle. */
  readonly connections = new Roster<UpstreamConnection>();
  /** A connect has succeeded in this worker. */
  proven = false;
  /** The controller has not seen it proven yet. */
  unproven = false;
  /** Something speaks against it: each of its connections is asked every second whether the other end is there. */
  doubted = false;
  /** A connect failed or hangs: until then it is dialled after the others. 0 when nothing is held against it. */
  suspectUntilMs = 0;
  readonly connects = new ConnectRecord();
  readonly pace = new Pace();
  readonly answers = new AnswerRecord();
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
  /** How often the next ejection is doubled; how long the last was, and when it ended. */
  #doublings = 0;
  #ejectedForMs = 0;
  #returnedAtMs = 0;
  /** When the run of failures began that goes on. */
  #failingSinceMs = 0;
  /** It drains or is unhealthy. */
  #rests = false;
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

  onConnected(nowMs: number): void {
    this.#connectFailures = 0;
    this.suspectUntilMs = 0;
    this.proven = true;
    this.ledger.countConnect(this, 'connected', nowMs);
  }

  onConnectFailed(nowMs: number, outcome: 'refused' | 'silent' = 'refused'): void {
    this.#startFailing(nowMs);
    this.#connectFailures += 1;
    this.suspect(nowMs + SUSPECT_MS);
    const elsewhere = this.ledger.countConnect(this, outcome, nowMs);
    const limit = this.ejection.connectFailures;
    if (limit > 0 && this.#connectFailures >= runThatTells(limit, elsewhere))
      this.#eject(nowMs, 'connect-failures');
  }

  /** Takes over what the snapshot now says of it. */
  follow({ state, health, lastResort }: Pick<Member, 'state' | 'health' | 'lastResort'>): void {
    this.retired = state === 'draining';
    this.unproven = state !== 'active';
    if (this.retired) this.closeIdle();
    this.doubt(this.retired || health === 'unhealthy' || lastResort);
    this.rest(this.retired || health === 'unhealthy');
    // A target that has to be proven anew has lost what its former life had proven.
    if (state === 'filling' && health === 'unknown') this.proven = false;
  }

  /** A target that comes back from a drain or from being unhealthy starts slowly, as a new one does. */
  rest(rests: boolean): void {
    if (this.#rests && !rests) this.startedAtMs = 0;
    this.#rests = rests;
  }

  suspect(untilMs: number): void {
    this.suspectUntilMs = untilMs;
  }

  /** An answer arrived, or none in time; `gatewayError` marks that, 502, 503, 504 and answers that were not HTTP. */
  onAnswer(gatewayError: boolean, tookMs: number, nowMs: number): void {
    const isWorse = this.ledger.countAnswer(this, gatewayError, nowMs);
    if (gatewayError) {
      this.#startFailing(nowMs);
      this.#gatewayErrors += 1;
      const limit = this.ejection.gatewayErrors;
      if (limit > 0 && (isWorse || this.#gatewayErrors >= limit)) this.#eject(nowMs, 'gateway-errors');
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
    this.answers.clear();
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

  /** The idle connection that was used last, of those that asked for this name. */
  takeIdle(serverName: string): UpstreamConnection | undefined {
    const last = this.idle.at(-1);
    if (last === undefined || last.serverName === serverName) return this.idle.pop();
    const index = this.idle.findLastIndex((connection) => connection.serverName === serverName);
    return index === -1 ? undefined : this.idle.splice(index, 1)[0];
  }

  /** Whether something came a moment ago on the idle connection that would be used next, which is the one used last. */
  heardLately(nowMs: number): boolean {
    const last = this.idle[this.idle.length - 1];
    return last !== undefined && nowMs - last.idleSinceMs <= HEARD_LATELY_MS;
  }

  /** Whether nobody uses one of its connections. */
  get hasIdle(): boolean {
    return this.idle.length > 0 || this.owned.length > 0 || this.shared.some(({ idle }) => idle);
  }

  /** Closes a connection that nobody uses; false when there is none. */
  giveUpIdle(): boolean {
    const oldest = this.owned.shift() ?? this.idle.shift();
    if (oldest !== undefined) {
      oldest.close();
      return true;
    }
    const unused = this.shared.find(({ idle }) => idle);
    unused?.leave();
    return unused !== undefined;
  }

  speaksHttp1(nowMs: number): boolean {
    return nowMs < this.#http1UntilMs;
  }

  /** It was offered HTTP/2, and chose the other. */
  choseHttp1(nowMs: number): void {
    this.#http1UntilMs = nowMs + CHOICE_MS;
  }

  closeIdle(): void {
    this.#closeUnused();
    for (const connection of this.connections) if (connection.spare) connection.close();
    for (const connection of [...this.shared]) connection.leave();
  }

  #closeUnused(): void {
    for (const connection of [...this.idle.splice(0), ...this.owned.splice(0)]) connection.close();
  }

  doubt(doubted: boolean): void {
    if (this.doubted === doubted) return;
    this.doubted = doubted;
    // It gets little or nothing to do, and each second somebody would have to ask after those that nobody uses. Those of one that
    // has left are closed already, or wait to be reset.
    if (doubted && !this.retired) this.#closeUnused();
    for (const connection of this.connections) connection.keepAlive(doubted);
  }

  /** Its machine is gone: nothing that is open to it will ever hear of that from there. */
  lose(): void {
    // No connect that fails now ejects it any more.
    this.retired = true;
    for (const connection of [...this.connections]) connection.lose();
    this.retire();
  }

  #startFailing(nowMs: number): void {
    if (this.#connectFailures === 0 && this.#gatewayErrors === 0) this.#failingSinceMs = nowMs;
  }

  /** A target that has been well for as long as it was out is forgiven one ejection, and again for each such time. */
  #forgive(): void {
    if (this.#doublings === 0) return;
    const wellMs = Math.max(0, this.#failingSinceMs - this.#returnedAtMs);
    this.#doublings = Math.max(0, this.#doublings - Math.floor(wellMs / this.#ejectedForMs));
  }

  #eject(nowMs: number, reason: 'connect-failures' | 'gateway-errors'): void {
    if (this.ejected || this.retired || !this.ledger.mayEject()) return;
    const { baseMs, maxMs } = this.ejection;
    this.#forgive();
    const forMs = Math.min(maxMs, baseMs * 2 ** this.#doublings);
    if (forMs < maxMs) this.#doublings += 1;
    this.#ejectedForMs = forMs;
    this.#returnedAtMs = nowMs + forMs;
    this.ejected = true;
    this.closeIdle();
    this.#deadlines.set(this, nowMs + forMs);
    this.ledger.onEjected(this, reason, forMs);
  }
}
