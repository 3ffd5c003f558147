// The worker processes: one for each slot, those that take its place, and those that still finish what they have.

import { availableParallelism } from 'node:os';
import type { Logger } from 'pino';
import type {
  ListenAddress,
  Publication,
  SupervisorToController,
  SupervisorToWorker,
  WorkerQuestion,
  WorkerToSupervisor,
} from '../model/messages.ts';
import { Backoff, Child, RESTART_BASE_MS, RESTART_CAP_MS } from './child.ts';
import { WORKER_ENVIRONMENT, WORKER_EXEC_ARGV } from './exec-argv.ts';
import { MetricsLedger } from './metrics-ledger.ts';
import type { PublicationInForce } from './publication-in-force.ts';

export interface WorkersOptions {
  readonly entry: string;
  readonly logLevel: string | null;
  readonly log: Logger;
  readonly later: (delayMs: number, action: () => void) => void;
  readonly published: PublicationInForce;
  readonly tellController: (message: SupervisorToController) => void;
  /** One of them has put a publication in force. */
  readonly onServing: () => void;
  /** The last one has ended, and none is started any more. */
  readonly onEnd: () => void;
}

/** A replaced worker gets this long to finish; it keeps serving what it has, so time costs nothing but memory. */
const REPLACE_DRAIN_MS = 3_600_000;

export class Workers {
  readonly #options: WorkersOptions;
  /** Those that drain included. */
  readonly #children = new Set<Child>();
  /** Predecessor of each that does not serve yet. */
  readonly #predecessors = new Map<Child, Child>();
  readonly #backoff = new Backoff(RESTART_BASE_MS, RESTART_CAP_MS);
  readonly #ledger = new MetricsLedger();
  #count = 0;
  #ending = false;
  /** How many there are to be; 0 is one for each processor. */
  wanted = 0;

  constructor(options: WorkersOptions) {
    this.#options = options;
  }

  get children(): Iterable<Child> {
    return this.#children;
  }

  get size(): number {
    return this.#children.size;
  }

  get slots(): number {
    return this.wanted > 0 ? this.wanted : availableParallelism();
  }

