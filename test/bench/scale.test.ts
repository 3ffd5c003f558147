import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { busiestOverMean, settledAfter } from '../../bench/fairness/shares.ts';
import { chart } from '../../bench/scale/chart.ts';
import { eventLatencies, percentile } from '../../bench/scale/latency.ts';
import type { LogLine } from '../../bench/scale/portico-run.ts';

const at = (ms: number): string => new Date(ms).toISOString();
const made = (version: number, ms: number): LogLine => ({ code: 'snapshot-made', version, time: at(ms) });
const applied = (version: number, ms: number): LogLine => ({
  code: 'snapshot-applied',
  version,
  time: at(ms),
});
const cause = (by: string, ms: number): LogLine => ({
  code: 'node-changed',
  cluster: 'iad',
  by,
  time: at(ms),
});

describe('event latencies', () => {
  const events = [
    { by: 'node:2', cluster: 'iad', atMs: 1000 },
    { by: 'node:3', cluster: 'iad', atMs: 1010 },
    { by: 'node:4', cluster: 'iad', atMs: 1020 },
    { by: 'node:2', cluster: 'sea', atMs: 1000 },
  ];

  it('run from the API server to the first snapshot applied that was made after the event was seen', () => {
    const log = [
      cause('node:2', 1005),
      made(7, 1008),
      cause('node:3', 1015),
      applied(7, 1030),
      made(8, 1031),
      applied(8, 1050),
    ];
    assert.deepEqual(eventLatencies(events, log), [
      { atMs: 1000, tookMs: 30 },
      { atMs: 1010, tookMs: 40 },
    ]);
  });

  it('a later snapshot stands for one that was never sent', () => {
    const log = [
      cause('node:2', 1005),
      made(7, 1008),
      cause('node:3 slice/a:9', 1015),
      made(8, 1018),
      applied(8, 1040),
    ];
    assert.deepEqual(eventLatencies(events, log), [
      { atMs: 1000, tookMs: 40 },
      { atMs: 1010, tookMs: 30 },
    ]);
  });

  it('count an event once, and not at all without a snapshot', () => {
    const log = [
      cause('node:2', 1005),
      cause('node:2', 1006),
      made(7, 1008),
      applied(7, 1030),
      cause('node:4', 1035),
    ];
    assert.deepEqual(eventLatencies(events, log), [{ atMs: 1000, tookMs: 30 }]);
  });
});

it('percentiles are values that were there', () => {
  assert.equal(percentile([5, 1, 3, 2, 4], 50), 3);
  assert.equal(percentile([5, 1, 3, 2, 4], 99), 5);
  assert.ok(Number.isNaN(percentile([], 50)));
});

it('shares of pods: the busiest over the mean, and when a new one has its own', () => {
  assert.equal(busiestOverMean([10, 10, 10]), 1);
  assert.equal(busiestOverMean([30, 0, 0]), 3);
  assert.equal(busiestOverMean([0, 0]), 0);
  assert.equal(
    settledAfter([
      [10, 10, 0],
      [10, 10, 7],
      [10, 10, 9],
    ]),
    3,
  );
  assert.equal(settledAfter([[10, 0]]), null);
});

it('a chart is one SVG with a curve for each series, and its texts are escaped', () => {
  const svg = chart({
    title: 'a < b',
    unit: 'ms',
    axis: 'nodes',
    series: [
      {
        name: 'p99',
        points: [
          [500, 1],
          [5000, 97],
        ],
      },
    ],
  });
  assert.match(svg, /^<svg [^>]*viewBox/);
  assert.match(svg, /a &lt; b, ms/);
  assert.equal([...svg.matchAll(/<polyline /g)].length, 1);
  assert.equal([...svg.matchAll(/<circle /g)].length, 2);
});
