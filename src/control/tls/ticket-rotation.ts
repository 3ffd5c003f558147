// Session ticket keys for all workers: made here, changed in time, told to nobody but workers and the next controller.

import { randomBytes } from 'node:crypto';

const KEY_BYTES = 48;
/** A stolen key opens what was said in two of these at most. Sessions last as long. */
export const ROTATION_MS = 12 * 3_600_000;

/** What the supervisor keeps for the next controller. */
export interface KeptTicketKeys {
  /** Base64: the one that encrypts, the one after it, the one before it. */
  readonly keys: readonly string[];
  /** Epoch milliseconds. */
  readonly madeAtMs: number;
}

/**
 * Every worker knows a key for a whole rotation before any of them encrypts with it, and for one after, so that no
 * session is lost to a rotation or to a worker that follows late.
 */
export class TicketRotation {
  #kept: KeptTicketKeys;

  constructor(nowMs: number, kept: KeptTicketKeys | null) {
    this.#kept = kept ?? { keys: [newKey(), newKey()], madeAtMs: nowMs };
  }

  get kept(): KeptTicketKeys {
    return this.#kept;
  }

  get keys(): readonly string[] {
    return this.#kept.keys;
  }

  get dueAtMs(): number {
    return this.#kept.madeAtMs + ROTATION_MS;
  }

  rotate(nowMs: number): void {
    const [current, next] = this.#kept.keys;
    this.#kept = { keys: [next!, newKey(), current!], madeAtMs: nowMs };
  }
}

const newKey = (): string => randomBytes(KEY_BYTES).toString('base64');
