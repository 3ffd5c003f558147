// The growth benchmark: which curves are flat or linear, what its points are, and how they are told.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AXES } from '../../bench/growth/axes.ts';
import type { Sample } from '../../bench/growth/measure.ts';
import {
  type AxisResult,
  axisMarkdown,
  axisPlot,
  axisTable,
  findingsOf,
  timesOne,
} from '../../bench/growth/report.ts';
import { BASE, configurationOf, targetOf } from '../../bench/growth/setup.ts';
import { lineOf, shapeOf } from '../../bench/growth/shape.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { fc } from '../support/properties.ts';

const curve = (xs: readonly number[], y: (x: number) => number) => xs.map((x) => ({ x, y: y(x) }));
const XS = [1, 10, 100, 1000, 10_000];

describe('a curve', () => {
  it('is flat within the noise, wherever its points lie', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 1e4, noNaN: true }),
        fc.array(fc.double({ min: -0.1, max: 0.1, noNaN: true }), { minLength: 2, maxLength: 9 }),
        (level, noise) => {
          assert.equal(shapeOf(noise.map((part, x) => ({ x, y: level * (1 + part) }))), 'flat');
        },
      ),
    );
  });

  it('is linear when each unit costs the same, and the line tells how much', () => {
    const points = curve(XS, (x) => 20 + 0.5 * x);
    assert.equal(shapeOf(points), 'linear');
    assert.ok(Math.abs(lineOf(points)(0) - 20) < 1e-6);
    assert.ok(Math.abs(lineOf(points)(1) - 20.5) < 1e-6);
  });

  it('is neither when it grows with the square or the logarithm, or has a step', () => {
    assert.equal(shapeOf(curve(XS, (x) => 20 + x * x)), 'neither');
    assert.equal(shapeOf(curve(XS, (x) => 5 + 10 * Math.log2(x))), 'neither');
    assert.equal(shapeOf(curve(XS, (x) => (x < 1000 ? 20 : 60))), 'neither');
  });

  it('of two points is flat or not', () => {
    assert.equal(shapeOf(curve([0, 1], (x) => 10 + x)), 'flat');
    assert.equal(shapeOf(curve([0, 1], (x) => 10 + 10 * x)), 'neither');
    assert.throws(() => shapeOf(curve([1], (x) => x)), RangeError);
  });
});

describe('the points', () => {
  it('of each axis rise, and every configuration is valid', () => {
    assert.equal(new Set(AXES.map(({ name }) => name)).size, AXES.length);
    const place = { directory: '/d', http: 8080, https: 8443, backend: 9000 };
    const options = { file: 'growth.yaml', env: {}, baseDirectory: '/d' };
    for (const { name, series } of AXES) {
      for (const { points } of series) {
        const xs = points.map(({ x }) => x);
        assert.deepEqual(
          xs,
          xs.toSorted((one, other) => one - other),
        );
        for (const { x, setup } of points) {
          // The largest differ from these in nothing but the length of a list, and take long to read.
          const shorter = {
            ...setup,
            targets: Math.min(setup.targets, 30),
            routes: Math.min(setup.routes, 30),
          };
          const result = parseConfig(configurationOf(shorter, place), options);
          assert.ok('config' in result, `${name} at ${x}: ${JSON.stringify(result)}`);
          assert.equal(result.config.workers, setup.workers);
        }
      }
    }
  });

  it('have targets and routes of their own', () => {
    const place = { directory: '/d', http: 1, https: 2, backend: 3 };
    const large = JSON.parse(configurationOf({ ...BASE, targets: 20_000, routes: 10_000 }, place)) as {
      pools: [{ sources: { static: string[] }[] }];
      routes: { name: string; hosts: string[] }[];
    };
    const targets = large.pools[0].sources.flatMap((source) => source.static);
    assert.equal(new Set(targets).size, 20_000);
    assert.ok(targets.every((target) => /^127\.1\.\d{1,3}\.\d{1,3}:3$/.test(target)));
    assert.equal(new Set(large.routes.map(({ hosts }) => hosts[0])).size, 10_000);
    assert.equal(targetOf(20_000, 80), '127.1.78.32:80');
  });
});

const sample = (cpuUs: number): Sample => ({
  cpuUs,
  besideShare: 0.02,
  perSecond: 1e6 / cpuUs,
  p50Ms: 0.2,
  p99Ms: 1,
  workersMiB: 100,
});

const RESULT: AxisResult = {
  axis: { name: 'headers', title: 'fields', expected: 'linear', why: 'Each is scanned.' },
  series: [
    {
      name: 'portico',
      points: [0, 10, 20].map((x) => ({ x, samples: [sample(20 + x), sample(21 + x), sample(40 + x)] })),
    },
  ],
};

describe('the report', () => {
  it('has the median of the rounds and the ratio to the first point', () => {
    const [, first, , last] = axisTable(RESULT);
    assert.deepEqual(first!.slice(0, 4), ['0', '21.0', '20.0..40.0', '1.00']);
    assert.deepEqual(last!.slice(0, 4), ['20', '41.0', '40.0..60.0', '1.95']);
  });

  it('says what each unit costs, and stresses what is not as expected', () => {
    assert.match(axisMarkdown(RESULT, 'images'), /Found: linear, 21\.0 us and 1\.0 us for each unit\./);
    const flat = { ...RESULT, axis: { ...RESULT.axis, expected: 'flat' as const } };
    assert.match(axisMarkdown(flat, 'images'), /Found: \*\*linear\*\*/);
    assert.equal(findingsOf(flat)[0]!.asExpected, false);
    assert.equal(findingsOf(RESULT)[0]!.asExpected, true);
  });

  it('says nothing of the shape of a single point', () => {
    const [only] = RESULT.series[0]!.points;
    const cut = { ...RESULT, series: [{ name: 'portico', points: [only!] }] };
    assert.deepEqual(findingsOf(cut), []);
    assert.match(axisMarkdown(cut, 'images'), /One point has no shape\./);
  });

  it('says how many times as much two workers can do, round by round, with every process counted', () => {
    const workers = (twoUs: readonly number[]): AxisResult => ({
      axis: {
        name: 'workers',
        title: 'workers',
        expected: 'flat',
        why: 'They share nothing.',
        twoWorkers: 1.9,
      },
      series: [
        {
          name: 'portico',
          points: [
            { x: 1, samples: twoUs.map(() => ({ ...sample(20), besideShare: 0 })) },
            { x: 2, samples: twoUs.map((us) => ({ ...sample(us), perSecond: 10_000, besideShare: 0.01 })) },
          ],
        },
      ],
    });
    // One hundredth of a core is 1 us for each of ten thousand requests.
    assert.match(
      timesOne(workers([19, 20, 39]))!,
      /: 1\.90 \(1\.00\.\.2\.00\) times one by .* 2\.00 \(1\.03\.\.2\.11\) by .* 1\.9, reached\.$/,
    );
    assert.match(axisMarkdown(workers([21]), 'images'), /: 1\.82 .* the goal is 1\.9\.$/m);
    assert.equal(timesOne(RESULT), null);
  });

  it('plots CPU and p99 in two panels', () => {
    const svg = axisPlot(RESULT);
    assert.equal([...svg.matchAll(/<polyline /g)].length, 2);
    assert.match(svg, /p99 at half of saturation/);
  });
});
