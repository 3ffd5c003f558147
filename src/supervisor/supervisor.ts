// The supervisor: owns sockets, children, the last publication and signals; parses nothing that comes from outside.

import { availableParallelism } from 'node:os';
import type { Logger } from 'pino';
import type {
  BoundAddress,
  ControllerToSupervisor,
  Publication,
  SupervisorToController,
  SupervisorToWorker,
  WorkerToSupervisor,
} from '../model/messages.ts';
import { Backoff, Child } from './child.ts';
import { CONTROLLER_EXEC_ARGV, WORKER_ENVIRONMENT, WORKER_EXEC_ARGV } from './exec-argv.ts';
import { MetricsLedger } from './metrics-ledger.ts';
import { BindError, boundPort, type SlotSockets, Sockets } from './sockets.ts';
import { WATCH_MS, Watchdog } from './watchdog.ts';

export interface SupervisorOptions {
  /** The program that children run: `entry --role=worker`. */
  readonly entry: string;
  readonly configPath: string;
  readonly logLevel: string | null;
  /** Overrides the configuration's number of workers; 0 or null leaves it. */
  readonly workers: number | null;
  /** From SIGTERM to the end of accepting, so that others see readiness fail first. Default 0. */
  readonly drainDelayMs: number;
  /** From then until what is in flight is cut. Default 30 s. */
  readonly drainTimeoutMs: number;
  readonly log: Logger;
  /** Says in plain lines why there is nothing to run. */
  readonly report: (text: string) => void;
  /** Own log lines that were not written since the start, by reason. */
  readonly lostLines: () => Readonly<Record<string, number>>;
}

