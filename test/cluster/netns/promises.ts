// The table that a run ends with: each event, what was promised for it, and what was measured.

export interface PromiseRow {
  readonly event: string;
  readonly promise: string;
  readonly measured: string;
  readonly held: boolean;
  /** What the peers' clients saw in the same time, in the order of `PromiseTable.peers`. */
  readonly peers: readonly string[];
}

export class PromiseTable {
  readonly #rows: PromiseRow[] = [];

  /** Names of the peers; their columns come last. */
  readonly peers: readonly string[];

  constructor(peers: readonly string[]) {
    this.peers = peers;
  }

  add(row: PromiseRow): void {
    this.#rows.push(row);
  }

  /** As Markdown. */
  text(): string {
    const line = (cells: readonly string[]): string =>
      `| ${cells
        .map((cell) =>
          cell
            .trim()
            .replaceAll(/\s*\n\s*/g, ', ')
            .replaceAll('|', '/'),
        )
        .join(' | ')} |`;
    const heads = ['event', 'promise', 'held', 'measured', ...this.peers];
    return [
      line(heads),
      line(heads.map(() => '---')),
      ...this.#rows.map((r) => line([r.event, r.promise, r.held ? 'yes' : 'NO', r.measured, ...r.peers])),
    ].join('\n');
  }
}

/** `count`, median, 99th percentile and maximum of some milliseconds, in words. */
export function spread(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => Math.round(sorted[Math.ceil((sorted.length - 1) * share)] ?? 0);
  return `n ${sorted.length}, median ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`;
}
