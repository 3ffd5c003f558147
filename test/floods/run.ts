// Command: floods Portico in every way of the list and says what it cost: memory, the latency of others, and which limit counted.

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { readOptions, wrongUsage } from '../support/command-line.ts';
import { requirePeers } from '../support/peers.ts';
import { ANYWHERE, APART, Bed } from './bed.ts';
import { countedSince } from './figures.ts';
import { measureConnectionMemory } from './idle-memory.ts';
import { ceilingBytes, type StartProxy, startHaproxy, startPortico } from './proxies.ts';
import { type FloodResult, HEADINGS, mib, page, type Run, row } from './report.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';

const SHORT_SECONDS = 3;
const LASTING_SECONDS = 6;
/** What is left of a flood must be gone before the next one is measured. */
const SETTLED_LIMIT_MS = 30_000;
/** Of its requests so many may be refused, where a worker is at its ceiling for a moment. */
const SERVED_DESPITE = 0.1;
/** Of the well-behaved client, and of the one that asks for metrics. */
const CLIENT_CONNECTIONS = 16;
/** Workers report four times a second, and the page of metrics is made at most once a second. */
const COUNTED_AFTER_MS = 1500;
/** A stage of the well-behaved client alone, long enough for a 99th percentile. */
const QUIET_SECONDS = 10;
const PAGE = path.join(import.meta.dirname, '../../docs/floods.md');

const USAGE = `Usage: npm run floods -- [OPTIONS]

  --short      ${SHORT_SECONDS} s for each flood, the form for continuous integration: two minutes
  --seconds N  seconds for each flood, some at least ${LASTING_SECONDS} (10)
  --only TEXT  only floods whose title has this in it
  --apart      what is flooded on the first processor, everything else on the second; needs root
  --haproxy    flood HAProxy in the place of Portico
  --memory     only what idle connections cost in memory
  --write      flood both, and renew docs/floods.md
  -h, --help   print this

Three to five minutes. Linux; slowhttptest, and HAProxy where it is asked for, are installed as Debian packages where they
are missing and this is root. Exit code 1: memory above the ceiling, others not served, or a limit that did not count.
`;

const { values } = readOptions('floods', USAGE, {
  options: {
    short: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '10' },
    only: { type: 'string', default: '' },
    apart: { type: 'boolean', default: false },
    haproxy: { type: 'boolean', default: false },
    memory: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});
const seconds = values.short ? SHORT_SECONDS : Number(values.seconds);
if (!(seconds >= 1)) wrongUsage('floods', '--seconds must be 1 or more');
const places = values.apart ? APART : ANYWHERE;
const say = (line: string): boolean => process.stdout.write(`${line}\n`);

const idle = values.memory || values.write ? await measureConnectionMemory() : [];
for (const { title, connections, residentEach, heapEach } of idle)
  say(
    `${title}: ${residentEach} bytes resident each of ${connections}, ${heapEach} of them objects and buffers`,
  );
if (values.memory && !values.write) process.exit(0);

requirePeers(['slowhttptest']);
const failures: string[] = [];
const portico = values.haproxy && !values.write ? null : await flood(startPortico, judge);
const haproxy = values.haproxy || values.write ? await flood(startHaproxy, null) : null;
if (values.write)
  await writeFile(
    PAGE,
    page({
      portico: portico!,
      haproxy: haproxy!,
      idle,
      seconds,
      apart: values.apart,
      workers: places.workers,
    }),
  );
for (const failure of failures) say(`FAILED: ${failure}`);
process.exit(failures.length === 0 ? 0 : 1);

type Judge = (scenario: Scenario, result: FloodResult) => void;

async function flood(start: StartProxy, judgeResult: Judge | null): Promise<Run> {
  const bed = await Bed.start(start, places);
  try {
    await sleep(1000);
    await bed.figures();
    await sleep(1000 * (values.short ? SHORT_SECONDS : QUIET_SECONDS));
    const quiet = await bed.figures();
    say(`quiet: p99 ${quiet.p99Ms.toFixed(2)} ms of ${quiet.requests} requests\n${HEADINGS}`);
    const results: FloodResult[] = [];
    for (const scenario of SCENARIOS.filter(({ title }) => title.includes(values.only))) {
      const result = await measure(bed, scenario);
      results.push(result);
      say(row(result, quiet));
      judgeResult?.(scenario, result);
    }
    return { quiet, results };
  } finally {
    for (const pid of await bed.close()) failures.push(`process ${pid} outlived what was flooded`);
  }
}

async function measure(bed: Bed, scenario: Scenario): Promise<FloodResult> {
  const before = await bed.counts();
  await bed.figures();
  bed.memory.take();
  const lasting = scenario.lasting === true ? LASTING_SECONDS : 0;
  const seen = await bed.flood(scenario, 1000 * Math.max(seconds, lasting), async () => {
    const counted = countedSince(before, await bed.counts());
    return hasCounted(scenario, counted);
  });
  const figures = await bed.figures();
  const peaks = bed.memory.take();
  await sleep(COUNTED_AFTER_MS);
  const counted = countedSince(before, await bed.counts());
  const leftOpen = await settled(bed);
  return { scenario, figures, ...peaks, counted, seen, leftOpen };
}

/** Waits until only the connections of the well-behaved client are open; how many others still were at the limit. */
async function settled(bed: Bed): Promise<number> {
  const endAtMs = performance.now() + SETTLED_LIMIT_MS;
  for (;;) {
    const others = (await bed.connections()) - CLIENT_CONNECTIONS;
    if (others <= 0) return 0;
    if (performance.now() > endAtMs) return others;
    await sleep(200);
  }
}

/** One of the limits that must have has counted, or none must. */
function hasCounted({ counted: reasons }: Scenario, counted: FloodResult['counted']): boolean {
  return reasons.length === 0 || counted.some(([reason]) => reasons.includes(reason));
}

/** What holds on any machine, however busy: latencies are for the page. */
function judge(scenario: Scenario, { figures, treeBytes, counted, leftOpen }: FloodResult): void {
  const fail = (what: string): number => failures.push(`${scenario.title}: ${what}`);
  const ceiling = ceilingBytes(places.workers);
  if (treeBytes > ceiling) fail(`the tree took ${mib(treeBytes)}, above ${mib(ceiling)}`);
  if (
    figures.errors.length > SERVED_DESPITE * (figures.requests + figures.errors.length) ||
    figures.requests === 0
  )
    fail(
      `${figures.errors.length} errors of the well-behaved client: ${[...new Set(figures.errors)].join('; ')}`,
    );
  if (!hasCounted(scenario, counted)) fail(`none of ${scenario.counted.join(', ')} has counted`);
  if (leftOpen > 0) fail(`${leftOpen} of its connections are still open long after its end`);
}