const RESTART_BASE_MS = 100;
const RESTART_CAP_MS = 10_000;
/** A replaced worker gets this long to finish; it keeps serving what it has, so time costs nothing but memory. */
const REPLACE_DRAIN_MS = 3_600_000;
/** At a stop, connections that wait for a request are given this long to send it. */
const STOP_IDLE_MS = 2000;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #log: Logger;
  readonly #sockets = new Sockets();
  readonly #workers = new Set<Child>();
  readonly #workerBackoff = new Backoff(RESTART_BASE_MS, RESTART_CAP_MS);
  readonly #controllerBackoff = new Backoff(RESTART_BASE_MS, RESTART_CAP_MS);
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #ledger = new MetricsLedger();
  #controller: Child | null = null;
  #publication: Publication | null = null;
  /** What a worker has to read to be where the others are: a whole text, and the differences since. */
  #texts: Publication[] = [];
  #handles: SlotSockets = new Map();
  #retained: unknown = null;
  #configuration: unknown = null;
  #wantedWorkers = 0;
  #workerCount = 0;
  #stopping = false;
  #finish: (code: number) => void = () => {};
  readonly #serving = Promise.withResolvers<void>();
  readonly #watchdog = new Watchdog(performance.now());
  #watchTimer: NodeJS.Timeout | null = null;
  /** Lost lines that a controller has been told of. */
  readonly #lostTold = new Map<string, number>();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#wantedWorkers = options.workers ?? 0;
  }

  /** Runs until a signal or an unusable configuration ends it; resolves with the exit code. */
  run(): Promise<number> {
    return new Promise((resolve) => {
      this.#finish = (code) => {
        this.#sockets.close();
        for (const timer of this.#timers) clearTimeout(timer);
        if (this.#watchTimer !== null) clearInterval(this.#watchTimer);
        resolve(code);
      };
      this.#watchTimer = setInterval(() => this.#watch(), WATCH_MS);
      this.#startController();
    });
  }

  /** Resolves when the first worker serves. */
  whenServing(): Promise<void> {
    return this.#serving.promise;
  }

  reload(): void {
    this.#tellController({ kind: 'reload' });
    for (const worker of this.#workers) this.#tell(worker, { kind: 'reopen-logs' });
  }

  reopenLogs(): void {
    for (const worker of this.#workers) this.#tell(worker, { kind: 'reopen-logs' });
  }

  /** New processes from the code on disk; each worker leaves when its successor serves. */
  replaceAll(): void {
    if (this.#stopping) return;
    this.#log.info({ code: 'replacing' }, 'replacing controller and workers');
    if (this.#controller !== null) {
      this.#controller.draining = true;
      this.#controller.kill('SIGTERM');
    }
    const old = [...this.#workers].filter((worker) => !worker.draining);
    for (const worker of old) {
      const successor = this.#startWorker(worker.slot);
      this.#successors.set(successor, worker);
    }
  }

  readonly #successors = new Map<Child, Child>();

  /** First call drains; the second stops at once. */
  stop(): void {
    if (this.#stopping) {
      for (const child of this.#children()) child.kill('SIGKILL');
      this.#finish(0);
      return;
    }
    this.#stopping = true;
    this.#log.info({ code: 'draining' }, 'draining');
    this.#tellController({ kind: 'draining' });
    this.#later(this.#options.drainDelayMs, () => {
      for (const worker of this.#workers) this.#drain(worker, STOP_IDLE_MS, this.#options.drainTimeoutMs);
      // With the workers' copies closed as well, new connections are refused instead of left waiting.
      this.#sockets.close();
      this.#finishWhenDrained();
    });
  }

  // Controller ---------------------------------------------------------------------------------------------------

  #startController(): void {
    const { configPath, logLevel } = this.#options;
    this.#controller = new Child({
      role: 'controller',
      name: 'controller',
      slot: 0,
      entry: this.#options.entry,
      args: ['--role=controller', configPath, ...(logLevel === null ? [] : [logLevel])],
      execArgv: CONTROLLER_EXEC_ARGV,
      environment: {},
      log: this.#log,
      onMessage: (child, message) => {
        if (child === this.#controller) this.#onControllerMessage(message as ControllerToSupervisor);
      },
      onExit: (child, reason) => this.#onControllerExit(child, reason),
    });
    this.#tellController({
      kind: 'start',
      retained: this.#retained,
      configuration: this.#configuration,
      version: this.#publication?.version ?? 0,
    });
    for (const message of this.#ledger.exits()) this.#tellController(message);
    for (const worker of this.#workers) {
      this.#tellController({ kind: 'worker-started', worker: worker.name, pid: worker.pid });
      this.#tell(worker, { kind: 'report-anew' });
    }
  }

  #onControllerMessage(message: ControllerToSupervisor): void {
    switch (message.kind) {
      case 'publish':
        return this.#publish(message.publication);
      case 'keep':
        if (message.publication.version === this.#publication?.version) this.#texts = [message.publication];
        return;
      case 'settings':
        this.#setWorkers(message.workers);
        return;
      case 'ask':
        for (const worker of this.#workers) {
          if (message.worker !== null && message.worker !== worker.name) continue;
          this.#tell(worker, { kind: 'ask', id: message.id, question: message.question });
        }
        return;
      case 'keep-configuration':
        this.#configuration = message.configuration;
        return;
      case 'retain':
        this.#retained = message.state;
        return;
      case 'unusable':
        this.#options.report(message.report);
        if (this.#publication === null) {
          this.#stopping = true;
          this.#controller?.kill('SIGTERM');
          this.#finish(1);
        }
        return;
    }
  }

  #onControllerExit(child: Child, reason: string): void {
    if (child !== this.#controller) return;
    this.#controller = null;
    if (this.#stopping) return this.#finishWhenDrained();
    if (child.draining) return this.#startController();
    const delayMs = this.#controllerBackoff.next(performance.now() - child.startedAtMs);
    this.#log.error({ code: 'controller-died', reason, delayMs }, 'controller died, traffic goes on');
    this.#later(delayMs, () => {
      this.#startController();
      this.#tellController({ kind: 'process-exited', role: 'controller', worker: child.name, reason });
    });
  }

  #publish(publication: Publication): void {
    if (this.#stopping) return;
    const { base, version } = publication;
    if (base !== null && base !== this.#publication?.version) {
      this.#tellController({ kind: 'whole-needed', version });
      return;
    }
    const before = this.#publication;
    if (!this.#bind(publication)) return;
    if (base === null) this.#texts = [];
    this.#texts.push(publication);
    for (const worker of this.#workers) {
      this.#giveListeners(worker, before);
      this.#giveTexts(worker, [publication]);
    }
    this.#settleSockets();
  }

  /** Sockets and processes for the number of workers that is now wanted. */
  #resize(): void {
    const before = this.#publication;
    if (this.#stopping || before === null || !this.#bind(before)) return;
    for (const worker of this.#workers) this.#giveListeners(worker, before);
    this.#settleSockets();
  }

  /** False when an address could not be bound: then nothing has changed. */
  #bind(publication: Publication): boolean {
    let handles: SlotSockets;
    try {
      handles = this.#sockets.bind(publication.listeners, this.#slots());
    } catch (error) {
      if (!(error instanceof BindError)) throw error;
      this.#log.error({ code: 'bind-failed', listener: error.listener, error: error.message }, 'cannot bind');
      this.#tellController({
        kind: 'bind-failed',
        version: publication.version,
        listener: error.listener,
        error: error.message,
      });
      if (this.#publication === null) {
        this.#options.report(`portico: cannot listen on ${error.message}\n`);
        this.#stopping = true;
        this.#controller?.kill('SIGTERM');
        this.#finish(1);
      }
      return false;
    }
    const before = this.#publication;
    this.#publication = publication;
    this.#handles = handles;
    for (const address of this.#addresses()) this.#logListening(address, before);
    return true;
  }

  #settleSockets(): void {
    const { listeners, version } = this.#publication!;
    this.#sockets.closeOthers(listeners, this.#slots());
    this.#tellController({ kind: 'bound', version, addresses: this.#addresses() });
    this.#startMissingWorkers();
  }

  #addresses(): readonly BoundAddress[] {
    return (this.#publication?.listeners ?? []).map(({ name, host }) => ({
      name,
      host,
      port: boundPort(this.#handles.get(name)![0]!),
    }));
  }

  #logListening({ name, host, port }: BoundAddress, before: Publication | null): void {
    const configured = this.#publication!.listeners.find((address) => address.name === name);
    const known = before?.listeners.some(
      (address) => address.name === name && address.host === host && address.port === configured?.port,
    );
    if (known === true) return;
    this.#log.info({ code: 'listening', listener: name, host, port }, 'listening');
  }

  // Workers ------------------------------------------------------------------------------------------------------

  #startMissingWorkers(): void {
    if (this.#stopping || this.#publication === null) return;
    const slots = this.#slots();
    const current = [...this.#workers].filter((worker) => !worker.draining);
    for (let slot = 0; slot < slots; slot += 1) {
      if (!current.some((worker) => worker.slot === slot)) this.#startWorker(slot);
    }
    for (const worker of current) {
      if (worker.slot >= slots) this.#drain(worker, REPLACE_DRAIN_MS, REPLACE_DRAIN_MS);
    }
  }

  #setWorkers(workers: number): void {
    if (this.#options.workers !== null || workers === this.#wantedWorkers) return;
    this.#wantedWorkers = workers;
    // Sockets and processes follow at once: a snapshot that is the same as before may never be published anew.
    this.#resize();
  }

  #slots(): number {
    return this.#wantedWorkers > 0 ? this.#wantedWorkers : availableParallelism();
  }

  #startWorker(slot: number): Child {
    this.#workerCount += 1;
    const { logLevel } = this.#options;
    const worker = new Child({
      role: 'worker',
      name: `worker-${this.#workerCount}`,
      slot,
      entry: this.#options.entry,
      args: ['--role=worker', ...(logLevel === null ? [] : [logLevel])],
      execArgv: WORKER_EXEC_ARGV,
      environment: WORKER_ENVIRONMENT,
      log: this.#log,
      onMessage: (child, message) => this.#onWorkerMessage(child, message as WorkerToSupervisor),
      onExit: (child, reason) => this.#onWorkerExit(child, reason),
    });
    this.#workers.add(worker);
    this.#giveListeners(worker, null);
    this.#giveTexts(worker, this.#texts);
    this.#tellController({ kind: 'worker-started', worker: worker.name, pid: worker.pid });
    return worker;
  }

  /** Sockets that the worker has not got yet; they come ahead of the texts that name them. */
  #giveListeners(worker: Child, before: Publication | null): void {
    const publication = this.#publication!;
    for (const address of worker.draining ? [] : publication.listeners) {
      const known = before?.listeners.some(
        ({ name, host, port, protocol }) =>
          name === address.name &&
          host === address.host &&
          port === address.port &&
          protocol === address.protocol,
      );
      if (known !== true)
        this.#tell(worker, { kind: 'listener', address }, this.#handles.get(address.name)?.[worker.slot]);
    }
  }

  /** One that drains still needs the targets of today. */
  #giveTexts(worker: Child, texts: readonly Publication[]): void {
    for (const [index, { version, text }] of texts.entries())
      this.#tell(worker, { kind: 'snapshot', version, text, more: index + 1 < texts.length });
  }

  #onWorkerMessage(worker: Child, message: WorkerToSupervisor): void {
    switch (message.kind) {
      case 'up':
        return;
      case 'serving': {
        this.#serving.resolve();
        const predecessor = this.#successors.get(worker);
        this.#successors.delete(worker);
        if (predecessor !== undefined) this.#drain(predecessor, REPLACE_DRAIN_MS, REPLACE_DRAIN_MS);
        return;
      }
      case 'drained':
        return;
      case 'missed':
        return this.#giveTexts(worker, this.#texts);
      case 'to-controller':
        if (message.message.kind === 'metrics') this.#ledger.keep(worker.name, message.message.frame);
        this.#tellController({ kind: 'worker-said', worker: worker.name, message: message.message });
        return;
    }
  }

  #onWorkerExit(worker: Child, reason: string): void {
    this.#workers.delete(worker);
    const expected = worker.draining && reason === 'exit-0';
    const why = expected ? 'drained' : reason;
    for (const news of this.#ledger.exited(worker.name, why)) this.#tellController(news);
    if (this.#stopping) return this.#finishWhenDrained();
    const predecessor = this.#successors.get(worker);
    this.#successors.delete(worker);
    if (expected) return;
    const delayMs = this.#workerBackoff.next(performance.now() - worker.startedAtMs);
    this.#log.error(
      { code: 'worker-died', worker: worker.name, pid: worker.pid, reason, delayMs },
      'worker died, starting another',
    );
    // The predecessor of a failed successor serves on.
    if (predecessor !== undefined) return;
    this.#later(delayMs, () => this.#startMissingWorkers());
  }

  /** Idle connections end by their listener's idle timeout where `idleMs` is longer than that. */
  #drain(worker: Child, idleMs: number, deadlineMs: number): void {
    worker.draining = true;
    this.#tell(worker, { kind: 'drain', idleMs, deadlineMs });
  }

  #finishWhenDrained(): void {
    if (this.#workers.size > 0) return;
    if (this.#controller !== null) {
      this.#controller.kill('SIGTERM');
      return;
    }
    this.#finish(0);
  }

  // Watching -----------------------------------------------------------------------------------------------------

  /** A blocked event loop answers no message and no SIGTERM: the process is killed and replaced like one that died. */
  #watch(): void {
    const nowMs = performance.now();
    for (const child of this.#watchdog.silent(this.#children(), nowMs)) {
      const silentMs = Math.round(nowMs - child.heardAtMs);
      const fields = { code: `${child.role}-hung`, child: child.name, pid: child.pid, silentMs };
      this.#log.error(fields, `${child.role} hangs, killing it`);
      child.end('hung');
    }
    this.#tellLostLines();
  }

  #tellLostLines(): void {
    if (this.#controller === null || !this.#controller.spoke) return;
    for (const [reason, lines] of Object.entries(this.#options.lostLines())) {
      const fresh = lines - (this.#lostTold.get(reason) ?? 0);
      if (fresh === 0) continue;
      this.#lostTold.set(reason, lines);
      this.#tellController({ kind: 'lines-lost', reason, lines: fresh });
    }
  }

  // Plumbing -----------------------------------------------------------------------------------------------------

  #children(): Child[] {
    return this.#controller === null ? [...this.#workers] : [...this.#workers, this.#controller];
  }

  #tell(worker: Child, message: SupervisorToWorker, handle?: unknown): void {
    worker.send(message, handle);
  }

  #tellController(message: SupervisorToController): void {
    this.#controller?.send(message);
  }

  #later(delayMs: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, delayMs);
    this.#timers.add(timer);
  }
}
