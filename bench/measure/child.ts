// A process of the benchmark: started on given cores, waited for, and ended by its pid.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';

const STOP_PATIENCE_MS = 5000;

export interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  /** What it has written to standard error so far. */
  errors(): string;
  /** Resolves when the process is gone. */
  stop(): Promise<void>;
}

/** Whether processes can be bound to cores here. */
export const canPin: boolean = spawnSync('taskset', ['-V']).status === 0;

/** Starts Node on `cores` (a list as taskset reads it; ignored where there is no taskset), with a channel for messages. */
export function startNode(cores: string, parameters: readonly string[]): Child {
  const command = [process.execPath, ...parameters];
  // taskset replaces itself by the program, so that the pid is Node's own.
  const [program = '', ...rest] = canPin ? ['taskset', '-c', cores, ...command] : command;
  const child = spawn(program, rest, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let errors = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4096);
  });
  if (child.pid === undefined) throw new Error(`cannot start ${command.join(' ')}`);
  return { process: child, pid: child.pid, errors: () => errors, stop: () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const patience = new AbortController();
  const late = delay(STOP_PATIENCE_MS, 'late', { signal: patience.signal }).catch(() => 'ended');
  if ((await Promise.race([exited, late])) === 'late') child.kill('SIGKILL');
  patience.abort();
  await exited;
}
