// Where the peers' programs are: Debian's on the path, newer ones from PyPI under .cache/peers (see install.sh).

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Program {
  readonly path: string;
  /** As it says itself, for example `2.6.12`. */
  readonly version: string;
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * @param candidate a name on the path, or a path below .cache/peers
 * @param versionArgument what makes it say its version
 * @returns null when it is not there or does not run
 */
export function findProgram(
  candidate: string,
  versionArgument: string,
  environment: Readonly<Record<string, string>> = {},
): Program | null {
  const cached = candidate.includes('/');
  const path = cached ? inCache(candidate) : candidate;
  if (cached && !existsSync(path)) return null;
  const answer = spawnSync(path, [versionArgument], {
    encoding: 'utf8',
    env: { ...process.env, ...environment },
  });
  if (answer.error !== undefined) return null;
  const version = /\d+\.\d+(?:\.\d+)?/.exec(`${answer.stdout}${answer.stderr}`)?.[0];
  return version === undefined ? null : { path, version, environment };
}

export function inCache(name: string): string {
  return fileURLToPath(new URL(`../../.cache/peers/${name}`, import.meta.url));
}
