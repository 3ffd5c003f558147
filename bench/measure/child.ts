// A process of the benchmark: started on given cores, watched, and ended by its pid.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';

const STOP_PATIENCE_MS = 5000;
const KEPT_ERROR_CHARACTERS = 4096;

export interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  /** How it ended, or null while it runs. */
  ended(): string | null;
  /** The end of what it has written to standard error. */
  errors(): string;
  /** Resolves when the process is gone. */
  stop(): Promise<void>;
}

/** Whatever ends the benchmark, an error of its own included, ends what it has started. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Whether processes can be bound to cores here. */
export const canPin: boolean = spawnSync('taskset', ['-V']).status === 0;

/**
 * Starts Node on `cores` (a list as taskset reads it; without taskset, on any).
 * @param channel whether messages can be sent to it
 */
export function startNode(cores: string, parameters: readonly string[], channel = false): Child {
  return startProgram(cores, process.execPath, parameters, { channel });
}

export interface ProgramOptions {
  /** Whether messages can be sent to it. */
  readonly channel?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  /** Where its standard output goes: a file descriptor, which is closed here, or to us. */
  readonly output?: number | 'pipe';
}

/** The same for any program. taskset replaces itself by it, so that the pid is the program's own. */
export function startProgram(
  cores: string,
  program: string,
  parameters: readonly string[],
  { channel = false, environment = {}, output = 'pipe' }: ProgramOptions = {},
): Child {
  const command = canPin ? 'taskset' : program;
  const rest = canPin ? ['-c', cores, program, ...parameters] : parameters;
  const child = spawn(command, rest, {
    stdio: ['ignore', output, 'pipe', ...(channel ? ['ipc' as const] : [])],
    env: { ...process.env, ...environment },
  });
  if (output !== 'pipe') closeSync(output);
  if (child.pid === undefined) throw new Error(`cannot start ${program}`);
  running.add(child);
  child.once('exit', () => running.delete(child));
  let errors = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-KEPT_ERROR_CHARACTERS);
  });
  return {
    process: child,
    pid: child.pid,
    ended: () => endOf(child),
    errors: () => errors,
    stop: () => stop(child),
  };
}

function endOf(child: ChildProcess): string | null {
  if (child.signalCode !== null) return `signal ${child.signalCode}`;
  return child.exitCode === null ? null : `exit code ${child.exitCode}`;
}

async function stop(child: ChildProcess): Promise<void> {
  if (endOf(child) !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const patience = new AbortController();
  const late = delay(STOP_PATIENCE_MS, true, { signal: patience.signal }).catch(() => false);
  if ((await Promise.race([exited.then(() => false), late])) === true) child.kill('SIGKILL');
  patience.abort();
  await exited;
}
