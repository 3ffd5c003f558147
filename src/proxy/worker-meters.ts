// What a worker counts of itself: name lookups, snapshots, its memory, and lines of its logs that were lost.

import type { NameResult } from '../names/names.ts';
import { LOST_REASONS, type LostReason } from '../telemetry/access-log.ts';
import type { MetricsBoard } from '../telemetry/metrics-board.ts';

export class WorkerMeters {
  readonly #board: MetricsBoard;
  readonly #lookups: Readonly<Record<NameResult, number>>;
  readonly #version: number;
  readonly #apply: number;
  readonly #rejected: number;
  readonly #missed: number;
  readonly #memory: number;
  readonly #memoryOver: number;
  readonly #accessLinesLost: Readonly<Record<LostReason, number>>;
  readonly #linesLost: Readonly<Record<LostReason, number>>;

  constructor(board: MetricsBoard) {
    this.#board = board;
    const lookup = (result: NameResult): number => board.counter('portico_name_lookups_total', { result });
    this.#lookups = { ok: lookup('ok'), failed: lookup('failed'), kept: lookup('kept') };
    this.#version = board.gauge('portico_snapshot_version', {});
    this.#apply = board.histogram('portico_snapshot_apply_seconds', {});
    this.#rejected = board.counter('portico_snapshot_rejected_total', {});
    this.#missed = board.counter('portico_snapshot_missed_total', {});
    this.#memory = board.gauge('portico_worker_memory_bytes', {});
    this.#memoryOver = board.gauge('portico_worker_memory_over', {});
    this.#accessLinesLost = byReason((reason) =>
      board.counter('portico_access_log_lines_lost_total', { reason }),
    );
    this.#linesLost = byReason((reason) =>
      board.counter('portico_log_lines_lost_total', { role: 'worker', reason }),
    );
  }

  nameLooked(result: NameResult): void {
    this.#add(this.#lookups[result], 1);
  }

  snapshotTaken(version: number, tookMs: number): void {
    this.#board.values[this.#version] = version;
    this.#board.observe(this.#apply, tookMs / 1000);
  }

  snapshotRejected(): void {
    this.#add(this.#rejected, 1);
  }

  snapshotMissed(): void {
    this.#add(this.#missed, 1);
  }

  memory(bytes: number, over: boolean): void {
    const { values } = this.#board;
    values[this.#memory] = bytes;
    values[this.#memoryOver] = over ? 1 : 0;
  }

  accessLinesLost(reason: LostReason, lines: number): void {
    this.#add(this.#accessLinesLost[reason], lines);
  }

  /** @param lost since the start of this process */
  ownLinesLost(lost: Readonly<Record<LostReason, number>>): void {
    for (const reason of LOST_REASONS) this.#board.values[this.#linesLost[reason]] = lost[reason];
  }

  #add(slot: number, change: number): void {
    this.#board.values[slot]! += change;
  }
}

const byReason = (slotOf: (reason: LostReason) => number): Record<LostReason, number> =>
  Object.fromEntries(LOST_REASONS.map((reason) => [reason, slotOf(reason)])) as Record<LostReason, number>;
