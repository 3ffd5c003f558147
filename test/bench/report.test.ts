// Tests of everything between the turns of a benchmark and the page: summary, tables, the marked part of a file.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixedBody } from '../../bench/measure/fixed-body.ts';
import { countHeads } from '../../bench/measure/head-count.ts';
import { parseWrk } from '../../bench/measure/parse-wrk.ts';
import { reportRows } from '../../bench/measure/report.ts';
import { orderOf, type Turn } from '../../bench/measure/rounds.ts';
import { summarise } from '../../bench/measure/summary.ts';
import { markdownTable, textTable } from '../../bench/measure/table.ts';
import { replacePart } from '../../bench/measure/write-result.ts';

const turn = (subject: string, round: number, userMs: number, systemMs: number): Turn => ({
  subject,
  round,
  requests: 1000,
  seconds: 1,
  userMs,
  systemMs,
});

test('CPU per request counts user and system, and half the CPU is a ratio of two', () => {
  const [fast, slow] = summarise([turn('fast', 1, 20, 30), turn('slow', 1, 90, 10)], 'slow');
  assert.equal(fast?.cpuPerRequestUs.median, 50);
  assert.equal(fast?.requestsPerCpuSecond.median, 20_000);
  assert.equal(fast?.ratio?.median, 2);
  assert.equal(slow?.ratio?.median, 1);
  assert.equal(fast?.busy, 0.05);
});

test('ratios compare turns of the same round, so that a slow moment of the machine does not count', () => {
  const turns = [turn('a', 1, 10, 0), turn('b', 1, 50, 0), turn('a', 2, 30, 0), turn('b', 2, 150, 0)];
  assert.deepEqual(summarise(turns, 'b')[0]?.ratio, { median: 5, min: 5, max: 5, deviation: 0 });
});

test('without the subject that ratios refer to there are none', () => {
  const rows = summarise([turn('a', 1, 10, 0)], 'b');
  assert.equal(rows[0]?.ratio, null);
  assert.equal(reportRows(rows)[1]?.[6], '-');
});

test('every row of the report has as many cells as the heading', () => {
  const rows = reportRows(summarise([turn('a', 1, 10, 5), turn('b', 1, 50, 5)], 'b'));
  assert.deepEqual(new Set(rows.map((row) => row.length)).size, 1);
  assert.equal(rows.length, 3);
});

test('each round begins with another subject and has every one once', () => {
  const subjects = ['a', 'b', 'c'];
  assert.deepEqual(
    [0, 1, 2, 3].map((round) => orderOf(subjects, round).join('')),
    ['abc', 'bca', 'cab', 'abc'],
  );
});

test('a table for the terminal aligns numbers to the right', () => {
  assert.equal(
    textTable([
      ['', 'us'],
      ['portico', '9.5'],
      ['x', '100.0'],
    ]),
    '            us\nportico    9.5\nx        100.0\n',
  );
});

test('a table for a page has a rule under its heading', () => {
  assert.equal(
    markdownTable([
      ['', 'us'],
      ['portico', '9.5'],
    ]),
    '|  | us |\n| --- | ---: |\n| portico | 9.5 |\n',
  );
});

const PAGE =
  '# Page\n<!-- bench: begin, made by `npm run bench -- --markdown FILE` -->\nold\n<!-- bench: end -->\nrest\n';

test('only the part between the marks is replaced, again and again with the same result', () => {
  const once = replacePart(PAGE, 'new\n');
  assert.ok(once.startsWith('# Page\n') && once.endsWith('rest\n'));
  assert.ok(once.includes('\n\nnew\n\n') && !once.includes('old'));
  assert.equal(replacePart(once, 'new\n'), once);
});

test('a page without the marks is not written to', () => {
  assert.throws(() => replacePart('# Page\n', 'new'), /no "/);
});

test('a body has exactly the length that was asked for', () => {
  for (const length of [0, 1, 45, 66, 1000]) assert.equal(fixedBody(length).length, length);
});

test('request heads are counted wherever the stream is cut', () => {
  const stream = Buffer.from(
    'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: \r\r\n\r\n',
    'latin1',
  );
  for (let cut = 0; cut <= stream.length; cut += 1) {
    const first = countHeads(stream.subarray(0, cut), 0);
    const second = countHeads(stream.subarray(cut), first.matched);
    assert.equal(first.heads + second.heads, 2, `cut at ${cut}`);
    assert.equal(second.matched, 0);
  }
});

const WRK = `Running 5s test @ http://127.0.0.1:18085/x/y
  1 threads and 64 connections
  Latency     5.32ms   10.07ms  91.44ms   94.18%
  99566 requests in 5.03s, 23.17MB read
Requests/sec:  19774.98
`;

test('the totals of wrk are read', () => {
  assert.deepEqual(parseWrk(WRK, 66), { requests: 99_566, seconds: 5.03, problems: [] });
});

test('what wrk complains of is a problem, and so are answers that are too short', () => {
  const complaints = `${WRK}  Socket errors: connect 0, read 3, write 0, timeout 0\n  Non-2xx or 3xx responses: 7\n`;
  assert.deepEqual(parseWrk(complaints, 66).problems, [
    'Socket errors: connect 0, read 3, write 0, timeout 0',
    'Non-2xx or 3xx responses: 7',
  ]);
  assert.equal(parseWrk(WRK, 1000).problems.length, 1);
});

test('an output of wrk without totals is refused', () => {
  assert.throws(() => parseWrk('unable to connect', 66), SyntaxError);
});
