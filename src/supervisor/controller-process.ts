// The controller's process: started again with back-off, and given what the one before has left.

import type { Logger } from 'pino';
import type { ControllerToSupervisor, SupervisorToController } from '../model/messages.ts';
import { Backoff, Child, RESTART_BASE_MS, RESTART_CAP_MS } from './child.ts';
import { CONTROLLER_ENVIRONMENT, CONTROLLER_EXEC_ARGV } from './exec-argv.ts';

export interface ControllerProcessOptions {
  readonly entry: string;
  readonly configPath: string;
  readonly logLevel: string | null;
  readonly log: Logger;
  readonly later: (delayMs: number, action: () => void) => void;
  /** Of the publication in force; 0 while there is none. */
  readonly version: () => number;
  /** A new one knows of no worker. */
  readonly onStart: () => void;
  readonly onMessage: (message: ControllerToSupervisor) => void;
  /** It has ended, and none is started any more. */
  readonly onEnd: () => void;
}

export class ControllerProcess {
  readonly #options: ControllerProcessOptions;
  readonly #backoff = new Backoff(RESTART_BASE_MS, RESTART_CAP_MS);
  #child: Child | null = null;
  /** What it left for the next one. */
  #retained: unknown = null;
  #configuration: unknown = null;
  #ending = false;

  constructor(options: ControllerProcessOptions) {
    this.#options = options;
  }

  /** Null between the end of one and the start of the next. */
  get child(): Child | null {
    return this.#child;
  }

  start(): void {
    const { entry, configPath, logLevel, log, version, onStart } = this.#options;
    this.#child = new Child({
      role: 'controller',
      name: 'controller',
      slot: 0,
      entry,
      args: ['--role=controller', configPath, ...(logLevel === null ? [] : [logLevel])],
      execArgv: CONTROLLER_EXEC_ARGV,
      environment: CONTROLLER_ENVIRONMENT,
      log,
      onMessage: (child, message) => {
        if (child === this.#child) this.#onMessage(message as ControllerToSupervisor);
      },
      onExit: (child, reason) => this.#onExit(child, reason),
    });
    this.tell({
      kind: 'start',
      retained: this.#retained,
      configuration: this.#configuration,
      version: version(),
    });
    onStart();
  }

  tell(message: SupervisorToController): void {
    this.#child?.send(message);
  }

  /** A new process from the code on disk. */
  replace(): void {
    if (this.#child === null) return;
    this.#child.draining = true;
    this.#child.kill('SIGTERM');
  }

  /** From here on one that ends is not started again. */
  startNoMore(): void {
    this.#ending = true;
  }

  stop(): void {
    this.#child?.kill('SIGTERM');
  }

  #onMessage(message: ControllerToSupervisor): void {
    switch (message.kind) {
      case 'keep-configuration':
        this.#configuration = message.configuration;
        return;
      case 'retain':
        this.#retained = message.state;
        return;
      default:
        return this.#options.onMessage(message);
    }
  }

  #onExit(child: Child, reason: string): void {
    const { log, later, onEnd } = this.#options;
    if (child !== this.#child) return;
    this.#child = null;
    if (this.#ending) return onEnd();
    if (child.draining) return this.start();
    const delayMs = this.#backoff.next(performance.now() - child.startedAtMs);
    log.error({ code: 'controller-died', reason, delayMs }, 'controller died, traffic goes on');
    later(delayMs, () => {
      this.start();
      this.tell({ kind: 'process-exited', role: 'controller', worker: child.name, reason });
    });
  }
}
