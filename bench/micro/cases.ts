// Times the cases of a micro-benchmark: nanoseconds for each run of one, with a check of the work that was done.

import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';

const COUNT = 100_000;

export interface Case {
  readonly name: string;
  /** Runs `count` times and returns a number that `check` knows. */
  readonly run: (count: number) => number;
  readonly expected: (count: number) => number;
}

/** Measures and prints, as the parameters of the command line say: `--rounds N`, `--json`. */
export function measureCases(cases: readonly Case[]): void {
  const { values } = parseArgs({
    options: { rounds: { type: 'string', default: '9' }, json: { type: 'boolean' } },
  });
  const rounds = Number(values.rounds);
  const samples = cases.map((): number[] => []);
  // Rounds are interleaved, so that a busy moment of the machine does not hit one case alone.
  for (let round = 0; round <= rounds; round++) {
    for (const [i, { name, run, expected }] of cases.entries()) {
      const start = process.hrtime.bigint();
      const work = run(COUNT);
      const nanoseconds = Number(process.hrtime.bigint() - start) / COUNT;
      assert.equal(work, expected(COUNT), name);
      // The first round warms up.
      if (round > 0) samples[i]!.push(nanoseconds);
    }
  }
  const results = cases.map(({ name }, i) => {
    const sorted = samples[i]!.toSorted((a, b) => a - b);
    return { name, medianNs: sorted[sorted.length >> 1]!, minNs: sorted[0]!, maxNs: sorted.at(-1)! };
  });
  if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`);
  else {
    for (const { name, medianNs, minNs, maxNs } of results) {
      const spread = `${minNs.toFixed(0)} to ${maxNs.toFixed(0)}`;
      process.stdout.write(`${name.padEnd(34)} ${medianNs.toFixed(0).padStart(6)} ns  (${spread})\n`);
    }
  }
}
