// CPU time of a process and everything it has started, from Linux's /proc (proc_pid_stat(5)).

import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ is 100 on every architecture that Node has binaries for. */
export const MS_PER_TICK = 10;

export interface ProcessStat {
  readonly pid: number;
  /** Of the program, or of a thread what it calls itself; 15 bytes at most. */
  readonly name: string;
  readonly parent: number;
  /** Milliseconds, those of children that have ended and were waited for included. */
  readonly userMs: number;
  readonly systemMs: number;
}

export interface CpuTime {
  readonly userMs: number;
  readonly systemMs: number;
}

/** @throws SyntaxError for a text that is not a stat line */
export function parseStat(text: string): ProcessStat {
  // The name stands in parentheses and may hold spaces and parentheses of its own.
  const afterName = text.lastIndexOf(') ');
  const fields = text.slice(afterName + 2).split(' ');
  const field = (number: number): number => {
    // Field 3 is the first behind the name.
    const value = Number(fields[number - 3]);
    if (afterName < 0 || !Number.isInteger(value)) throw new SyntaxError(`not a stat line: ${text}`);
    return value;
  };
  return {
    pid: Number.parseInt(text, 10),
    name: text.slice(text.indexOf('(') + 1, afterName),
    parent: field(4),
    userMs: (field(14) + field(16)) * MS_PER_TICK,
    systemMs: (field(15) + field(17)) * MS_PER_TICK,
  };
}

/**
 * CPU time of `root` and its descendants. A child that ended between two calls is not lost: its time has moved to the
 * process that waited for it.
 * @throws RangeError when `root` is not among the processes
 */
export function sumTree(stats: readonly ProcessStat[], root: number): CpuTime {
  let userMs = 0;
  let systemMs = 0;
  for (const stat of treeOf(stats, root)) {
    userMs += stat.userMs;
    systemMs += stat.systemMs;
  }
  return { userMs, systemMs };
}

/**
 * `root` and its descendants.
 * @throws RangeError when `root` is not among the processes
 */
export function treeOf(stats: readonly ProcessStat[], root: number): readonly ProcessStat[] {
  const children = Map.groupBy(stats, ({ parent }) => parent);
  const found = stats.find(({ pid }) => pid === root);
  if (found === undefined) throw new RangeError(`process ${root} is gone`);
  const tree: ProcessStat[] = [];
  const waiting = [found];
  for (let stat = waiting.pop(); stat !== undefined; stat = waiting.pop()) {
    tree.push(stat);
    waiting.push(...(children.get(stat.pid) ?? []));
  }
  return tree;
}

/** Every process that there is now. `directory` is where the kernel shows them. */
export function readProcesses(directory = '/proc'): readonly ProcessStat[] {
  return readdirSync(directory)
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readStat(`${directory}/${name}/stat`));
}

/** The threads of a process, each with its own times; none when the process is gone. */
export function readThreads(pid: number, directory = '/proc'): readonly ProcessStat[] {
  const tasks = `${directory}/${pid}/task`;
  try {
    return readdirSync(tasks).flatMap((name) => readStat(`${tasks}/${name}/stat`));
  } catch (error) {
    if (!isGone(error)) throw error;
    return [];
  }
}

/** Nothing for one that has ended since it was listed. */
function readStat(file: string): readonly ProcessStat[] {
  try {
    return [parseStat(readFileSync(file, 'latin1'))];
  } catch (error) {
    if (!isGone(error)) throw error;
    return [];
  }
}

function isGone(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ESRCH';
}
