// The comparison of two commits: how often it cries wolf, what it finds, and the checkout of the other one.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { checkOut } from '../../bench/compare/checkout.ts';
import { judge, leastRounds, type Rule, type Verdict } from '../../bench/compare/verdict.ts';
import { fc } from '../support/properties.ts';

const RULE: Rule = { falseAlarms: 0.01, cases: 1, leastEffect: 0.02 };

/** Every way in which chance can have dealt two equal programs to the names base and change. */
function verdictsOfAllDeals(logs: readonly number[], rule: Rule): readonly Verdict[] {
  return Array.from({ length: 2 ** logs.length }, (_, deal) => {
    const ratios = logs.map((value, at) => Math.exp((deal >> at) & 1 ? value : -value));
    return judge(ratios, rule).verdict;
  });
}

const shareOf = (verdicts: readonly Verdict[], wanted: Verdict): number =>
  verdicts.filter((verdict) => verdict === wanted).length / verdicts.length;

/** Evenly spread numbers from 0 to 1, the same ones for the same seed (Lehmer's generator, minimal standard). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

describe('the verdict', () => {
  it('is wrong about two equal programs no oftener than its bound, whatever the noise of the rounds was', () => {
    const noise = fc.uniqueArray(fc.integer({ min: 1, max: 700_000 }), { minLength: 7, maxLength: 9 });
    fc.assert(
      fc.property(noise, fc.constantFrom(0.01, 0.05), (millionths, falseAlarms) => {
        const logs = millionths.map((value) => value / 1e6);
        const rule = { falseAlarms, cases: 1, leastEffect: 0.001 };
        const verdicts = verdictsOfAllDeals(logs, rule);
        assert.ok(shareOf(verdicts, 'slower') <= falseAlarms);
        assert.ok(shareOf(verdicts, 'faster') <= falseAlarms);
      }),
      { numRuns: 40 },
    );
  });

  it('keeps the bound where rounds came out alike', () => {
    for (const falseAlarms of [0.01, 0.05]) {
      const verdicts = verdictsOfAllDeals(new Array(9).fill(Math.LN2), { ...RULE, falseAlarms });
      assert.ok(shareOf(verdicts, 'slower') <= falseAlarms);
      assert.ok(shareOf(verdicts, 'slower') > 0);
    }
  });

  it('uses most of the bound: it is no judge that never condemns', () => {
    const verdicts = verdictsOfAllDeals([0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.11, 0.12], RULE);
    assert.ok(shareOf(verdicts, 'slower') > 0.007, String(shareOf(verdicts, 'slower')));
  });

  it('keeps the bound for a run of several cases together', () => {
    const random = generator(7);
    const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const rule = { falseAlarms: 0.05, cases: 3, leastEffect: 0.001 };
    let alarms = 0;
    const RUNS = 3000;
    for (let run = 0; run < RUNS; run += 1) {
      const slower = [1, 2, 3].some(() => {
        const ratios = Array.from({ length: 12 }, () => Math.exp(0.04 * normal()));
        return judge(ratios, rule).verdict === 'slower';
      });
      if (slower) alarms += 1;
    }
    // Three standard deviations above the bound.
    assert.ok(alarms / RUNS <= 0.05 + 3 * Math.sqrt((0.05 * 0.95) / RUNS), `${alarms} of ${RUNS}`);
    assert.ok(alarms > 0);
  });

  it('finds what is slower in every round, and one odd round does not hide it', () => {
    const ratios = [1.05, 1.04, 1.06, 1.05, 1.07, 1.03, 1.05, 1.06, 1.04, 1.05, 1.05, 0.99];
    const { verdict, change, low, high } = judge(ratios, { ...RULE, cases: 3 });
    assert.equal(verdict, 'slower');
    assert.ok(low > 0 && low < change && change < high);
    assert.ok(Math.abs(change - 0.05) < 0.005);
    assert.equal(judge([...ratios.slice(1), 3], RULE).verdict, 'slower');
  });

  it('turns round with its ratios', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.5, max: 2, noNaN: true }), { minLength: 7 }), (ratios) => {
        const one = judge(ratios, RULE);
        const other = judge(
          ratios.map((ratio) => 1 / ratio),
          RULE,
        );
        assert.ok(Math.abs((1 + one.change) * (1 + other.change) - 1) < 1e-9);
        assert.ok(Math.abs((1 + one.low) * (1 + other.high) - 1) < 1e-9);
      }),
    );
  });

  it('calls a certain change below the least effect by no name', () => {
    assert.equal(judge(new Array(12).fill(1.015), RULE).verdict, 'not slower');
    assert.equal(judge(new Array(12).fill(1.025), RULE).verdict, 'slower');
    assert.equal(judge(new Array(12).fill(0.97), RULE).verdict, 'faster');
    assert.equal(judge(new Array(12).fill(1), RULE).verdict, 'not slower');
  });

  it('refuses rounds that are too few to show anything', () => {
    assert.equal(leastRounds(RULE), 7);
    assert.equal(leastRounds({ ...RULE, cases: 3 }), 9);
    assert.throws(
      () => judge(new Array(6).fill(2), RULE),
      /6 rounds can show nothing under this bound: it takes 7/,
    );
    assert.equal(judge(new Array(7).fill(2), RULE).verdict, 'slower');
  });
});

describe('the checkout of the base', () => {
  const git = (repository: string, ...parameters: string[]): string =>
    execFileSync(
      'git',
      ['-C', repository, '-c', 'user.name=t', '-c', 'user.email=t@example.test', ...parameters],
      {
        encoding: 'utf8',
      },
    );

  function inRepository(run: (repository: string, directory: string) => void): void {
    const place = mkdtempSync(path.join(tmpdir(), 'portico-compare-test-'));
    const repository = path.join(place, 'repository');
    try {
      mkdirSync(path.join(repository, 'node_modules'), { recursive: true });
      writeFileSync(path.join(repository, '.gitignore'), 'node_modules/\n');
      writeFileSync(path.join(repository, 'package-lock.json'), '{}\n');
      git(place, 'init', '-q', repository);
      writeFileSync(path.join(repository, 'file'), 'old\n');
      git(repository, 'add', '.');
      git(repository, 'commit', '-q', '-m', 'old');
      writeFileSync(path.join(repository, 'file'), 'new\n');
      run(repository, path.join(place, 'base'));
    } finally {
      rmSync(place, { recursive: true, force: true });
    }
  }

  it('holds the commit and not what is in work, shares the packages of one lock file, and leaves no trace', () => {
    inRepository((repository, directory) => {
      const checkout = checkOut(repository, 'HEAD', directory);
      assert.equal(readFileSync(path.join(directory, 'file'), 'utf8'), 'old\n');
      assert.ok(lstatSync(path.join(directory, 'node_modules')).isSymbolicLink());
      assert.ok(git(repository, 'rev-parse', 'HEAD').startsWith(checkout.commit));
      checkout.remove();
      assert.ok(!existsSync(directory));
      assert.equal(git(repository, 'worktree', 'list').trim().split('\n').length, 1);
      assert.ok(existsSync(path.join(repository, 'node_modules')));
    });
  });

  it('takes no packages that another lock file has brought', () => {
    inRepository((repository, directory) => {
      // Its lock file cannot be installed, as there is no package.json: the failure shows that it was tried.
      writeFileSync(path.join(repository, 'package-lock.json'), '{"other":true}\n');
      assert.throws(() => checkOut(repository, 'HEAD', directory), /npm ci/);
      assert.ok(!existsSync(directory));
    });
  });

  it('of a name that is no commit fails', () => {
    inRepository((repository, directory) => {
      assert.throws(() => checkOut(repository, '--all', directory));
      assert.throws(() => checkOut(repository, 'no-such-branch', directory));
      assert.ok(!existsSync(directory));
    });
  });
});
