// Command: floods Portico in every way of the list and says what it cost: memory, the latency of others, and which limit counted.
// usage: node test/floods/run.ts [--short] [--seconds N] [--only TEXT] [--memory] [--write]

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { requirePeers } from '../support/peers.ts';
import { Bed, CEILING_BYTES } from './bed.ts';
import { countedSince, type StageFigures } from './figures.ts';
import { measureConnectionMemory } from './idle-memory.ts';
import { type FloodResult, HEADINGS, mib, page, row } from './report.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';

const SHORT_SECONDS = 3;
const LASTING_SECONDS = 6;
/** What is left of a flood must be gone before the next one is measured. */
const SETTLED_LIMIT_MS = 15_000;
/** Only to catch what is broken: on a shared machine latencies belong into the report. */
const LOOSE_FACTOR = 100;
const LOOSE_FLOOR_MS = 2000;
/** Workers report four times a second, and the page of metrics is made at most once a second. */
const COUNTED_AFTER_MS = 1500;
const PAGE = path.join(import.meta.dirname, '../../docs/floods.md');

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '10' },
    only: { type: 'string', default: '' },
    memory: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});
const seconds = values.short ? SHORT_SECONDS : Number(values.seconds);
if (!(seconds >= 1)) {
  process.stderr.write(
    'usage: node test/floods/run.ts [--short] [--seconds N] [--only TEXT] [--memory] [--write]\n',
  );
  process.exit(64);
}
const say = (line: string): boolean => process.stdout.write(`${line}\n`);

const idle = values.memory || values.write ? await measureConnectionMemory() : [];
for (const { title, connections, residentEach, heapEach } of idle)
  say(
    `${title}: ${residentEach} bytes resident each of ${connections}, ${heapEach} of them objects and buffers`,
  );
if (values.memory && !values.write) process.exit(0);

requirePeers(['slowhttptest']);
const bed = await Bed.start();
const failures: string[] = [];
const results: FloodResult[] = [];
let quiet: StageFigures;
try {
  await sleep(1000);
  await bed.figures();
  await sleep(1000 * seconds);
  quiet = await bed.figures();
  say(`${HEADINGS}\n| --- | --- | --- | --- | --- | --- | --- |`);
  for (const scenario of SCENARIOS.filter(({ title }) => title.includes(values.only))) {
    const result = await measure(scenario);
    results.push(result);
    say(row(result, quiet));
    judge(scenario, result);
  }
} finally {
  for (const pid of await bed.close()) failures.push(`process ${pid} outlived Portico`);
}
say(`quiet: p99 ${quiet.p99Ms.toFixed(2)} ms of ${quiet.requests} requests; ceiling ${mib(CEILING_BYTES)}`);
if (values.write) await writeFile(PAGE, page(quiet, results, idle, seconds));
for (const failure of failures) say(`FAILED: ${failure}`);
process.exit(failures.length === 0 ? 0 : 1);

async function measure(scenario: Scenario): Promise<FloodResult> {
  const before = await bed.counts();
  await bed.figures();
  bed.memory.take();
  await bed.flood(scenario, 1000 * Math.max(seconds, scenario.lasting === true ? LASTING_SECONDS : 0));
  const figures = await bed.figures();
  const peaks = bed.memory.take();
  await sleep(COUNTED_AFTER_MS);
  const counted = countedSince(before, await bed.counts());
  await settled();
  return { title: scenario.title, figures, ...peaks, counted };
}

/** Until only the connections of the well-behaved client are open. */
async function settled(): Promise<void> {
  const endAtMs = performance.now() + SETTLED_LIMIT_MS;
  while ((await bed.gauge('portico_connections_active')) > 16) {
    if (performance.now() > endAtMs) {
      failures.push('connections of a flood are still open long after its end');
      return;
    }
    await sleep(200);
  }
}

function judge(scenario: Scenario, { figures, treeBytes, counted }: FloodResult): void {
  const fail = (what: string): number => failures.push(`${scenario.title}: ${what}`);
  if (treeBytes > CEILING_BYTES) fail(`the tree took ${mib(treeBytes)}, above ${mib(CEILING_BYTES)}`);
  if (figures.requests === 0) fail('the well-behaved client got no answer');
  if (figures.errors.length > 0)
    fail(`errors of the well-behaved client: ${[...new Set(figures.errors)].join('; ')}`);
  const hasCounted = scenario.counted.some((reason) => counted.some(([name]) => name === reason));
  if (scenario.counted.length > 0 && !hasCounted) fail(`none of ${scenario.counted.join(', ')} has counted`);
  if (figures.p99Ms > Math.max(LOOSE_FLOOR_MS, LOOSE_FACTOR * quiet.p99Ms))
    fail(`p99 of ${figures.p99Ms.toFixed(0)} ms against ${quiet.p99Ms.toFixed(1)} ms`);
}
