// The page that a full run writes: docs/floods.md.

import { cpus, totalmem } from 'node:os';
import process from 'node:process';
import { CEILING_BYTES, OTHERS_BYTES, OVERSHOOT_BYTES, PER_WORKER_BYTES, RATE, WORKERS } from './bed.ts';
import type { StageFigures } from './figures.ts';
import type { ConnectionMemory } from './idle-memory.ts';

export interface FloodResult {
  readonly title: string;
  readonly figures: StageFigures;
  readonly treeBytes: number;
  readonly largestBytes: number;
  readonly counted: readonly (readonly [reason: string, count: number])[];
}

export const mib = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(0)} MiB`;
export const ms = (value: number): string => (value < 10 ? value.toFixed(1) : value.toFixed(0));

export const HEADINGS =
  '| flood | tree, peak | worker, peak | others: p50 / p99 / max, ms | p99 against quiet | errors | counted by |';

export function row(result: FloodResult, quiet: StageFigures): string {
  const { figures, counted } = result;
  const counts = counted.map(([reason, count]) => `\`${reason}\` ${count.toLocaleString('en')}`).join(', ');
  const cells = [
    result.title,
    mib(result.treeBytes),
    mib(result.largestBytes),
    `${ms(figures.p50Ms)} / ${ms(figures.p99Ms)} / ${ms(figures.maxMs)}`,
    `${(figures.p99Ms / quiet.p99Ms).toFixed(1)}`,
    String(figures.errors.length),
    counts === '' ? 'none' : counts,
  ];
  return `| ${cells.join(' | ')} |`;
}

export function page(
  quiet: StageFigures,
  results: readonly FloodResult[],
  idle: readonly ConnectionMemory[],
  seconds: number,
): string {
  return `# Floods

Written by \`npm run floods -- --seconds ${seconds} --write\`; \`npm run floods -- --short\` is the form for continuous
integration. What the limits mean and why they are as they are: [limits.md](limits.md).

The bed is one machine: Portico with ${WORKERS} workers, a target (Node), a well-behaved client and one flood at a time, each in
a process of its own; the floods run at the lowest priority, since the bed has no second machine for them. The client
sends ${RATE} requests a second over 16 kept connections at fixed times; its latency counts from the time at which a request
was due, so that a stall is measured by every request that it delays. The configuration has the defaults, but for
timeouts short enough to be seen, rates for one client, and a pool with few connections for the slow targets
(\`bedConfiguration\` in \`test/floods/bed.ts\`). Memory is resident memory, what processes share counted in each of them.

Ceiling: \`memory.perWorker\` is ${mib(PER_WORKER_BYTES)}. A worker may be ${mib(OVERSHOOT_BYTES)} above it for the 250 ms between two looks, and
supervisor and controller together may take ${mib(OTHERS_BYTES)}: **${mib(CEILING_BYTES)}** for the tree. A run fails when the tree is
above it, when the well-behaved client sees anything but its answers, or when no limit has counted a flood that one must
have stopped. Latencies are reported, for the machine is shared.

Machine: ${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, ${mib(totalmem())}; Node ${process.versions.node}; each flood ${seconds} s.

Quiet: p50 ${ms(quiet.p50Ms)} ms, p99 ${ms(quiet.p99Ms)} ms, max ${ms(quiet.maxMs)} ms over ${quiet.requests.toLocaleString('en')} requests.

${HEADINGS}
| --- | --- | --- | --- | --- | --- | --- |
${results.map((result) => row(result, quiet)).join('\n')}

## Memory of a connection

Measured by \`npm run floods -- --memory\`: resident memory of one worker before and after so many connections, divided by
their number, after garbage was collected. Kernel memory of the sockets is not in it.

| connections | number | resident bytes each | objects and buffers of it |
| --- | --- | --- | --- |
${idle.map((one) => `| ${one.title} | ${one.connections.toLocaleString('en')} | ${one.residentEach.toLocaleString('en')} | ${one.heapEach.toLocaleString('en')} |`).join('\n')}
`;
}
