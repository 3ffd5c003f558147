// The worker's composition root: the data plane of one process, driven by the supervisor's messages.

import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { Workspace } from '../http2/workspace.ts';
import type { ListenerConfig } from '../model/config.ts';
import { FAILURES } from '../model/failures.ts';
import type {
  ListenAddress,
  SupervisorToWorker,
  WorkerAnswer,
  WorkerQuestion,
  WorkerToController,
  WorkerToSupervisor,
} from '../model/messages.ts';
import { NO_SECRETS, type Secrets } from '../model/secrets.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { type NameResult, Names, type NamesOptions } from '../names/names.ts';
import { decodePublication, OtherBase } from '../snapshot/decode.ts';
import { type AccessLog, createAccessLog, LOST_REASONS, type LostReason } from '../telemetry/access-log.ts';
import type { LogPath } from '../telemetry/log-destination.ts';
import { MetricsBoard } from '../telemetry/metrics-board.ts';
import type { ProcessLog } from '../telemetry/process-log.ts';
import { MemoryWatch } from './admission/memory-watch.ts';
import { Applier } from './apply.ts';
import { Deadlines } from './deadlines.ts';
import { Descriptors, openFilesLimit } from './descriptors.ts';
import { explainRoute } from './explain-route.ts';
import { HttpDate } from './http/date.ts';
import { TrustedProxies } from './http/forwarded.ts';
import { PieceBudget } from './http/piece-budget.ts';
import { RequestIds } from './http/request-id.ts';
import { Listener, type ListenerContext, type TcpHandle } from './listener.ts';
import { ListenerMeters } from './meters.ts';
import { Recorder } from './recorder.ts';
import type { Runtime } from './runtime.ts';
import { ListenerTls } from './tls/listener-tls.ts';
import { TicketKeys } from './tls/ticket-keys.ts';
import { DoubtWatch } from './upstream/doubt-watch.ts';
import { tablesOf } from './upstream/pool.ts';
import { SilenceWatch } from './upstream/silence.ts';
import { SocketTable } from './upstream/socket-table.ts';
import { BufferPool } from './wire/buffer-pool.ts';
import { loadTcpBinding, type TcpBinding } from './wire/tcp-binding.ts';
import { Turn } from './wire/turn.ts';
import type { WireContext } from './wire/wire.ts';

/** How often counters go to the controller; what a killed worker counted since is lost, no more. */
const REPORT_MS = 250;
const READ_BUFFER_BYTES = 64 * 1024;
const LOG_CLOSE_MS = 2000;

export interface WorkerEnvironment {
  readonly log: Logger;
  readonly now: () => number;
  readonly wallClock: () => number;
  readonly random: () => number;
  /** Resident memory of this process. */
  readonly residentBytes: () => number;
  /** Frees what nothing refers to, when this Node lets us say so. */
  readonly collectGarbage: () => void;
  readonly send: (message: WorkerToSupervisor) => void;
  readonly exit: (code: number) => void;
  /** Descriptors that this process may have open; Infinity where that is not known. */
  readonly descriptorLimit: number;
  readonly resolveName: NamesOptions['resolve'];
  /** Null where sockets have to be Node's (docs/decisions/0011-sockets-on-handles.md). */
  readonly tcp: TcpBinding | null;
  /** Lines of the worker's own log that were not written since the start, by reason. */
  readonly linesLost: Readonly<Record<LostReason, number>>;
}

