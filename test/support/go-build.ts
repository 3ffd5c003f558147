// Builds a program of a Go module once and keeps the binary in a cache directory named after what it is made of.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram } from './peers.ts';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));

export interface GoProgram {
  /** Name of the binary, and of its directory in the cache. */
  readonly name: string;
  /** Where go.mod lies. */
  readonly module: string;
  /** Files of the module that the binary is made of, go.mod and go.sum among them. */
  readonly sources: readonly string[];
  /** Import path, or `.` for the module itself. */
  readonly package: string;
  readonly linkerFlags?: string;
  /** Build tags. */
  readonly tags?: readonly string[];
  /** Whether parts of it are in C, which needs a C compiler. */
  readonly cgo?: boolean;
}

/** Something outside the project is missing: the run says so and ends with its own exit code. */
export class MissingToolError extends Error {}

/**
 * Returns the path of the cached binary, or builds it. The cache directory is `$XDG_CACHE_HOME/portico` when that
 * variable is set, `.cache` in the project otherwise.
 */
export async function buildGo(program: GoProgram, say: (line: string) => void): Promise<string> {
  const hash = createHash('sha256');
  for (const name of program.sources) hash.update(await readFile(path.join(program.module, name)));
  if (program.package !== '.') hash.update(program.package);
  const tags = (program.tags ?? []).join(',');
  hash.update(tags);
  const home = process.env['XDG_CACHE_HOME'];
  const cache = home === undefined || home === '' ? path.join(PROJECT, '.cache') : path.join(home, 'portico');
  const directory = path.join(cache, `${program.name}-${hash.digest('hex').slice(0, 12)}`);
  const binary = path.join(directory, program.name);
  if (existsSync(binary)) return binary;
  const go = findProgram('go');
  if (go === null)
    throw new MissingToolError(`there is no Go toolchain in PATH to build ${program.name} with`);
  await mkdir(directory, { recursive: true });
  say(`building ${program.name} into ${directory}`);
  // Built beside its final name and renamed, so that an interrupted build never looks like a finished one.
  const unfinished = `${binary}.${process.pid}`;
  const flags = [
    '-trimpath',
    `-p=${availableParallelism()}`,
    `-tags=${tags}`,
    '-ldflags',
    `-s -w ${program.linkerFlags ?? ''}`,
  ];
  const build = spawn(go, ['build', ...flags, '-o', unfinished, program.package], {
    cwd: program.module,
    env: { ...process.env, CGO_ENABLED: program.cgo === true ? '1' : '0' },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [code] = (await once(build, 'exit')) as [number | null];
  if (code !== 0) {
    await rm(unfinished, { force: true });
    throw new Error(`go build of ${program.name} ended with ${code}`);
  }
  await rename(unfinished, binary);
  return binary;
}
