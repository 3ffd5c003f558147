import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DURATION_BUCKETS, HISTOGRAM_SLOTS } from '../../src/telemetry/metric-family.ts';
import { MetricsBoard } from '../../src/telemetry/metrics-board.ts';
import { RequestSeries } from '../../src/telemetry/request-series.ts';
import { fc } from '../support/properties.ts';

describe('metrics board', () => {
  it('gives the same slot for the same name and labels, whatever their order', () => {
    const board = new MetricsBoard();
    const first = board.counter('portico_retries_total', { pool: 'a', reason: 'connect-refused' });
    const second = board.counter('portico_retries_total', { reason: 'connect-refused', pool: 'a' });
    const other = board.counter('portico_retries_total', { pool: 'b', reason: 'connect-refused' });
    assert.equal(first, second);
    assert.notEqual(first, other);
  });

  it('keeps slots and values while it grows', () => {
    const board = new MetricsBoard();
    const slot = board.counter('portico_ejections_total', { pool: 'first' });
    board.values[slot]! += 7;
    for (let index = 0; index < 200; index += 1) {
      board.histogram('portico_upstream_connect_duration_seconds', { pool: `p${index}` });
    }
    board.values[slot]! += 1;
    assert.equal(board.values[slot], 8);
    assert.equal(board.frame().values[slot], 8);
  });

  it('counts series over the limit of a family under overflow="true"', () => {
    const board = new MetricsBoard({ seriesLimit: 2 });
    const slots = ['a', 'b', 'c', 'd'].map((pool) => board.counter('portico_ejections_total', { pool }));
    assert.equal(slots[2], slots[3]);
    assert.equal(new Set(slots).size, 3);
    assert.equal(board.counter('portico_ejections_total', { pool: 'a' }), slots[0]);
    assert.deepEqual(board.frame().series, [
      'portico_ejections_total{pool="a"}',
      'portico_ejections_total{pool="b"}',
      'portico_ejections_total{overflow="true"}',
    ]);
    const other = board.counter('portico_upstream_connection_reuses_total', { pool: 'c' });
    assert.ok(!slots.includes(other), 'the limit is for each family');
  });

  it('sends the series list only when it changed or is asked for', () => {
    const board = new MetricsBoard();
    board.counter('portico_ejections_total', { pool: 'a' });
    const first = board.frame();
    assert.equal(first.series?.length, 1);
    assert.equal(board.frame().series, null);
    board.counter('portico_ejections_total', { pool: 'b' });
    const changed = board.frame();
    assert.equal(changed.series?.length, 2);
    assert.notEqual(changed.epoch, first.epoch);
    board.invalidate();
    assert.equal(board.frame().series?.length, 2);
  });

  it('gives frames that later counting does not change', () => {
    const board = new MetricsBoard();
    const slot = board.counter('portico_ejections_total', { pool: 'a' });
    const frame = board.frame();
    board.values[slot]! += 1;
    assert.equal(frame.values[slot], 0);
  });

  it('puts every duration into exactly the bucket that le describes', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { maxLength: 50 }), (durations) => {
        const board = new MetricsBoard();
        const base = board.histogram('portico_snapshot_apply_seconds', {});
        for (const duration of durations) board.observe(base, duration);
        let below = 0;
        DURATION_BUCKETS.forEach((bound, index) => {
          below += board.values[base + index]!;
          assert.equal(below, durations.filter((duration) => duration <= bound).length);
        });
        const all = board.values.subarray(base, base + HISTOGRAM_SLOTS - 1).reduce((sum, n) => sum + n, 0);
        assert.equal(all, durations.length);
      }),
      { numRuns: 200 },
    );
  });

  it('counts a negative or missing duration as zero', () => {
    const board = new MetricsBoard();
    const base = board.histogram('portico_snapshot_apply_seconds', {});
    board.observe(base, -1);
    board.observe(base, Number.NaN);
    assert.equal(board.values[base], 2);
    assert.equal(board.values[base + HISTOGRAM_SLOTS - 1], 0);
  });
});

describe('request series', () => {
  it('bounds what clients can make of methods and targets of codes', () => {
    const board = new MetricsBoard();
    const series = new RequestSeries(board, 'web', 'app');
    for (const method of ['GET', 'get', 'BREW', 'constructor', '__proto__']) series.count(method, 200, 0.01);
    for (const status of [0, 42, 999, Number.NaN]) series.count('GET', status, 0.01);
    series.count('GET', 499, 0.01);
    const names = board.frame().series?.filter((name) => name.startsWith('portico_http_requests_total'));
    assert.deepEqual(names, [
      'portico_http_requests_total{listener="web",route="app",method="GET",code="200"}',
      'portico_http_requests_total{listener="web",route="app",method="OTHER",code="200"}',
      'portico_http_requests_total{listener="web",route="app",method="GET",code="other"}',
      'portico_http_requests_total{listener="web",route="app",method="GET",code="499"}',
    ]);
  });

  it('goes on with the same numbers when the next snapshot binds it anew', () => {
    const board = new MetricsBoard();
    new RequestSeries(board, 'web', 'app').count('GET', 200, 0.01);
    const before = board.frame().values;
    new RequestSeries(board, 'web', 'app').count('GET', 200, 0.01);
    const after = board.frame();
    assert.equal(after.series, null);
    assert.equal(
      after.values.reduce((sum, n) => sum + n, 0),
      before.reduce((sum, n) => sum + n, 0) * 2,
    );
  });
});
