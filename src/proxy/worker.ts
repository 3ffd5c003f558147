// The data plane of one process: makes the worker's parts, and drives them by the supervisor's messages.

import type { Logger } from 'pino';
import { ANSWER_LIMITS } from '../http1/limits.ts';
import { Workspace } from '../http2/workspace.ts';
import type {
  SupervisorToWorker,
  WorkerAnswer,
  WorkerQuestion,
  WorkerToController,
  WorkerToSupervisor,
} from '../model/messages.ts';
import { NO_SECRETS, type Secrets } from '../model/secrets.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { Names, type NamesOptions } from '../names/names.ts';
import { decodePublication, OtherBase } from '../snapshot/decode.ts';
import type { LostReason } from '../telemetry/access-log.ts';
import { MetricsBoard } from '../telemetry/metrics-board.ts';
import { AccessLogSwitch } from './access-log-switch.ts';
import { MemoryRelief } from './admission/memory-relief.ts';
import { MemoryWatch } from './admission/memory-watch.ts';
import { Applier } from './apply.ts';
import { Deadlines } from './deadlines.ts';
import { Descriptors } from './descriptors.ts';
import { explainRoute } from './explain-route.ts';
import { HttpDate } from './http/date.ts';
import { PieceBudget } from './http/piece-budget.ts';
import { RequestIds } from './http/request-id.ts';
import { Listeners, SocketMissing } from './listeners.ts';
import { Recorder } from './recorder.ts';
import { emptyRuntime, type Runtime } from './runtime.ts';
import { DoubtWatch } from './upstream/doubt-watch.ts';
import { Http1Streams } from './upstream/http1-streams.ts';
import { tablesOf } from './upstream/pool.ts';
import { SilenceWatch } from './upstream/silence.ts';
import { SocketTable } from './upstream/socket-table.ts';
import { WallClock } from './wall-clock.ts';
import { BufferPool } from './wire/buffer-pool.ts';
import { BurstShare } from './wire/burst-share.ts';
import { PassShare } from './wire/pass-share.ts';
import { ReadMemory } from './wire/read-memory.ts';
import type { ListeningHandle } from './wire/socket-handle.ts';
import type { TcpBinding } from './wire/tcp-binding.ts';
import { Turn } from './wire/turn.ts';
import type { WireContext } from './wire/wire.ts';
import { WorkerDrain } from './worker-drain.ts';
import { WorkerMeters } from './worker-meters.ts';

