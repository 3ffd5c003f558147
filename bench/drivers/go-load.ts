// Load and backend by the program under bench/load, which costs little CPU beside what it measures.

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Child, startProgram } from '../measure/child.ts';
import type { LoadResult } from './driver.ts';

const SOURCE = fileURLToPath(new URL('../load/', import.meta.url));
const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url));

/** Milliseconds, from when a request was due. */
export interface Latency {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export interface GoLoadResult extends LoadResult {
  readonly latency?: Latency;
  /** Share of TLS handshakes that resumed a session, 0 to 1. */
  readonly resumed?: number;
}

/** The built program, from the cache where its sources have not changed. @throws Error without Go */
export function buildLoad(): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(SOURCE).sort()) hash.update(readFileSync(path.join(SOURCE, name)));
  const program = path.join(CACHE, `load-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(program)) return program;
  if (spawnSync('go', ['version']).error !== undefined)
    throw new Error('Go is needed to build the load of this benchmark (1.26 or newer)');
  mkdirSync(CACHE, { recursive: true });
  execFileSync('go', ['build', '-trimpath', '-o', `${program}.new`, '.'], {
    cwd: SOURCE,
    env: { ...process.env, CGO_ENABLED: '0' },
    stdio: 'inherit',
  });
  renameSync(`${program}.new`, program);
  return program;
}

/** @param host where it listens; 0.0.0.0 is every address of the machine, all of 127.0.0.0/8 included */
export async function startBackend(
  program: string,
  cores: string,
  ports: readonly number[],
  bodyBytes: number,
  host = '127.0.0.1',
): Promise<Child> {
  const addresses = ports.map((port) => `${host}:${port}`).join(',');
  const child = startProgram(cores, program, ['serve', '-address', addresses, '-body', String(bodyBytes)]);
  await once(child.process.stdout!, 'data');
  return child;
}

/** One load. @param parameters its kind and options, as `load -help` tells them */
export async function runLoad(
  program: string,
  cores: string,
  parameters: readonly string[],
): Promise<GoLoadResult> {
  const child = startProgram(cores, program, parameters);
  let output = '';
  child.process.stdout!.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await once(child.process, 'close');
  if (output === '') throw new Error(`the load said nothing: ${child.errors()}`);
  return JSON.parse(output) as GoLoadResult;
}
