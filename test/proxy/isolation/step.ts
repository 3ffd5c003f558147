// What a schedule is made of, and what every actor offers it.

/** The numbers of a step: each action takes of them what it needs. */
export interface Size {
  readonly kind: number;
  readonly pool: number;
  readonly bytes: number;
  /** Of several streams. */
  readonly lane: number;
}

export interface Step extends Size {
  readonly who: number;
  readonly what: number;
  /** How much of what is queued leaves after it, 0 to 1. */
  readonly share: number;
  /** Passes of the event loop after it. */
  readonly turns: number;
}

/** What it is called, how often it is chosen beside others, and what it does. */
export type Action = readonly [name: string, weight: number, act: (size: Size) => void];

export interface Actor {
  readonly name: string;
  /** What it can do now. */
  readonly actions: readonly Action[];
  write(share: number): void;
  /** Says all that is left to say, and reads. */
  conclude(): void;
}

export interface Client extends Actor {
  readonly over: boolean;
  leave(): void;
}
