// Fills the code cache: what every process of Portico would compile anew at each start, for images and packages.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { CONTROLLER_EXEC_ARGV, WORKER_EXEC_ARGV } from './exec-argv.ts';

/** Said to a role in the place of its first parameter, which no configuration file and no level can be: it loads its code, and ends. */
export const COMPILE_ONLY = '--compile-only';

/**
 * Node writes what a process has compiled when it ends, for each set of V8 flags apart: so each role is started once. This
 * process's own part is the command line and the supervisor.
 * @param node the program that runs this one
 * @param entry the file that child processes run
 * @returns an exit code
 */
export async function compile(node: string, entry: string): Promise<number> {
  const roles = [
    ['worker', WORKER_EXEC_ARGV],
    ['controller', CONTROLLER_EXEC_ARGV],
  ] as const;
  for (const [role, flags] of roles) {
    const parameters = [...flags, entry, `--role=${role}`, COMPILE_ONLY];
    const child = spawn(node, parameters, { stdio: ['ignore', 'inherit', 'inherit'] });
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0) return code ?? 1;
  }
  return 0;
}
