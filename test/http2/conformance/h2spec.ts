// Builds h2spec (github.com/summerwind/h2spec) and runs all its cases, the strict ones too, against a port.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { buildGo } from '../../support/go-build.ts';

/** Of the version in go.mod, with `--strict`. */
export const CASES = 146;
/** Seconds for one case: far more than any needs, so that a busy machine does not fail one. */
const CASE_SECONDS = '10';

export interface Report {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** What h2spec prints, from the cases that failed on. */
  readonly output: string;
}

export function buildH2spec(say: (line: string) => void): Promise<string> {
  return buildGo(
    {
      name: 'h2spec',
      module: import.meta.dirname,
      sources: ['go.mod', 'go.sum'],
      package: 'github.com/summerwind/h2spec/cmd/h2spec',
    },
    say,
  );
}

/** `tls` without a look at the certificate, which is not what is tested. */
export async function runH2spec(program: string, port: number, tls: boolean): Promise<Report> {
  const parameters = ['--strict', '-h', '127.0.0.1', '-p', String(port), '-o', CASE_SECONDS];
  if (tls) parameters.push('--tls', '--insecure');
  // It ends with 1 when a case failed; its output says which.
  const output = await promisify(execFile)(program, parameters, { maxBuffer: 16 * 1024 * 1024 }).then(
    ({ stdout }) => stdout,
    (error: Error & { stdout?: string }) => {
      if (error.stdout === undefined || error.stdout === '') throw error;
      return error.stdout;
    },
  );
  const counts = /(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed/.exec(output);
  if (counts === null) throw new Error(`h2spec said nothing of its cases: ${output.slice(-500)}`);
  const [, , passed, skipped, failed] = counts.map(Number);
  const at = output.indexOf('Failures:');
  return { passed: passed!, failed: failed!, skipped: skipped!, output: output.slice(Math.max(0, at)) };
}
