// What one request pays for its counters and its log line: nanoseconds each, with the work checked.
// One process, nothing pinned; read the numbers as ratios. Run: node bench/micro/telemetry.ts [--json]

import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';
import { AccessLines, type ExchangeRecord, MAX_LINE_BYTES } from '../../src/telemetry/access-line.ts';
import { createAccessLog } from '../../src/telemetry/access-log.ts';
import { ClientText } from '../../src/telemetry/client-text.ts';
import { MetricsBoard } from '../../src/telemetry/metrics-board.ts';
import { MetricsMerge } from '../../src/telemetry/metrics-merge.ts';
import { RequestSeries } from '../../src/telemetry/request-series.ts';

const ROUNDS = 7;

/** Median nanoseconds of one call, over rounds of `times` calls, after a warm-up round. */
function nanoseconds(times: number, call: (index: number) => void): number {
  const results: number[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const start = process.hrtime.bigint();
    for (let index = 0; index < times; index += 1) call(index);
    const took = Number(process.hrtime.bigint() - start) / times;
    if (round > 0) results.push(took);
  }
  return results.sort((left, right) => left - right)[Math.floor(results.length / 2)]!;
}

const { values } = parseArgs({ options: { json: { type: 'boolean' } } });
const results: { readonly name: string; readonly medianNs: number }[] = [];

function report(name: string, medianNs: number): void {
  results.push({ name, medianNs });
  if (values.json) return;
  process.stdout.write(`${name.padEnd(58)} ${medianNs.toFixed(1).padStart(12)} ns\n`);
}

const AGENT =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36';
const PATHS = Array.from(
  { length: 1024 },
  (_, index) => `/api/v3/repos/octocat/hello-${index}?page=${index}`,
);

const RULES = [{}, {}, {}];
const CLIENTS = 16;
const CLIENT_TEXTS = Array.from({ length: CLIENTS }, () => new ClientText());
const TARGETS = Array.from({ length: 8 }, (_, index) => ({ identity: `10.20.30.4${index}:31080` }));

/** Cut out of a longer text, as the fields of a request head are. */
function cutOut(value: string): string {
  return Buffer.from(`: ${value}\r\n`, 'latin1').toString('latin1').slice(2, -2);
}

/** Eight targets in turn, 16 clients, four agents. */
function record(index: number, path: string): ExchangeRecord {
  const target = TARGETS[index % TARGETS.length]!;
  return {
    startedAtMs: 1_790_000_000_000 + index / 20,
    id: `0193d9a4-5d1e-7c42-9d0a-${(index % 4096).toString(16).padStart(12, '0')}`,
    listener: 'websecure',
    protocol: 'HTTP/1.1',
    client: `192.0.2.${77 + (index % CLIENTS)}`,
    method: 'GET',
    host: cutOut('github.example.com'),
    path: cutOut(path),
    status: 200,
    bytesIn: 420,
    bytesOut: 3211,
    route: 'github',
    rule: 'api',
    pool: 'unicorn-api',
    target: target.identity,
    node: `worker-${index % TARGETS.length}.iad.example.com`,
    attempts: 1,
    reused: true,
    headerMs: 0.112,
    connectMs: 0,
    firstByteMs: 3.25 + index / 777,
    totalMs: 4.5 + index / 555,
    flag: '-',
    reason: null,
    userAgent: cutOut(`${AGENT}${index % 4}`),
    referer: null,
    ruleKey: RULES[index % RULES.length]!,
    targetKey: target,
    clientText: CLIENT_TEXTS[index % CLIENTS]!,
  };
}

const times = 200_000;

{
  const board = new MetricsBoard();
  const slot = board.counter('portico_bytes_sent_total', { listener: 'web' });
  report(
    'counter: board.values[slot] += n',
    nanoseconds(times, () => {
      board.values[slot]! += 3;
    }),
  );
  assert.equal(board.values[slot], 3 * times * (ROUNDS + 1));

  const base = board.histogram('portico_upstream_response_duration_seconds', { pool: 'a' });
  report(
    'histogram: board.observe',
    nanoseconds(times, (index) => board.observe(base, (index % 100) / 1000)),
  );

  const series = new RequestSeries(board, 'web', 'app');
  report(
    'request series: count and duration',
    nanoseconds(times, () => series.count('GET', 200, 0.004)),
  );
  const text = new MetricsMerge({ local: board, now: () => 0 }).text();
  assert.ok(text.includes(`method="GET",code="200"} ${times * (ROUNDS + 1)}\n`));
}

{
  const lines = new AccessLines();
  const bytes = Buffer.alloc(MAX_LINE_BYTES);
  const records = PATHS.map((path, index) => record(index, path));
  let length = 0;
  report(
    'access line: write',
    nanoseconds(times, (index) => {
      length = lines.write(records[index & 1023]!, bytes, 0);
    }),
  );
  assert.ok(length > 500);
  report(
    'access line: JSON.stringify of the same record, to compare',
    nanoseconds(times, (index) => {
      length = `${JSON.stringify(records[index & 1023])}\n`.length;
    }),
  );
  const hostile = records.map((one, index) => ({ ...one, userAgent: `${'"\u0000é'.repeat(100)}${index}` }));
  report(
    'access line: write with a User-Agent full of escapes',
    nanoseconds(20_000, (index) => {
      length = lines.write(hostile[index & 1023]!, bytes, 0);
    }),
  );
}

{
  // The whole way to a file that takes everything, flushing included: CPU of the process for each line.
  const lines = new AccessLines();
  const records = PATHS.map((path, index) => record(index, path));
  const total = 100_000;
  const rounds: number[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const log = createAccessLog({
      path: '/dev/null',
      bufferBytes: 64 * 1024 * 1024,
      lost: () => assert.fail('a line was lost'),
    });
    const before = process.cpuUsage();
    for (let index = 0; index < total; index += 1) {
      log.lineOf(lines, records[index & 1023]!);
      if (index % 64 === 0) await new Promise(setImmediate);
    }
    await log.close(10_000);
    const { user, system } = process.cpuUsage(before);
    if (round > 0) rounds.push(((user + system) * 1000) / total);
  }
  rounds.sort((left, right) => left - right);
  report('access log: line, queue and write, all threads', rounds[rounds.length >> 1]!);
}

{
  const merge = new MetricsMerge({ local: null, now: () => performance.now() * 1e6 });
  const boards = Array.from({ length: 4 }, () => {
    const board = new MetricsBoard();
    for (let pool = 0; pool < 500; pool += 1) {
      board.observe(
        board.histogram('portico_upstream_connect_duration_seconds', { pool: `pool-${pool}` }),
        0.01,
      );
      board.values[board.counter('portico_ejections_total', { pool: `pool-${pool}` })]! += 1;
    }
    return board;
  });
  report(
    'frame of 1,000 series',
    nanoseconds(200, (index) => {
      boards[index & 3]!.frame();
    }),
  );
  for (const board of boards) board.invalidate();
  boards.forEach((board, index) => {
    assert.ok(merge.apply(String(index), board.frame()));
  });
  let text = '';
  report(
    'merge and render of 4 workers with 1,000 series each',
    nanoseconds(20, () => {
      text = merge.text();
    }),
  );
  assert.ok(text.includes('portico_ejections_total{pool="pool-499"} 4\n'));
}
if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`);