/** How often counters go to the controller; what a killed worker counted since is lost, no more. */
const REPORT_MS = 250;

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
  readonly #meters = new WorkerMeters(this.#board);
  readonly #deadlines: Deadlines;
  readonly #applier: Applier;
  readonly #doubtWatch: DoubtWatch;
  readonly #listeners: Listeners;
  readonly #accessLog: AccessLogSwitch;
  readonly #memory: MemoryWatch;
  readonly #memoryRelief: MemoryRelief;
  readonly #drain: WorkerDrain;
  #runtime: Runtime = emptyRuntime();
  /** The version whose sockets were asked for anew, once. */
  #missedSockets = -1;
  /** The last snapshot that came, which the next difference begins from, also when it could not be honoured. */
  #decoded: Snapshot | null = null;
  #secrets: Secrets = NO_SECRETS;
  #reportTimer: NodeJS.Timeout | null = null;

  constructor(environment: WorkerEnvironment) {
    const { now, wallClock, random, log } = environment;
    this.#environment = environment;
    const defer = environment.tcp === null ? setImmediate : environment.tcp.defer;
    const share = new PassShare({ now, defer });
    this.#deadlines = new Deadlines(now, share);
    const buffers = new BufferPool();
    this.#memory = new MemoryWatch(environment.residentBytes, environment.collectGarbage, now, buffers);
    const turn = new Turn({ clock: now, defer });
    const names = new Names({
      resolve: environment.resolveName,
      now,
      log,
      onResult: (result) => this.#meters.nameLooked(result),
    });
    const wires: WireContext = {
      lookup: names.lookup,
      turn,
      share,
      pool: buffers,
      deadlines: this.#deadlines,
      now: turn.now,
      tcp: environment.tcp,
      reads: new ReadMemory(),
    };
    const http2 = new Workspace();
    this.#applier = new Applier({
      deadlines: this.#deadlines,
      random,
      now,
      pools: {
        board: this.#board,
        wires,
        limits: ANSWER_LIMITS,
        streams: new Http1Streams(ANSWER_LIMITS),
        load: { idle: 0 },
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
    const timeOfDay = new WallClock(wallClock, turn.now).now;
    const recorder = new Recorder(timeOfDay);
    this.#accessLog = new AccessLogSwitch(recorder, log, (reason, lines) =>
      this.#meters.accessLinesLost(reason, lines),
    );
    this.#listeners = new Listeners(this.#board, wallClock, {
      wires,
      descriptors: new Descriptors({ limit: environment.descriptorLimit, log }),
      arrivals: new BurstShare(defer),
      log,
      pressure: this.#memory,
      exchanges: {
        runtime: () => this.#runtime,
        now: turn.now,
        wallClock: timeOfDay,
        random,
        deadlines: this.#deadlines,
        turn,
        share,
        date: new HttpDate(timeOfDay),
        requestIds: new RequestIds(timeOfDay, random),
        silence: new SilenceWatch(now, sockets),
        pieces: new PieceBudget(),
        buffers,
        http2,
        recorder,
      },
    });
    this.#memoryRelief = new MemoryRelief({
      watch: this.#memory,
      log,
      onLook: (bytes, over) => this.#meters.memory(bytes, over),
      relieve: (excessBytes, stuckToo) => this.#listeners.relieve(excessBytes, stuckToo),
    });
    this.#drain = new WorkerDrain(this.#listeners, now, () => void this.#leave());
  }

  start(): void {
    this.#deadlines.start();
    this.#reportTimer = setInterval(() => this.#report(), REPORT_MS);
    this.#environment.send({ kind: 'up' });
  }

  onMessage(message: SupervisorToWorker, handle: unknown): void {
    switch (message.kind) {
      case 'listener':
        // Without one, where the supervisor had closed it by then: what comes behind names it no more.
        if (handle !== undefined) this.#listeners.give(message.address, handle as ListeningHandle);
        return;
      case 'snapshot':
        return this.#take(message.version, message.text, message.more);
      case 'reopen-logs':
        return this.#accessLog.reopen();
      case 'ask':
        return this.#tellController({
          kind: 'answer',
          id: message.id,
          answer: this.#answer(message.question),
        });
      case 'report-anew':
        this.#board.invalidate();
        return this.#report();
      case 'drain':
        return this.drain(message.idleMs, message.deadlineMs);
    }
  }

  /** Lets what is in flight end, as `WorkerDrain.begin` says, and exits. */
  drain(idleMs: number, deadlineMs: number): void {
    this.#drain.begin(idleMs, deadlineMs);
  }

  async #leave(): Promise<void> {
    if (this.#reportTimer !== null) clearInterval(this.#reportTimer);
    this.#doubtWatch.close();
    this.#applier.close();
    await this.#accessLog.close();
    this.#report();
    this.#environment.send({ kind: 'drained' });
    this.#deadlines.close();
    this.#environment.exit(0);
  }

  #take(version: number, text: string, more: boolean): void {
    const { log, now } = this.#environment;
    const startedAtMs = now();
    try {
      const { snapshot, secrets } = decodePublication(text, this.#decoded);
      this.#decoded = snapshot;
      if (secrets !== null) this.#secrets = secrets;
      if (more) return;
      this.#apply(snapshot);
      const tookMs = now() - startedAtMs;
      this.#meters.snapshotTaken(version, tookMs);
      log.debug({ code: 'snapshot-taken', version, tookMs }, 'snapshot taken');
      this.#tellController({ kind: 'applied', version });
      this.#environment.send({ kind: 'serving' });
    } catch (error) {
      const isMissing = error instanceof SocketMissing && version !== this.#missedSockets;
      if (isMissing) this.#missedSockets = version;
      if (isMissing || error instanceof OtherBase) return this.#missed(version, error as Error);
      const reason = error instanceof Error ? error.message : String(error);
      this.#meters.snapshotRejected();
      log.error(
        { code: 'snapshot-rejected', version, error: reason },
        'snapshot rejected, the one before serves on',
      );
      this.#tellController({ kind: 'rejected', version, error: reason });
    }
  }

  /** Everything is built before anything is swapped; throws when the snapshot cannot be honoured. */
  #apply(snapshot: Snapshot): void {
    const before = this.#runtime;
    const listeners = this.#listeners.prepare(snapshot.listeners, this.#secrets);
    try {
      this.#runtime = this.#applier.apply(snapshot, this.#secrets);
    } catch (error) {
      this.#listeners.abandon(listeners);
      throw error;
    }
    this.#memory.ceilingBytes = snapshot.memory.perWorkerBytes;
    this.#accessLog.use(snapshot.accessLog);
    this.#listeners.commit(listeners, before);
    for (const { load } of this.#runtime.pools) load.tellAll();
  }

  /** A publication or a socket did not come, or was refused on its way: the supervisor gives this worker all that it keeps. */
  #missed(version: number, error: Error): void {
    this.#environment.log.warn({ code: 'snapshot-missed', version, error: error.message }, 'snapshot missed');
    this.#meters.snapshotMissed();
    this.#environment.send({ kind: 'missed' });
  }

  #answer(question: WorkerQuestion): WorkerAnswer {
    switch (question.kind) {
      case 'flows':
        return { kind: 'flows', flows: this.#applier.flows(question.cluster, question.node) };
      case 'tables':
        return { kind: 'tables', tables: tablesOf(this.#runtime.pools) };
      case 'route':
        return { kind: 'route', route: explainRoute(question, this.#runtime, this.#listeners.ports) };
    }
  }

  #report(): void {
    this.#environment.tcp?.rest();
    this.#memoryRelief.look();
    this.#meters.ownLinesLost(this.#environment.linesLost);
    this.#tellController({ kind: 'metrics', frame: this.#board.frame() });
  }

  #tellController(message: WorkerToController): void {
    this.#environment.send({ kind: 'to-controller', message });
  }
}
