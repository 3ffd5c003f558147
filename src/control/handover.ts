// What a controller leaves to the next one: the supervisor keeps it unread, and gives it back with `start`.

import type { ControllerToSupervisor, SupervisorToController } from '../model/messages.ts';
import type { RetainedMetrics } from '../telemetry/metrics-merge.ts';
import type { Loaded } from './configuration.ts';
import type { Drain } from './targets/drains.ts';
import type { KeptTicketKeys } from './tls/ticket-rotation.ts';

/** What changes all the time. */
export interface Retained {
  readonly metrics: RetainedMetrics;
  /** Null when they have not been read yet. */
  readonly drains: readonly Drain[] | null;
}

/** The configuration in force, for a controller that is started while the file is broken. */
export interface KeptConfiguration extends Loaded {
  readonly tickets: KeptTicketKeys;
}

export interface HandedOver {
  readonly retained: Retained | null;
  readonly configuration: KeptConfiguration | null;
}

const RETAIN_MS = 1000;

/** What an earlier controller of the same supervisor has left. */
export function handedOver(start: Extract<SupervisorToController, { kind: 'start' }>): HandedOver {
  return {
    retained: start.retained as Retained | null,
    configuration: start.configuration as KeptConfiguration | null,
  };
}

export class Handover {
  readonly #send: (message: ControllerToSupervisor) => void;
  readonly #state: () => Retained;
  #timer: NodeJS.Timeout | null = null;

  /** @param state what is to be retained, as it is now */
  constructor(send: (message: ControllerToSupervisor) => void, state: () => Retained) {
    this.#send = send;
    this.#state = state;
  }

  /** From here on what is retained is renewed once a second. */
  start(): void {
    this.#timer = setInterval(() => this.retain(), RETAIN_MS);
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  /** Now: what has been shown to others must not go back when this process is killed before the second is over. */
  retain(): void {
    this.#send({ kind: 'retain', state: this.#state() });
  }

  keepConfiguration(configuration: KeptConfiguration): void {
    this.#send({ kind: 'keep-configuration', configuration });
  }
}
