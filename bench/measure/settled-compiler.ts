// When a program that V8 runs is warm: its compiler has little left to do.

import { readProcesses, readThreads, treeOf } from './proc-stat.ts';

/** V8's threads beside the main one compile, and do some of the garbage collector's work, which never ends. */
const COMPILES = 'node-V8Worker';
/** Of the CPU time of all processes. While they compile it is 7 to 35%, and 0 to 4% from then on. */
const QUIET_SHARE = 0.05;
/** One alone may lie between two functions that become hot. */
const QUIET_SLICES = 2;
const SLICE_SECONDS = 3;
/** What is not quiet by then is measured as it is. */
const MOST_SLICES = 20;

interface Spent {
  readonly compilingMs: number;
  readonly allMs: number;
}

/**
 * Loads a process tree until V8 has compiled what the load makes hot, a minute at most. It counts calls, not seconds: at a
 * thousand connections a second it takes half a minute, at forty thousand requests six seconds.
 * @param load puts load on the processes for so many seconds
 * @param spentBy CPU time of the tree until now
 */
export async function settleCompiler(
  pid: number,
  load: (seconds: number) => Promise<unknown>,
  spentBy: (pid: number) => Spent = spentByTree,
): Promise<void> {
  let before = spentBy(pid);
  let quiet = 0;
  for (let slice = 0; slice < MOST_SLICES && quiet < QUIET_SLICES; slice += 1) {
    await load(SLICE_SECONDS);
    const after = spentBy(pid);
    const share = (after.compilingMs - before.compilingMs) / (after.allMs - before.allMs);
    quiet = share <= QUIET_SHARE ? quiet + 1 : 0;
    before = after;
  }
}

/** By `root` and its descendants until now. */
export function spentByTree(root: number): Spent {
  let compilingMs = 0;
  let allMs = 0;
  for (const { pid } of treeOf(readProcesses(), root)) {
    for (const { name, userMs, systemMs } of readThreads(pid)) {
      allMs += userMs + systemMs;
      if (name === COMPILES) compilingMs += userMs + systemMs;
    }
  }
  return { compilingMs, allMs };
}
