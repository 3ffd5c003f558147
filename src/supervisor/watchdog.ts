// Which children have fallen silent: a process whose event loop is blocked says nothing and answers no signal but one.

/** A child as the watchdog sees it. */
export interface Watched {
  readonly role: 'controller' | 'worker';
  /** When it was started or last said something, milliseconds. */
  readonly heardAtMs: number;
  /** It has said something: it is past its start. */
  readonly spoke: boolean;
}

/** How often the children are looked at. */
export const WATCH_MS = 1000;
/**
 * A worker reports four times a second. Long enough for the largest snapshot and for a machine that is short of
 * processors; its connections have waited in vain for as long.
 */
export const WORKER_SILENT_MS = 10_000;
/** A controller reports once a second; deriving the targets of a large cluster may take it seconds, and no traffic waits. */
export const CONTROLLER_SILENT_MS = 30_000;
/** Reading its code from a slow disk on a busy machine. */
export const START_SILENT_MS = 60_000;

export class Watchdog {
  #lookedAtMs: number;
  #trustFromMs: number;

  constructor(nowMs: number) {
    this.#lookedAtMs = nowMs;
    this.#trustFromMs = nowMs;
  }

  /**
   * Those that have been silent for too long. A look that comes late says that this process was stopped itself (a
   * machine that was suspended): what the children have said since then is still to be read, so all are trusted anew.
   */
  silent<T extends Watched>(children: readonly T[], nowMs: number): readonly T[] {
    if (nowMs - this.#lookedAtMs > 2 * WATCH_MS) this.#trustFromMs = nowMs;
    this.#lookedAtMs = nowMs;
    return children.filter((child) => nowMs - Math.max(child.heardAtMs, this.#trustFromMs) > limitOf(child));
  }
}

function limitOf({ role, spoke }: Watched): number {
  if (!spoke) return START_SILENT_MS;
  return role === 'worker' ? WORKER_SILENT_MS : CONTROLLER_SILENT_MS;
}
