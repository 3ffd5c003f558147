// HTTP/2 load by nghttp2's h2load.

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { startProgram } from '../measure/child.ts';
import type { LoadResult } from './driver.ts';

export const hasH2load = (): boolean => spawnSync('h2load', ['--version']).error === undefined;

export interface H2load {
  readonly connections: number;
  readonly streams: number;
  readonly seconds: number;
}

export async function runH2load(
  cores: string,
  url: string,
  load: H2load,
  bodyBytes: number,
): Promise<LoadResult> {
  const child = startProgram(cores, 'h2load', [...h2loadParameters(load), url]);
  let output = '';
  child.process.stdout!.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await once(child.process, 'close');
  if (output === '') throw new Error(`h2load said nothing: ${child.errors()}`);
  return parseH2load(output, bodyBytes, load.seconds);
}

/** It takes no fractions of a second, but milliseconds. */
export const h2loadParameters = ({ connections, streams, seconds }: H2load): readonly string[] => [
  `-c${connections}`,
  `-m${streams}`,
  '-t1',
  `--duration=${Math.round(seconds * 1000)}ms`,
];

const COUNTS =
  /^requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/m;
const STATUSES = /^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/m;
const DATA = /\((\d+)\) data$/m;

/**
 * h2load compares no bodies, but it counts their bytes: every answer must have had room for its body.
 * @throws SyntaxError for a text without totals
 */
export function parseH2load(output: string, bodyBytes: number, seconds: number): LoadResult {
  const counts = COUNTS.exec(output);
  const statuses = STATUSES.exec(output);
  const data = DATA.exec(output);
  if (counts === null || statuses === null || data === null)
    throw new SyntaxError(`not an output of h2load: ${output}`);
  const [, , , succeeded, failed, errored, timeout] = counts.map(Number) as number[];
  const problems: string[] = [];
  const bad = failed! + errored! + timeout!;
  if (bad > 0) problems.push(`${bad} requests failed`);
  const others = statuses
    .slice(2)
    .map(Number)
    .reduce((sum, count) => sum + count, 0);
  if (others > 0) problems.push(`${others} answers other than 2xx`);
  const bytes = Number(data[1]);
  if (bytes < succeeded! * bodyBytes) problems.push(`${bytes} bytes are too few for ${succeeded} answers`);
  return { requests: succeeded!, seconds, problems };
}
