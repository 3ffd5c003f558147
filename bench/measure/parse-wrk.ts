// Reads what wrk prints: the only form that it gives its results in.

import type { LoadResult } from '../drivers/driver.ts';

const TOTALS = /^\s*(\d+) requests in ([\d.]+)(ms|s|m|h), ([\d.]+)(B|KB|MB|GB|TB) read$/m;
const SECONDS = { ms: 0.001, s: 1, m: 60, h: 3600 } as const;
const BYTES = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 } as const;

/**
 * wrk compares no bodies, but it counts bytes: every answer must have had room for the body.
 * @param bodyBytes length of the body that every answer carries
 * @throws SyntaxError for a text without totals
 */
export function parseWrk(output: string, bodyBytes: number): LoadResult {
  const totals = TOTALS.exec(output);
  if (totals === null) throw new SyntaxError(`not an output of wrk: ${output}`);
  const requests = Number(totals[1]);
  const seconds = Number(totals[2]) * SECONDS[totals[3] as keyof typeof SECONDS];
  const bytes = Number(totals[4]) * BYTES[totals[5] as keyof typeof BYTES];
  const problems = [...output.matchAll(/^\s*(Socket errors: .*|Non-2xx .*)$/gm)].map((match) => match[1]!);
  if (bytes < requests * bodyBytes) problems.push(`${bytes} bytes are too few for ${requests} answers`);
  return { requests, seconds, problems };
}
