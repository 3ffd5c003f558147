// Tests of reading what the micro-benchmarks print.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLines, readNamed, readPickers, readRouter } from '../../bench/micro/figures.ts';

test('named medians are read with their unit', () => {
  const output = JSON.stringify([
    { name: 'request', medianNs: 412.5, minNs: 400, maxNs: 500 },
    { name: 'cold', medianMs: 3 },
  ]);
  assert.deepEqual(readNamed(output), [
    { name: 'request', value: 412.5, unit: 'ns' },
    { name: 'cold', value: 3, unit: 'ms' },
  ]);
});

test('the router table gives one figure for each name and count', () => {
  const output =
    'ns per match\nroutes                      1    1000\nexact host, prefix path   101     117\n';
  assert.deepEqual(readRouter(output), [
    { name: 'exact host, prefix path, 1 routes', value: 101, unit: 'ns' },
    { name: 'exact host, prefix path, 1000 routes', value: 117, unit: 'ns' },
  ]);
});

test('of the pickers what a request and a snapshot pay is kept', () => {
  const row = {
    policy: 'maglev',
    members: 3,
    buildMs: 8,
    healthChangeMs: 0.1,
    memberChangeMs: 7,
    pickNs: 21,
  };
  assert.deepEqual(
    readPickers(JSON.stringify({ hashingNs: 60, rows: [row] })).map(({ name, value }) => [name, value]),
    [
      ['maglev, 3 targets, pick', 21],
      ['maglev, 3 targets, build', 8],
      ['maglev, 3 targets, after a health change', 0.1],
      ['hash of an IPv4 address', 60],
    ],
  );
});

test('of plain lines those with a number and a unit are read', () => {
  assert.deepEqual(readLines('heading\naccess log: build, queue and write      812.5 ns\n\n'), [
    { name: 'access log: build, queue and write', value: 812.5, unit: 'ns' },
  ]);
});
