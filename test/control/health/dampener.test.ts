import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Damped, dampen } from '../../../src/control/health/dampener.ts';
import { fc } from '../../support/properties.ts';

function run(results: string, rise: number, fall: number): string {
  let state: Damped | null = null;
  let output = '';
  for (const result of results) {
    state = dampen(state, result === 'T', rise, fall);
    output += state.healthy ? 'T' : 'F';
  }
  return output;
}

/** The first two rows are the truth tables of glb-director's HealthResultDampener. */
const TABLE: readonly [results: string, rise: number, fall: number, expected: string][] = [
  ['TTFTFTTTTTFTFFFFF', 3, 3, 'TTTTTTTTTTTTTTFFF'],
  ['FFTFTFFFFFTF', 1, 3, 'FFTTTTTFFFTT'],
  ['F', 3, 3, 'F'],
  ['T', 3, 3, 'T'],
  ['FTTT', 3, 3, 'FFFT'],
  ['FTTFTTT', 3, 3, 'FFFFFFT'],
  ['TFTF', 1, 1, 'TFTF'],
];
for (const [results, rise, fall, expected] of TABLE) {
  test(`${results} with rise ${rise} and fall ${fall} gives ${expected}`, () => {
    assert.equal(run(results, rise, fall), expected);
  });
}

test('the state flips only after that many equal results in a row', () => {
  const chars = fc.array(fc.constantFrom('T', 'F'), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(chars, fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), (list, rise, fall) => {
      const results = list.join('');
      const output = run(results, rise, fall);
      assert.equal(output[0], results[0]);
      for (let i = 1; i < output.length; i++) {
        if (output[i] === output[i - 1]) continue;
        const needed = output[i] === 'T' ? rise : fall;
        assert.equal(results.slice(i - needed + 1, i + 1), (output[i] ?? '').repeat(needed));
      }
    }),
  );
});
