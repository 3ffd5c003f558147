// Resident memory of a process and everything it has started, from Linux's /proc.

import { readFileSync } from 'node:fs';
import { type ProcessStat, readProcesses } from '../measure/proc-stat.ts';

export interface Resident {
  /** KiB of the whole tree; pages that two of its processes share count twice. */
  readonly all: number;
  /** KiB of the largest process that is a worker of Portico; of the largest of all where there is none. */
  readonly largestWorker: number;
}

/** @throws RangeError when the process is gone */
export function residentKiB(root: number): Resident {
  const tree = treeOf(readProcesses(), root).map((pid) => ({
    kiB: residentIn(readFileSync(`/proc/${pid}/status`, 'latin1')),
    isWorker: readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('--role=worker'),
  }));
  const workers = tree.filter(({ isWorker }) => isWorker);
  return {
    all: tree.reduce((sum, { kiB }) => sum + kiB, 0),
    largestWorker: Math.max(...(workers.length > 0 ? workers : tree).map(({ kiB }) => kiB)),
  };
}

/** @throws SyntaxError for a text without the line, as a process has that has ended */
export function residentIn(status: string): number {
  const kiB = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kiB === undefined) throw new SyntaxError('a status without VmRSS');
  return Number(kiB);
}

/** @throws RangeError when `root` is not among the processes */
export function treeOf(
  stats: readonly Pick<ProcessStat, 'pid' | 'parent'>[],
  root: number,
): readonly number[] {
  if (stats.every(({ pid }) => pid !== root)) throw new RangeError(`process ${root} is gone`);
  const children = Map.groupBy(stats, ({ parent }) => parent);
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []).map((child) => child.pid));
  return tree;
}
