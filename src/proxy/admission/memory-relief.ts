// What a worker does at its memory ceiling: says so, and lets go of connections until it is below again.

import type { Logger } from 'pino';
import type { MemoryWatch } from './memory-watch.ts';

export interface MemoryReliefOptions {
  readonly watch: MemoryWatch;
  readonly log: Pick<Logger, 'warn' | 'info'>;
  /** Told of every look. */
  readonly onLook: (bytes: number, over: boolean) => void;
  /** Lets go of connections; `stuckToo` when the first step was not enough. */
  readonly relieve: (excessBytes: number, stuckToo: boolean) => void;
}

export class MemoryRelief {
  readonly #options: MemoryReliefOptions;

  constructor(options: MemoryReliefOptions) {
    this.#options = options;
  }

  /** Called seldom enough to cost nothing and often enough to be in time. */
  look(): void {
    const { watch, log, onLook, relieve } = this.#options;
    const wasOver = watch.over;
    const bytes = watch.look();
    onLook(bytes, watch.over);
    if (watch.over) relieve(watch.excessBytes, wasOver);
    if (watch.over === wasOver) return;
    const fields = { code: 'memory-limit', bytes, ceiling: watch.ceilingBytes };
    if (watch.over) log.warn(fields, 'memory ceiling reached, new work is refused');
    else log.info(fields, 'below the memory ceiling again');
  }
}
