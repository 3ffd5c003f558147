// One child slot: a process that is started, replaced when it dies, and handed messages in order.

import { type ChildProcess, fork } from 'node:child_process';
import process from 'node:process';
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
  /** Variables that the child has unless this process has them. */
  readonly environment: Readonly<Record<string, string>>;
  readonly log: Logger;
  readonly onMessage: (child: Child, message: unknown) => void;
  readonly onExit: (child: Child, reason: string) => void;
}

/** One process, from fork to exit. */
export class Child {
  readonly name: string;
  readonly slot: number;
  readonly role: 'controller' | 'worker';
  /** Null where the system has refused to start one. */
  readonly process: ChildProcess | null;
  readonly startedAtMs: number;
  /** When it was started or last said something, on the monotonic clock. */
  heardAtMs: number;
  /** It has said something. */
  spoke = false;
  /** On its way out as it was told to: a worker finishes what it has, a controller is being replaced. */
  draining = false;
  #exited = false;
  #endedAs: string | null = null;
  readonly #log: Logger;

  constructor(options: ChildOptions) {
    this.name = options.name;
    this.slot = options.slot;
    this.role = options.role;
    this.#log = options.log;
    this.startedAtMs = performance.now();
    this.heardAtMs = this.startedAtMs;
    const exit = (reason: string): void => {
      if (this.#exited) return;
      this.#exited = true;
      options.onExit(this, this.#endedAs ?? reason);
    };
    const onError = (error: NodeJS.ErrnoException): void => {
      this.#log.error({ code: 'child-error', child: this.name, error: error.message }, 'child process error');
      // One that could not be started (no descriptor, no memory, no process) has no exit of its own.
      if (this.process?.pid === undefined) exit(`not-started-${error.code ?? 'unknown'}`);
    };
    const child = start(options, onError);
    this.process = child;
    child?.on('message', (message) => {
      this.heardAtMs = performance.now();
      this.spoke = true;
      options.onMessage(this, message);
    });
    child?.on('error', onError);
    child?.on('exit', (code, signal) => exit(signal ?? `exit-${code}`));
  }

  get pid(): number {
    return this.process?.pid ?? 0;
  }

  get exited(): boolean {
    return this.#exited;
  }

  /** Sends a message, with a handle beside it; a child that is gone is told nothing, its exit is handled on its own. */
  send(message: object, handle?: unknown): void {
    if (this.#exited || this.process?.connected !== true) return;
    this.process.send(message, handle as never, { keepOpen: true }, (error) => {
      if (error === null || error === undefined || this.#exited) return;
      const fields = { child: this.name, error: error.message };
      // A later configuration has closed a socket that waited for the start of the child, which asks for what it misses.
      if (handle !== undefined)
        this.#log.debug({ code: 'socket-undelivered', ...fields }, 'socket not delivered');
      else this.#log.warn({ code: 'child-unreachable', ...fields }, 'message not delivered');
    });
  }

  /** Ends it at once; `reason` is told in place of the signal. */
  end(reason: string): void {
    this.#endedAs = reason;
    this.kill('SIGKILL');
  }

  kill(signal: NodeJS.Signals): void {
    if (!this.#exited) this.process?.kill(signal);
  }
}

/** Node tells of some errors by an event and throws the others: no memory, a program that is being written. */
function start(
  { entry, args, execArgv, environment }: ChildOptions,
  onError: (error: NodeJS.ErrnoException) => void,
): ChildProcess | null {
  try {
    return fork(entry, args, {
      execArgv: [...execArgv],
      env: { ...environment, ...process.env },
      // Typed arrays and handles travel unchanged.
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
  } catch (error) {
    // Whoever starts it has to know it before its end is told.
    setImmediate(() => onError(error as NodeJS.ErrnoException));
    return null;
  }
}

/** What children are started again with. */
export const RESTART_BASE_MS = 100;
export const RESTART_CAP_MS = 10_000;

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
