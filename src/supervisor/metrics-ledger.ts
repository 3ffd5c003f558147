// The last numbers of every worker, so that one that dies while no controller listens is still counted.

import type { MetricsMessage, SupervisorToController } from '../model/messages.ts';

/** More workers than these do not end while one controller dies and the next one starts. */
const EXITS_KEPT = 32;

export class MetricsLedger {
  readonly #last = new Map<string, MetricsMessage>();
  /** The latest exits, oldest first: what to tell of each. */
  readonly #exits: (readonly SupervisorToController[])[] = [];

  /** Keeps the newest values with the newest series list. */
  keep(worker: string, frame: MetricsMessage): void {
    const series = frame.series ?? this.#last.get(worker)?.series ?? null;
    this.#last.set(worker, { ...frame, series });
  }

  /**
   * Returns what the controller of the moment has to hear: the numbers, too, since it may have been started after the
   * worker's last report and before its end was noticed.
   */
  exited(worker: string, reason: string): readonly SupervisorToController[] {
    const frame = this.#last.get(worker);
    this.#last.delete(worker);
    const exit: SupervisorToController = { kind: 'process-exited', role: 'worker', worker, reason };
    const news: readonly SupervisorToController[] =
      frame === undefined
        ? [exit]
        : [{ kind: 'worker-said', worker, message: { kind: 'metrics', frame } }, exit];
    this.#exits.push(news);
    if (this.#exits.length > EXITS_KEPT) this.#exits.shift();
    return news;
  }

  /**
   * What a new controller has to hear first. The one before may have died with the news unread, and nothing tells that
   * from here: so each is told all of it, and leaves out what the one before had counted and handed on.
   */
  exits(): readonly SupervisorToController[] {
    return this.#exits.flat();
  }
}
