// The page that a full run writes: docs/floods.md.

import { cpus, loadavg, totalmem } from 'node:os';
import process from 'node:process';
import { RATE } from './bed.ts';
import type { StageFigures } from './figures.ts';
import type { ConnectionMemory } from './idle-memory.ts';
import { ceilingBytes, OTHERS_BYTES, OVERSHOOT_BYTES, perWorkerBytes } from './proxies.ts';
import type { Scenario } from './scenarios.ts';

export interface FloodResult {
  readonly scenario: Scenario;
  readonly figures: StageFigures;
  readonly treeBytes: number;
  readonly largestBytes: number;
  readonly counted: readonly (readonly [reason: string, count: number])[];
  /** Answers by status and ends of connections, as the clients of the flood saw them; empty where they do not tell. */
  readonly seen: Readonly<Record<string, number>>;
  /** Its connections that were open when its processes had been gone for long. */
  readonly leftOpen: number;
}

export interface Run {
  readonly quiet: StageFigures;
  readonly results: readonly FloodResult[];
}

export const mib = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(0)} MiB`;
export const ms = (value: number): string => (value < 10 ? value.toFixed(1) : value.toFixed(0));

export const HEADINGS = `| flood | tree, peak | others: p50 / p99 / max, ms | p99 against quiet | errors | its clients saw | counted by |
| --- | --- | --- | --- | --- | --- | --- |`;

export function row(result: FloodResult, quiet: StageFigures): string {
  const { figures, counted, seen } = result;
  const cells = [
    result.scenario.title,
    mib(result.treeBytes),
    latencies(figures),
    against(figures, quiet),
    String(figures.errors.length),
    listed(Object.entries(seen)),
    listed(counted.map(([reason, count]) => [`\`${reason}\``, count])),
  ];
  return `| ${cells.join(' | ')} |`;
}

const latencies = ({ p50Ms, p99Ms, maxMs }: StageFigures): string =>
  `${ms(p50Ms)} / ${ms(p99Ms)} / ${ms(maxMs)}`;
const against = (figures: StageFigures, quiet: StageFigures): string =>
  (figures.p99Ms / quiet.p99Ms).toFixed(1);
const listed = (counts: readonly (readonly [string, number])[]): string =>
  counts.length === 0
    ? '-'
    : counts.map(([what, count]) => `${what}: ${count.toLocaleString('en')}`).join(', ');

/** The same floods on HAProxy: only what both have. */
function peerRow({ results }: Run, quiet: StageFigures, index: number): string {
  const { scenario, figures, treeBytes, seen } = results[index]!;
  const cells = [
    scenario.title,
    mib(treeBytes),
    latencies(figures),
    against(figures, quiet),
    String(figures.errors.length),
    listed(Object.entries(seen)),
  ];
  return `| ${cells.join(' | ')} |`;
}

export interface Page {
  readonly portico: Run;
  readonly haproxy: Run;
  readonly idle: readonly ConnectionMemory[];
  readonly seconds: number;
  readonly apart: boolean;
  readonly workers: number;
}

export function page({ portico, haproxy, idle, seconds, apart, workers }: Page): string {
  const { quiet, results } = portico;
  const within = results.filter(({ figures }) => figures.p99Ms <= 3 * quiet.p99Ms).length;
  const place = apart
    ? 'With `--apart` what is flooded has the first processor and everything else the second, and neighbours on the machine run behind the bed (niceness -20 for all but the flood).'
    : 'All of it shares the processors.';
  return `# Floods

Written by \`npm run floods -- --seconds ${seconds}${apart ? ' --apart' : ''} --write\`; \`npm run floods -- --short\` is the form for continuous
integration. What the limits mean and why they are as they are: [limits.md](limits.md).

## The bed

One machine: Portico with ${workers === 1 ? '1 worker' : `${workers} workers`}, a target and a client for each side, one flood at a time, each in a process of its
own. ${place} The floods and their target run at the lowest priority. The well-behaved client sends ${RATE} requests a second over
16 kept connections at fixed times to a target that the floods leave alone: what a flood within its limits does to a
target of its own is for \`connections.perTarget\` and the rates of a client to bound. Its latency counts from the
time at which a request was due, so that a stall is measured by every request that it delays. The configuration has the
defaults, but for timeouts short enough to be seen (\`header\` and \`idle\` 3 s, \`rateGrace\` 2 s), rates for one client, and a
pool with few connections for the slow targets (\`test/floods/proxies.ts\`). Memory is resident memory, what processes
share counted in each of them.

Ceiling: \`memory.perWorker\` is ${mib(perWorkerBytes(workers))}. A worker may be ${mib(OVERSHOOT_BYTES)} above it for the 250 ms between two looks, and
supervisor and controller together may take ${mib(OTHERS_BYTES)}: **${mib(ceilingBytes(workers))}** for the tree. A run fails when the tree is
above it, when more than a tenth of what the well-behaved client asks for is not answered, when no limit has counted a flood that one must
have stopped, or when connections of a flood are open long after its end. Latencies are reported, not judged: the
machine is shared.

Machine: ${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, ${mib(totalmem())}; Node ${process.versions.node}; each flood ${seconds} s at least; load average
${loadavg()[0]!.toFixed(0)} at the end. Where that is far above the number of processors, both 99th percentiles are what the neighbours make them: then
the medians say more.

## What its clients see

| flood | answer |
| --- | --- |
${results.map(({ scenario }) => `| ${scenario.title} | ${scenario.answer} |`).join('\n')}

## Portico

Quiet: p50 ${ms(quiet.p50Ms)} ms, p99 ${ms(quiet.p99Ms)} ms, max ${ms(quiet.maxMs)} ms over ${quiet.requests.toLocaleString('en')} requests. The p99 of others stays within
three times that in ${within} of ${results.length} floods.

${HEADINGS}
${results.map((result) => row(result, quiet)).join('\n')}

## HAProxy beside it

HAProxy (Debian) with ${workers === 1 ? '1 thread' : `${workers} threads`} in the same bed, with the limits that come closest (\`haproxyConfiguration\`). It knows no
least rates: who is slow, but not silent, stays. It has no second process, and no garbage.

Quiet: p50 ${ms(haproxy.quiet.p50Ms)} ms, p99 ${ms(haproxy.quiet.p99Ms)} ms, max ${ms(haproxy.quiet.maxMs)} ms.

| flood | tree, peak | others: p50 / p99 / max, ms | p99 against quiet | errors | its clients saw |
| --- | --- | --- | --- | --- | --- |
${haproxy.results.map((_, index) => peerRow(haproxy, haproxy.quiet, index)).join('\n')}

## Memory of a connection

Measured by \`npm run floods -- --memory\`: resident memory of one worker before and after so many connections, divided by
their number, after garbage was collected. Kernel memory of the sockets is not in it.

| connections | number | resident bytes each | objects and buffers of it |
| --- | --- | --- | --- |
${idle.map((one) => `| ${one.title} | ${one.connections.toLocaleString('en')} | ${one.residentEach.toLocaleString('en')} | ${one.heapEach.toLocaleString('en')} |`).join('\n')}
`;
}
