// One child slot: a process that is started, replaced when it dies, and handed messages in order.

import { type ChildProcess, fork } from 'node:child_process';
import type { Logger } from 'pino';

export interface ChildOptions {
  readonly role: 'controller' | 'worker';
  readonly name: string;
  /** Which of the listeners' sockets the worker accepts from; 0 for a controller. */
  readonly slot: number;
  /** The program and its arguments. */
  readonly entry: string;
  readonly args: readonly string[];
  readonly execArgv: readonly string[];
  readonly log: Logger;
  readonly onMessage: (child: Child, message: unknown) => void;
  readonly onExit: (child: Child, reason: string) => void;
}

/** One process, from fork to exit. */
export class Child {
  readonly name: string;
  readonly slot: number;
  readonly role: 'controller' | 'worker';
  readonly process: ChildProcess;
  readonly startedAtMs: number;
  /** On its way out as it was told to: a worker finishes what it has, a controller is being replaced. */
  draining = false;
  #exited = false;
  readonly #log: Logger;

  constructor(options: ChildOptions) {
    this.name = options.name;
    this.slot = options.slot;
    this.role = options.role;
    this.#log = options.log;
    this.startedAtMs = performance.now();
    this.process = fork(options.entry, options.args, {
      execArgv: [...options.execArgv],
      // Typed arrays and handles travel unchanged.
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.process.on('message', (message) => options.onMessage(this, message));
    this.process.on('error', (error) =>
      this.#log.error({ code: 'child-error', child: this.name, error: error.message }, 'child process error'),
    );
    this.process.on('exit', (code, signal) => {
      this.#exited = true;
      options.onExit(this, signal ?? `exit-${code}`);
    });
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  get exited(): boolean {
    return this.#exited;
  }

  /** Sends a message, with a handle beside it; a child that is gone is told nothing, its exit is handled on its own. */
  send(message: object, handle?: unknown): void {
    if (this.#exited || !this.process.connected) return;
    this.process.send(message, handle as never, { keepOpen: true }, (error) => {
      if (error !== null && error !== undefined && !this.#exited) {
        this.#log.warn(
          { code: 'child-unreachable', child: this.name, error: error.message },
          'message not delivered',
        );
      }
    });
  }

  kill(signal: NodeJS.Signals): void {
    if (!this.#exited) this.process.kill(signal);
  }
}

/** How long to wait before a child that keeps dying is started again: none at first, then doubling. */
export class Backoff {
  readonly #baseMs: number;
  readonly #capMs: number;
  #failures = 0;

  constructor(baseMs: number, capMs: number) {
    this.#baseMs = baseMs;
    this.#capMs = capMs;
  }

  /** @param livedMs how long the process that died had lived; a long life clears the account */
  next(livedMs: number): number {
    if (livedMs > this.#capMs) this.#failures = 0;
    const delayMs =
      this.#failures === 0 ? 0 : Math.min(this.#capMs, this.#baseMs * 2 ** (this.#failures - 1));
    this.#failures += 1;
    return delayMs;
  }
}
