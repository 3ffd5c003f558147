// The memory of a process and everything below it, sampled while a flood runs (proc(5)).

import { readdirSync, readFileSync } from 'node:fs';
import { readProcesses } from '../../bench/measure/proc-stat.ts';

const SAMPLE_EVERY_MS = 100;

/** Resident bytes; 0 when the process is gone. What processes share is counted in each of them. */
export function residentBytes(pid: number): number {
  try {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '0';
    return 1024 * Number(kib);
  } catch {
    return 0;
  }
}

/** The process and its descendants. */
export function treeOf(root: number): readonly number[] {
  const processes = readProcesses();
  const tree = [root];
  for (const pid of tree)
    tree.push(...processes.filter(({ parent }) => parent === pid).map(({ pid }) => pid));
  return tree;
}

/** Descriptors that one process may have, from the hard limit: Node raises its own soft limit to it. */
export function descriptorLimit(): number {
  return Number(
    /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1] ?? 1024,
  );
}

export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Largest sum over the tree since the last `take`. */
export class MemorySampler {
  readonly #root: number;
  readonly #timer: NodeJS.Timeout;
  #peak = 0;
  #peakOfOne = 0;

  constructor(root: number) {
    this.#root = root;
    this.#timer = setInterval(() => this.#sample(), SAMPLE_EVERY_MS);
  }

  /** Peaks of the whole tree and of its largest process, in bytes; begins anew. */
  take(): { readonly treeBytes: number; readonly largestBytes: number } {
    this.#sample();
    const peaks = { treeBytes: this.#peak, largestBytes: this.#peakOfOne };
    this.#peak = 0;
    this.#peakOfOne = 0;
    return peaks;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    const sizes = treeOf(this.#root).map(residentBytes);
    this.#peak = Math.max(
      this.#peak,
      sizes.reduce((sum, bytes) => sum + bytes, 0),
    );
    this.#peakOfOne = Math.max(this.#peakOfOne, ...sizes);
  }
}
