// The supervisor: owns sockets, children, the last publication and signals; parses nothing that comes from outside.

import type { Logger } from 'pino';
import type { ControllerToSupervisor, Publication } from '../model/messages.ts';
import type { Child } from './child.ts';
import { ControllerProcess } from './controller-process.ts';
import { PublicationInForce } from './publication-in-force.ts';
import { BindError } from './sockets.ts';
import { WATCH_MS, Watchdog } from './watchdog.ts';
import { Workers } from './workers.ts';

export interface SupervisorOptions {
  /** The program that children run: `entry --role=worker`. */
  readonly entry: string;
  readonly configPath: string;
  readonly logLevel: string | null;
  /** Overrides the configuration's number of workers; 0 or null leaves it. */
  readonly workers: number | null;
  /** From SIGTERM until what is in flight is cut. */
  readonly drainTimeoutMs: number;
  readonly log: Logger;
  /** Says in plain lines why there is nothing to run. */
  readonly report: (text: string) => void;
  /** Own log lines that were not written since the start, by reason. */
  readonly lostLines: () => Readonly<Record<string, number>>;
}

/** At a stop, connections that wait for a request are given this long to send it. */
const STOP_IDLE_MS = 2000;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #log: Logger;
  readonly #published = new PublicationInForce();
  readonly #controller: ControllerProcess;
  readonly #workers: Workers;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #serving = Promise.withResolvers<void>();
  readonly #watchdog = new Watchdog(performance.now());
  #watchTimer: NodeJS.Timeout | null = null;
  /** Lost lines that a controller has been told of. */
  readonly #lostTold = new Map<string, number>();
  #stopping = false;
  #finish: (code: number) => void = () => {};

  constructor(options: SupervisorOptions) {
    const { entry, configPath, logLevel, log } = options;
    this.#options = options;
    this.#log = log;
    const later = (delayMs: number, action: () => void): void => this.#later(delayMs, action);
    this.#controller = new ControllerProcess({
      entry,
      configPath,
      logLevel,
      log,
      later,
      version: () => this.#published.version,
      onStart: () => this.#workers.introduce(),
      onMessage: (message) => this.#onControllerMessage(message),
      onEnd: () => this.#finishWhenDrained(),
    });
    this.#workers = new Workers({
      entry,
      logLevel,
      log,
      later,
      published: this.#published,
      tellController: (message) => this.#controller.tell(message),
      onServing: () => this.#serving.resolve(),
      onEnd: () => this.#finishWhenDrained(),
    });
    this.#workers.wanted = options.workers ?? 0;
  }

  /** Runs until a signal or an unusable configuration ends it; resolves with the exit code. */
  run(): Promise<number> {
    return new Promise((resolve) => {
      this.#finish = (code) => {
        this.#published.close();
        for (const timer of this.#timers) clearTimeout(timer);
        if (this.#watchTimer !== null) clearInterval(this.#watchTimer);
        resolve(code);
      };
      this.#watchTimer = setInterval(() => this.#watch(), WATCH_MS);
      this.#controller.start();
    });
  }

  /** Resolves when the first worker serves. */
  whenServing(): Promise<void> {
    return this.#serving.promise;
  }

  reload(): void {
    this.#controller.tell({ kind: 'reload' });
    this.#workers.reopenLogs();
  }

  reopenLogs(): void {
    this.#workers.reopenLogs();
  }

  /** New processes from the code on disk. */
  replaceAll(): void {
    if (this.#stopping) return;
    this.#log.info({ code: 'replacing' }, 'replacing controller and workers');
    this.#controller.replace();
    this.#workers.replaceAll();
  }

  /** First call drains; the second stops at once. */
  stop(): void {
    if (this.#stopping) {
      for (const child of this.#children()) child.kill('SIGKILL');
      this.#finish(0);
      return;
    }
    this.#startNoMore();
    this.#log.info({ code: 'draining' }, 'draining');
    this.#controller.tell({ kind: 'draining' });
    this.#workers.drain(STOP_IDLE_MS, this.#options.drainTimeoutMs);
    // With the workers' copies closed as well, new connections are refused instead of left waiting.
    this.#published.close();
    this.#finishWhenDrained();
  }

  // What the controller wants ------------------------------------------------------------------------------------

  #onControllerMessage(message: ControllerToSupervisor): void {
    switch (message.kind) {
      case 'publish':
        return this.#publish(message.publication);
      case 'keep':
        return this.#published.keep(message.publication);
      case 'settings':
        return this.#setWorkers(message.workers);
      case 'ask':
        return this.#workers.ask(message.worker, message.id, message.question);
      case 'unusable':
        this.#options.report(message.report);
        if (this.#published.isNone) this.#giveUp();
        return;
    }
  }

  #publish(publication: Publication): void {
    if (this.#stopping) return;
    const { version } = publication;
    if (!this.#published.isFollowedBy(publication)) {
      this.#controller.tell({ kind: 'whole-needed', version });
      return;
    }
    const before = this.#published.listeners;
    const isBound = this.#bind(version, () => {
      for (const { name, host, port } of this.#published.take(publication, this.#workers.slots))
        this.#log.info({ code: 'listening', listener: name, host, port }, 'listening');
    });
    if (!isBound) return;
    this.#workers.publish(publication, before);
    this.#settle();
  }

  #setWorkers(workers: number): void {
    if (this.#options.workers !== null || workers === this.#workers.wanted) return;
    this.#workers.wanted = workers;
    // Sockets and processes follow at once: a snapshot that is the same as before may never be published anew.
    if (this.#stopping || this.#published.isNone) return;
    if (this.#bind(this.#published.version, () => this.#published.resize(this.#workers.slots)))
      this.#settle();
  }

  /** False when an address could not be bound: then nothing has changed. */
  #bind(version: number, bind: () => void): boolean {
    try {
      bind();
      return true;
    } catch (error) {
      if (!(error instanceof BindError)) throw error;
      const { listener, message } = error;
      this.#log.error({ code: 'bind-failed', listener, error: message }, 'cannot bind');
      this.#controller.tell({ kind: 'bind-failed', version, listener, error: message });
      if (this.#published.isNone) {
        this.#options.report(`portico: cannot listen on ${message}\n`);
        this.#giveUp();
      }
      return false;
    }
  }

  /** Sockets and processes are as many as the publication in force needs. */
  #settle(): void {
    const { version, addresses } = this.#published;
    this.#published.closeOthers(this.#workers.slots);
    this.#controller.tell({ kind: 'bound', version, addresses });
    this.#workers.fill();
  }

  // The end ------------------------------------------------------------------------------------------------------

  #startNoMore(): void {
    this.#stopping = true;
    this.#controller.startNoMore();
    this.#workers.startNoMore();
  }

  /** There is nothing to run. */
  #giveUp(): void {
    this.#startNoMore();
    this.#controller.stop();
    this.#finish(1);
  }

  #finishWhenDrained(): void {
    if (this.#workers.size > 0) return;
    if (this.#controller.child === null) this.#finish(0);
    else this.#controller.stop();
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
    if (this.#controller.child?.spoke !== true) return;
    for (const [reason, lines] of Object.entries(this.#options.lostLines())) {
      const fresh = lines - (this.#lostTold.get(reason) ?? 0);
      if (fresh === 0) continue;
      this.#lostTold.set(reason, lines);
      this.#controller.tell({ kind: 'lines-lost', reason, lines: fresh });
    }
  }

  #children(): Child[] {
    const { child } = this.#controller;
    return child === null ? [...this.#workers.children] : [...this.#workers.children, child];
  }

  #later(delayMs: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, delayMs);
    this.#timers.add(timer);
  }
}