  /** Starts what is missing of the slots there are to be, and lets go of what is too many. */
  fill(): void {
    if (this.#ending || this.#options.published.isNone) return;
    const { slots } = this;
    const current = this.#current();
    for (let slot = 0; slot < slots; slot += 1) {
      if (!current.some((worker) => worker.slot === slot)) this.#start(slot);
    }
    for (const worker of current) {
      if (worker.slot >= slots) this.#drain(worker, REPLACE_DRAIN_MS, REPLACE_DRAIN_MS);
    }
  }

  /** Gives all of them a publication that has been put in force; `before` is what was listened on until then. */
  publish(publication: Publication, before: readonly ListenAddress[]): void {
    for (const worker of this.#children) {
      this.#giveListeners(worker, before);
      this.#giveTexts(worker, [publication]);
    }
  }

  /** New processes from the code on disk; each worker leaves when its successor serves. */
  replaceAll(): void {
    const waiting = new Set(this.#predecessors.values());
    for (const worker of this.#current()) {
      if (waiting.has(worker)) continue;
      const predecessor = this.#predecessors.get(worker);
      if (predecessor !== undefined) {
        // It does not serve yet, and may have the code of an earlier call.
        this.#predecessors.delete(worker);
        this.#drain(worker, REPLACE_DRAIN_MS, REPLACE_DRAIN_MS);
      }
      this.#predecessors.set(this.#start(worker.slot), predecessor ?? worker);
    }
  }

  reopenLogs(): void {
    for (const worker of this.#children) tell(worker, { kind: 'reopen-logs' });
  }

  /** @param name null asks all of them */
  ask(name: string | null, id: number, question: WorkerQuestion): void {
    for (const worker of this.#children)
      if (name === null || name === worker.name) tell(worker, { kind: 'ask', id, question });
  }

  /** Tells a new controller of those that have ended and those that there are. */
  introduce(): void {
    const { tellController } = this.#options;
    for (const message of this.#ledger.exits()) tellController(message);
    for (const worker of this.#children) {
      tellController({ kind: 'worker-started', worker: worker.name, pid: worker.pid });
      tell(worker, { kind: 'report-anew' });
    }
  }

  /** From here on one that ends is not started again. */
  startNoMore(): void {
    this.#ending = true;
  }

  drain(idleMs: number, deadlineMs: number): void {
    for (const worker of this.#children) this.#drain(worker, idleMs, deadlineMs);
  }

  #current(): readonly Child[] {
    return [...this.#children].filter((worker) => !worker.draining);
  }

  #start(slot: number): Child {
    this.#count += 1;
    const { entry, logLevel, log, published, tellController } = this.#options;
    const worker = new Child({
      role: 'worker',
      name: `worker-${this.#count}`,
      slot,
      entry,
      args: ['--role=worker', ...(logLevel === null ? [] : [logLevel])],
      execArgv: WORKER_EXEC_ARGV,
      environment: WORKER_ENVIRONMENT,
      log,
      onMessage: (child, message) => this.#onMessage(child, message as WorkerToSupervisor),
      onExit: (child, reason) => this.#onExit(child, reason),
    });
    this.#children.add(worker);
    this.#giveListeners(worker, []);
    this.#giveTexts(worker, published.texts);
    tellController({ kind: 'worker-started', worker: worker.name, pid: worker.pid });
    return worker;
  }

  /** Sockets that the worker has not got yet; they come ahead of the texts that name them. */
  #giveListeners(worker: Child, before: readonly ListenAddress[]): void {
    if (worker.draining) return;
    const { published } = this.#options;
    for (const address of published.listeners) {
      if (before.some((known) => isSame(known, address))) continue;
      tell(worker, { kind: 'listener', address }, published.handle(address.name, worker.slot));
    }
  }

  /** One that drains still needs the targets of today. */
  #giveTexts(worker: Child, texts: readonly Publication[]): void {
    for (const [index, { version, text }] of texts.entries())
      tell(worker, { kind: 'snapshot', version, text, more: index + 1 < texts.length });
  }

  /** Idle connections end by their listener's idle timeout where `idleMs` is longer than that. */
  #drain(worker: Child, idleMs: number, deadlineMs: number): void {
    worker.draining = true;
    tell(worker, { kind: 'drain', idleMs, deadlineMs });
  }

  #onMessage(worker: Child, message: WorkerToSupervisor): void {
    const { published, tellController, onServing } = this.#options;
    switch (message.kind) {
      case 'up':
        return;
      case 'serving': {
        onServing();
        const predecessor = this.#predecessors.get(worker);
        this.#predecessors.delete(worker);
        if (predecessor !== undefined) this.#drain(predecessor, REPLACE_DRAIN_MS, REPLACE_DRAIN_MS);
        return;
      }
      case 'drained':
        return;
      case 'missed':
        this.#giveListeners(worker, []);
        return this.#giveTexts(worker, published.texts);
      case 'to-controller':
        if (message.message.kind === 'metrics') this.#ledger.keep(worker.name, message.message.frame);
        return tellController({ kind: 'worker-said', worker: worker.name, message: message.message });
    }
  }

  #onExit(worker: Child, reason: string): void {
    const { log, later, tellController, onEnd } = this.#options;
    this.#children.delete(worker);
    const expected = worker.draining && reason === 'exit-0';
    const why = expected ? 'drained' : reason;
    for (const news of this.#ledger.exited(worker.name, why)) tellController(news);
    if (this.#ending) {
      if (this.size === 0) onEnd();
      return;
    }
    const predecessor = this.#predecessors.get(worker);
    this.#predecessors.delete(worker);
    if (expected) return;
    const delayMs = this.#backoff.next(performance.now() - worker.startedAtMs);
    log.error(
      { code: 'worker-died', worker: worker.name, pid: worker.pid, reason, delayMs },
      'worker died, starting another',
    );
    // The predecessor of a failed successor serves on, unless it has died meanwhile.
    if (predecessor?.exited === false) return;
    later(delayMs, () => this.fill());
  }
}

function tell(worker: Child, message: SupervisorToWorker, handle?: unknown): void {
  worker.send(message, handle);
}

function isSame(left: ListenAddress, right: ListenAddress): boolean {
  return (
    left.name === right.name &&
    left.host === right.host &&
    left.port === right.port &&
    left.protocol === right.protocol
  );
}