export class Worker {
  readonly #environment: WorkerEnvironment;
  readonly #board = new MetricsBoard();
  readonly #deadlines: Deadlines;
  readonly #doubtWatch: DoubtWatch;
  readonly #applier: Applier;
  readonly #listenerContext: ListenerContext;
  readonly #recorder: Recorder;
  readonly #memory: MemoryWatch;
  /** Bound sockets that came ahead of the snapshot that names them. */
  readonly #handles = new Map<string, TcpHandle>();
  readonly #listeners = new Map<string, Listener>();
  /** No longer configured; their connections live on. */
  readonly #retired = new Set<Listener>();
  readonly #slots: {
    readonly version: number;
    readonly apply: number;
    readonly rejected: number;
    readonly missed: number;
    readonly memory: number;
    readonly memoryOver: number;
    readonly lost: Record<LostReason, number>;
    readonly ownLost: Record<LostReason, number>;
  };
  #runtime: Runtime;
  /** TLS of the https listeners, by name. */
  #tls: ReadonlyMap<string, ListenerTls> = new Map();
  readonly #ticketKeys = new TicketKeys();
  /** The last snapshot that came, which the next difference begins from, also when it could not be honoured. */
  #decoded: Snapshot | null = null;
  #secrets: Secrets = NO_SECRETS;
  /** Those that the TLS in force was built with. */
  #tlsSecrets: Secrets = NO_SECRETS;
  #accessLog: AccessLog | null = null;
  #accessLogKey = '';
  #reportTimer: NodeJS.Timeout | null = null;
  #drainTimer: NodeJS.Timeout | null = null;
  #draining = false;
  #drainIdleAtMs = Number.POSITIVE_INFINITY;
  #drainDueAtMs = Number.POSITIVE_INFINITY;

  constructor(environment: WorkerEnvironment) {
    const { now, wallClock, random, log } = environment;
    this.#environment = environment;
    this.#deadlines = new Deadlines(now);
    this.#recorder = new Recorder(wallClock);
    this.#runtime = emptyRuntime();
    this.#memory = new MemoryWatch(environment.residentBytes, environment.collectGarbage, now);
    const turn = new Turn(now);
    const nameResults: Record<NameResult, number> = { ok: 0, failed: 0, kept: 0 };
    for (const result of ['ok', 'failed', 'kept'] as const)
      nameResults[result] = this.#board.counter('portico_name_lookups_total', { result });
    const names = new Names({
      resolve: environment.resolveName,
      now,
      log,
      onResult: (result) => {
        this.#board.values[nameResults[result]]! += 1;
      },
    });
    const wires: WireContext = {
      lookup: names.lookup,
      turn,
      pool: new BufferPool(),
      deadlines: this.#deadlines,
      now: turn.now,
      tcp: environment.tcp,
      readBuffer: Buffer.allocUnsafeSlow(READ_BUFFER_BYTES),
    };
    const http2 = new Workspace();
    const responseLimits = {
      headerBytes: 65_536,
      lineBytes: 65_536,
      headerCount: 256,
      chunkExtensionBytes: 4096,
      trailerBytes: 8192,
    };
    this.#applier = new Applier({
      deadlines: this.#deadlines,
      random,
      now,
      pools: {
        board: this.#board,
        wires,
        limits: responseLimits,
        http2,
        random,
        log,
        onLocalLimit: () => this.#applier.closeIdle(),
        onProven: (pool, identity) => this.#tellController({ kind: 'proven', pool, identity }),
      },
    });
    const sockets = new SocketTable(now);
    this.#doubtWatch = new DoubtWatch(now, () => this.#applier.targets(), sockets);
    this.#doubtWatch.start();
    this.#listenerContext = {
      wires,
      descriptors: new Descriptors({ limit: environment.descriptorLimit, log }),
      log,
      listenerNamed: (name) => this.#listenerNamed(name),
      pressure: this.#memory,
      exchanges: {
        runtime: () => this.#runtime,
        now: turn.now,
        wallClock,
        random,
        deadlines: this.#deadlines,
        turn,
        date: new HttpDate(wallClock),
        requestIds: new RequestIds(wallClock, random),
        silence: new SilenceWatch(now, sockets),
        pieces: new PieceBudget(),
        buffers: wires.pool,
        http2,
        recorder: this.#recorder,
      },
    };
    const lostSlot = (reason: LostReason): number =>
      this.#board.counter('portico_access_log_lines_lost_total', { reason });
    this.#slots = {
      version: this.#board.gauge('portico_snapshot_version', {}),
      apply: this.#board.histogram('portico_snapshot_apply_seconds', {}),
      rejected: this.#board.counter('portico_snapshot_rejected_total', {}),
      missed: this.#board.counter('portico_snapshot_missed_total', {}),
      memory: this.#board.gauge('portico_worker_memory_bytes', {}),
      memoryOver: this.#board.gauge('portico_worker_memory_over', {}),
      lost: byReason(lostSlot),
      ownLost: byReason((reason) =>
        this.#board.counter('portico_log_lines_lost_total', { role: 'worker', reason }),
      ),
    };
  }

  start(): void {
    this.#deadlines.start();
    this.#reportTimer = setInterval(() => this.#report(), REPORT_MS);
    this.#environment.send({ kind: 'up' });
  }

  onMessage(message: SupervisorToWorker, handle: unknown): void {
    switch (message.kind) {
      case 'listener':
        this.#handles.set(keyOf(message.address), handle as TcpHandle);
        return;
      case 'snapshot':
        return this.#apply(message.version, message.text, message.more);
      case 'reopen-logs':
        void this.#accessLog?.reopen();
        return;
      case 'ask':
        return this.#tellController({
          kind: 'answer',
          id: message.id,
          answer: this.#answer(message.question),
        });
      case 'report-anew':
        this.#board.invalidate();
        this.#report();
        return;
      case 'drain':
        return this.drain(message.idleMs, message.deadlineMs);
    }
  }

  /**
   * Stops accepting, waits for what is in flight, and exits. Connections that wait for a request are closed after
   * `idleMs` (until then each gets `Connection: close` with its next answer); what is left after `deadlineMs` is cut.
   * Asked again it can only become shorter: a worker that was replaced has an hour, and less when everything stops.
   */
  drain(idleMs: number, deadlineMs: number): void {
    const nowMs = this.#environment.now();
    this.#drainIdleAtMs = Math.min(this.#drainIdleAtMs, nowMs + idleMs);
    this.#drainDueAtMs = Math.min(this.#drainDueAtMs, nowMs + deadlineMs);
    const listeners = [...this.#listeners.values(), ...this.#retired];
    if (!this.#draining) for (const listener of this.#listeners.values()) listener.stopAccepting();
    for (const listener of listeners) listener.drain(deadlineMs);
    if (this.#draining) return;
    this.#draining = true;
    const leave = (): void => {
      for (const listener of listeners) listener.shutdown();
      void this.#leave();
    };
    this.#drainTimer = setInterval(() => {
      const atMs = this.#environment.now();
      if (atMs >= this.#drainIdleAtMs) for (const listener of listeners) listener.closeIdle();
      const open = listeners.reduce((sum, listener) => sum + listener.openConnections, 0);
      if (open === 0 || atMs >= this.#drainDueAtMs) leave();
    }, 50);
  }

  #answer(question: WorkerQuestion): WorkerAnswer {
    if (question.kind === 'flows') {
      return { kind: 'flows', flows: this.#applier.flows(question.cluster, question.node) };
    }
    if (question.kind === 'tables') return { kind: 'tables', tables: tablesOf(this.#runtime.pools) };
    const ports = new Map(
      [...this.#listeners.values()].map((listener) => [listener.config.name, listener.port]),
    );
    return { kind: 'route', route: explainRoute(question, this.#runtime, ports) };
  }

  async #leave(): Promise<void> {
    if (this.#drainTimer !== null) clearInterval(this.#drainTimer);
    if (this.#reportTimer !== null) clearInterval(this.#reportTimer);
    this.#doubtWatch.close();
    this.#applier.close();
    await this.#accessLog?.close(LOG_CLOSE_MS);
    this.#report();
    this.#environment.send({ kind: 'drained' });
    this.#deadlines.close();
    this.#environment.exit(0);
  }

  #apply(version: number, text: string, more: boolean): void {
    const { log, now } = this.#environment;
    const startedAtMs = now();
    try {
      const { snapshot, secrets } = decodePublication(text, this.#decoded);
      this.#decoded = snapshot;
      if (secrets !== null) this.#secrets = secrets;
      if (more) return;
      const tls = this.#buildTls(snapshot);
      const opened = this.#draining ? NO_LISTENERS : this.#openListeners(snapshot);
      try {
        this.#runtime = this.#applier.apply(snapshot, this.#secrets);
      } catch (error) {
        for (const listener of opened.values()) listener.stopAccepting();
        throw error;
      }
      this.#tls = tls;
      this.#tlsSecrets = this.#secrets;
      this.#ticketKeys.set(this.#secrets.ticketKeys);
      this.#memory.ceilingBytes = snapshot.memory.perWorkerBytes;
      this.#applyAccessLog(snapshot);
      if (!this.#draining) this.#applyListeners(snapshot, opened);
      this.#board.values[this.#slots.version] = version;
      const tookMs = now() - startedAtMs;
      this.#board.observe(this.#slots.apply, tookMs / 1000);
      log.debug({ code: 'snapshot-taken', version, tookMs }, 'snapshot taken');
      this.#tellController({ kind: 'applied', version });
      this.#environment.send({ kind: 'serving' });
    } catch (error) {
      if (error instanceof OtherBase) return this.#missed(version, error);
      const reason = error instanceof Error ? error.message : String(error);
      this.#board.values[this.#slots.rejected]! += 1;
      log.error(
        { code: 'snapshot-rejected', version, error: reason },
        'snapshot rejected, the one before serves on',
      );
      this.#tellController({ kind: 'rejected', version, error: reason });
    }
  }

  /** Kept where nothing of it changed: contexts are dear, and most snapshots are about targets. */
  #buildTls(snapshot: Snapshot): ReadonlyMap<string, ListenerTls> {
    const secrets = this.#secrets;
    const built = new Map<string, ListenerTls>();
    for (const config of snapshot.listeners) {
      if (config.tls === null) continue;
      const before = this.#tls.get(config.name);
      // Most snapshots are about targets: then both are the objects that they were, and nothing is hashed.
      const isSame =
        (secrets === this.#tlsSecrets && before?.config === config) ||
        before?.key === ListenerTls.keyOf(config, secrets);
      built.set(
        config.name,
        before !== undefined && isSame
          ? before
          : new ListenerTls(config, secrets, this.#ticketKeys, this.#environment.wallClock),
      );
    }
    return built;
  }

  /** A publication did not come, or was refused on its way: the supervisor gives this worker all that it keeps. */
  #missed(version: number, error: OtherBase): void {
    this.#environment.log.warn({ code: 'snapshot-missed', version, error: error.message }, 'snapshot missed');
    this.#board.values[this.#slots.missed]! += 1;
    this.#environment.send({ kind: 'missed' });
  }

  /**
   * Listens where this worker does not yet; nothing is accepted before the event loop goes on. Throws, with none of them
   * open, when a socket is missing or cannot listen.
   */
  #openListeners(snapshot: Snapshot): ReadonlyMap<string, Listener> {
    const opened = new Map<string, Listener>();
    try {
      for (const config of snapshot.listeners) {
        const key = keyOf(config);
        if (this.#listeners.has(key)) continue;
        const handle = this.#handles.get(key);
        if (handle === undefined) throw new Error(`no socket came for listener ${config.name}`);
        this.#handles.delete(key);
        const meters = new ListenerMeters(this.#board, config.name, config.protocol);
        opened.set(key, new Listener(config, handle, meters, this.#listenerContext));
      }
      return opened;
    } catch (error) {
      for (const listener of opened.values()) listener.stopAccepting();
      throw error;
    }
  }

  #listenerNamed(name: string): Listener | undefined {
    for (const listener of this.#listeners.values()) if (listener.config.name === name) return listener;
    return undefined;
  }

  #applyListeners(snapshot: Snapshot, opened: ReadonlyMap<string, Listener>): void {
    const wanted = new Map(snapshot.listeners.map((config) => [keyOf(config), config]));
    for (const [key, listener] of this.#listeners) {
      if (wanted.has(key)) continue;
      listener.stopAccepting();
      this.#listeners.delete(key);
      this.#retired.add(listener);
    }
    for (const listener of this.#retired) if (listener.openConnections === 0) this.#retired.delete(listener);
    for (const [key, listener] of opened) this.#listeners.set(key, listener);
    for (const [key, config] of wanted) this.#applyListener(this.#listeners.get(key)!, config);
  }

  #applyListener(listener: Listener, config: ListenerConfig): void {
    listener.config = config;
    listener.tls = this.#tls.get(config.name) ?? null;
  }

  #applyAccessLog(snapshot: Snapshot): void {
    const { path, bufferBytes } = snapshot.accessLog;
    const key = `${path} ${bufferBytes}`;
    if (key === this.#accessLogKey) return;
    const before = this.#accessLog;
    this.#accessLogKey = key;
    this.#accessLog =
      path === 'off'
        ? null
        : createAccessLog({
            path: path as LogPath,
            bufferBytes,
            lost: (reason, lines) => {
              this.#board.values[this.#slots.lost[reason]]! += lines;
            },
            failed: (error) =>
              this.#environment.log.error(
                { code: 'access-log-failed', path, error: error.message },
                'access log cannot be written',
              ),
          });
    this.#recorder.log = this.#accessLog;
    void before?.close(LOG_CLOSE_MS);
  }

  /** Looks at the memory, which is seldom enough to cost nothing and often enough to be in time. */
  #watchMemory(): void {
    const { log } = this.#environment;
    const memory = this.#memory;
    const wasOver = memory.over;
    const bytes = memory.look();
    this.#board.values[this.#slots.memory] = bytes;
    this.#board.values[this.#slots.memoryOver] = memory.over ? 1 : 0;
    if (memory.over) {
      const listeners = [...this.#listeners.values(), ...this.#retired];
      let excess = memory.excessBytes;
      for (const listener of listeners) excess -= listener.relieve(excess, wasOver);
    }
    if (memory.over === wasOver) return;
    const fields = { code: 'memory-limit', bytes, ceiling: memory.ceilingBytes };
    if (memory.over) log.warn(fields, 'memory ceiling reached, new work is refused');
    else log.info(fields, 'below the memory ceiling again');
  }

  #report(): void {
    this.#watchMemory();
    const { linesLost } = this.#environment;
    for (const reason of LOST_REASONS) this.#board.values[this.#slots.ownLost[reason]] = linesLost[reason];
    this.#tellController({ kind: 'metrics', frame: this.#board.frame() });
  }

  #tellController(message: WorkerToController): void {
    this.#environment.send({ kind: 'to-controller', message });
  }
}

const byReason = (slotOf: (reason: LostReason) => number): Record<LostReason, number> =>
  Object.fromEntries(LOST_REASONS.map((reason) => [reason, slotOf(reason)])) as Record<LostReason, number>;

/** A worker that drains follows the snapshots for the connections that it has, and listens nowhere. */
const NO_LISTENERS: ReadonlyMap<string, Listener> = new Map();

/** A listener whose name, address or protocol changes is another listener. */
function keyOf(address: Pick<ListenAddress, 'name' | 'host' | 'port' | 'protocol'>): string {
  return `${address.name} ${address.protocol} ${address.host} ${address.port}`;
}

function emptyRuntime(): Runtime {
  return {
    snapshot: {
      version: 0,
      checksum: '',
      eventAtMs: 0,
      listeners: [],
      hostSets: [],
      pools: [],
      routes: [],
      trustedProxies: [],
      accessLog: { path: 'off', bufferBytes: 0 },
      memory: { perWorkerBytes: 0 },
    },
    routers: new Map(),
    pools: [],
    poolPlaces: new Map(),
    trustedProxies: new TrustedProxies([]),
  };
}

/** Runs a worker in this process; the supervisor is at the other end of the IPC channel. */
export function runWorker(log: Logger, lines: ProcessLog): void {
  const send = (message: WorkerToSupervisor): void => {
    // The supervisor may be gone already; then the disconnect handler below ends this process.
    // A supervisor that is going may close the channel in the middle: 'disconnect' tells of it.
    if (process.connected) process.send?.(message, undefined, undefined, () => {});
  };
  const worker = new Worker({
    log,
    now: () => performance.now(),
    wallClock: () => Date.now(),
    random: Math.random,
    tcp: loadTcpBinding(process),
    residentBytes: () => process.memoryUsage.rss(),
    // The supervisor starts workers with --expose-gc.
    collectGarbage: () => globalThis.gc?.({ type: 'major', execution: 'sync' }),
    send,
    exit: (code) => void lines.close().then(() => process.exit(code)),
    descriptorLimit: descriptorLimit(),
    resolveName: (name) => lookup(name, { all: true, order: 'ipv4first' }),
    linesLost: lines.lost,
  });
  process.on('message', (message, handle) => worker.onMessage(message as SupervisorToWorker, handle));
  // The supervisor decides when to stop; a signal sent to the whole group must not end a drain early.
  // Node would answer SIGUSR1 by opening a debugger.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const)
    process.on(signal, () => {});
  process.on('disconnect', () => worker.drain(0, ORPHAN_DRAIN_MS));
  process.on('uncaughtException', (error) => {
    log.fatal({ code: 'internal', error, text: FAILURES.internal.text }, 'worker failed');
    void lines.close().then(() => process.exit(1));
  });
  worker.start();
}

/** Only Linux says it; elsewhere the process finds out by its errors. */
function descriptorLimit(): number {
  try {
    return openFilesLimit(readFileSync('/proc/self/limits', 'latin1'));
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Without a supervisor nothing new is served; what is in flight gets this long. */
const ORPHAN_DRAIN_MS = 5000;
