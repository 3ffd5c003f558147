// The results of the scale benchmark for people: a line for the terminal, a page, and charts of how things grow.

import { markdownTable } from '../measure/table.ts';
import { chart, type Series } from './chart.ts';
import type { LoadReport } from './load.ts';
import type { Size } from './objects.ts';

/** So long after the churn has begun most of the code that it runs has been compiled. */
export const COLD_SECONDS = 5;

export interface RoleCpu {
  /** Of one core, all processes of the role together. */
  readonly restShare: number;
  readonly churnShare: number;
  readonly perEventMs: number;
}

export interface Result {
  readonly size: Size;
  readonly coldStartMs: number;
  readonly events: number;
  /** Events whose way could be followed from outside. */
  readonly timed: number;
  readonly snapshots: number;
  readonly eventP50Ms: number;
  readonly eventP99Ms: number;
  /** Of the events of the first `COLD_SECONDS` of churn, and of those after them; NaN where there were none. */
  readonly eventEarlyP99Ms: number;
  readonly eventLateP99Ms: number;
  readonly applyP50Ms: number;
  readonly applyP99Ms: number;
  readonly applyMaxMs: number;
  readonly workerIdleMiB: number;
  /** The largest. */
  readonly workerMiB: number;
  readonly controllerMiB: number;
  readonly cpu: { readonly controller: RoleCpu; readonly workers: RoleCpu; readonly supervisor: RoleCpu };
  readonly atRest: LoadReport;
  readonly inChurn: LoadReport;
  readonly restRequests: Readonly<Record<string, number>>;
  readonly restBookmarks: number;
  readonly restSeconds: number;
}

export interface Run {
  readonly machine: string;
  readonly node: string;
  readonly workers: number;
  readonly events: number;
  readonly seconds: number;
  readonly requests: number;
  readonly kubeProxyInterval: string;
  readonly results: readonly Result[];
}

const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 0);
const someMs = (value: number): string => (Number.isNaN(value) ? 'none timed' : `${ms(value)} ms`);
const percent = (share: number): string => `${(share * 100).toFixed(1)}%`;
const requestsText = (result: Result): string => {
  const count = (start: string): number =>
    Object.entries(result.restRequests).reduce(
      (sum, [name, n]) => (name.startsWith(start) ? sum + n : sum),
      0,
    );
  return `${count('list')} lists, ${count('watch')} watches, ${result.restBookmarks} bookmarks`;
};

const ROWS: readonly (readonly [name: string, promise: string, (result: Result) => string])[] = [
  ['event to last worker, p50', '', (r) => `${ms(r.eventP50Ms)} ms`],
  ['event to last worker, p99', '100 ms', (r) => `${ms(r.eventP99Ms)} ms`],
  [`the same, first ${COLD_SECONDS} s`, '100 ms', (r) => someMs(r.eventEarlyP99Ms)],
  ['the same, from then on', '100 ms', (r) => someMs(r.eventLateP99Ms)],
  ['events timed / sent', '', (r) => `${r.timed} / ${r.events}`],
  ['snapshots for them', '', (r) => String(r.snapshots)],
  ['snapshot in a worker, p50', '', (r) => `${ms(r.applyP50Ms)} ms`],
  ['snapshot in a worker, p99', '2 ms', (r) => `${ms(r.applyP99Ms)} ms`],
  ['snapshot in a worker, longest', '', (r) => `${ms(r.applyMaxMs)} ms`],
  ['lists in to ready', '5 s', (r) => `${(r.coldStartMs / 1000).toFixed(2)} s`],
  ['controller', '400 MiB', (r) => `${r.controllerMiB.toFixed(0)} MiB`],
  ['worker above idle', '40 MiB', (r) => `${(r.workerMiB - r.workerIdleMiB).toFixed(0)} MiB`],
  ['CPU per event, controller', '', (r) => `${ms(r.cpu.controller.perEventMs)} ms`],
  ['CPU per event, all workers', '', (r) => `${ms(r.cpu.workers.perEventMs)} ms`],
  ['CPU per event, supervisor', '', (r) => `${ms(r.cpu.supervisor.perEventMs)} ms`],
  [
    'controller at rest / in churn, of a core',
    '',
    (r) => `${percent(r.cpu.controller.restShare)} / ${percent(r.cpu.controller.churnShare)}`,
  ],
  ['requests at rest, p50 / p99', '', (r) => `${ms(r.atRest.p50Ms)} / ${ms(r.atRest.p99Ms)} ms`],
  ['requests in churn, p50 / p99', 'as at rest', (r) => `${ms(r.inChurn.p50Ms)} / ${ms(r.inChurn.p99Ms)} ms`],
  [
    'requests failed',
    '0',
    (r) => `${r.atRest.failures + r.inChurn.failures} of ${r.atRest.requests + r.inChurn.requests}`,
  ],
  ['API at rest', 'watches and bookmarks', requestsText],
];

export function summary(result: Result): string {
  const { nodes, services, endpoints } = result.size;
  const lines = ROWS.map(
    ([name, promise, show]) =>
      `  ${name.padEnd(42)} ${show(result)}${promise === '' ? '' : `  (${promise})`}`,
  );
  return [`${nodes} nodes, ${services} services, ${endpoints} endpoints`, ...lines].join('\n');
}

export function markdown(run: Run): string {
  const heading = ['', 'promise', ...run.results.map(({ size }) => `${size.nodes} nodes`)];
  const table = markdownTable([
    heading,
    ...ROWS.map(([name, promise, show]) => [name, promise, ...run.results.map(show)]),
  ]);
  const images = chartFiles(run.results).map(([name, , title]) => `![${title}](images/${name})\n`);
  return `${INTRODUCTION.replace('{run}', runText(run))}\n${table}\n${images.join('\n')}\n${METHOD}`;
}

function runText({ machine, node, workers, events, seconds, requests, kubeProxyInterval }: Run): string {
  return (
    `${machine}; Node ${node}; ${workers} workers, a controller and a supervisor as real processes, beside them the API ` +
    `servers, the targets and the clients, all on the same cores. ${events} events a second for ${seconds} s, after as long ` +
    `at rest; ${requests} requests a second to twelve pools all the while; kube-proxy probed every ${kubeProxyInterval}.`
  );
}

const INTRODUCTION = `# Scale

How Portico grows with the number of nodes: three clusters, a service for every ten nodes, a hundred endpoints for every
service, a pool and a route for each. Made by \`npm run bench:scale -- --markdown docs/scale.md\`; a run takes about four
minutes.

{run}
`;

const METHOD = `## What is measured, and how

- **API servers**: a process of its own serves three clusters over HTTP: lists in pages, watches, bookmarks, resource
  versions. Nodes and slices have the size of real ones (a node is 4 KB, a slice of a hundred endpoints 25 KB). A quarter
  of the events are nodes that go NotReady or come back, which changes every pool under policy \`Cluster\` of their cluster;
  the others replace a pod of a service by one on another node.
- **Event to last worker** is told from outside: from the moment before the API server writes an event to the line in
  Portico's log that says that every worker has acknowledged a snapshot that answers it. Events that change no target leave
  no line and are not timed. The first seconds of churn are a row of their own beside all and the rest: until then nothing
  has changed since the start, and neither the controller nor the workers have run the code of a change often enough for
  V8 to compile it.
- **Snapshot in a worker** is the time from its text to the runtime in force, on the worker's own clock: with more
  processes than cores it holds the turns of the others. The CPU time of an event is what a second with events costs more
  than one without, by the number of events; it does not depend on who else is running.
- **Requests** are timed from when they were due, so that a pause counts for all that had to wait.
- **Memory** is resident memory after the churn; the idle size is a worker's with one static pool.
- **At rest** nothing changes in the clusters for as long as the events last later; what the API servers were asked in
  that time is counted.

## Why it holds

A snapshot travels as the difference from the one before, and whatever did not change is the same object on both sides
([decision 10](decisions/0010-publication-as-difference.md)); a node that changes makes one set of targets another, whatever
the number of pools over it ([decision 20](decisions/0020-pools-name-their-sets.md)). Pools and pickers go on where none of
their targets came or left ([decision 24](decisions/0024-pools-and-pickers-go-on.md)), and a worker pays for a pool when the
pool takes its next flow, so memory and CPU follow the pools in use. Events that come within 20 ms share a snapshot, and only one
is under way at a time. After a pass the controller rests for as long as the pass took, at most 100 ms, so that
watches and probes have their turn: what came meanwhile is answered by the next one, and a single event does not wait.

A pool with a probe of its own has its own targets: 5,000 nodes in 500 such pools would be 2.5 million probes. There,
\`subset\` cuts a pool to that many nodes ([targets.md](targets.md#large-pools)).

## Where it does not hold

A figure in the table that is above its promise is not met on the machine of the run, and no other is claimed. What to know
when reading it: everything shares the machine's cores, so on two of them eight processes wait for each other, and a time on
the wall is mostly that waiting once the controller uses a core by itself. The controller's work for an event grows with
the number of nodes, since a pass compares the lists of the clusters that changed, and looks at every target of one while
any is on its way in or out; the workers' hardly does. A worker holds members for the pools that take flows, and the figure
above idle includes what traffic alone takes, which the smallest size shows.
`;

/** File name, SVG and title of each chart. */
export function chartFiles(
  results: readonly Result[],
): readonly (readonly [name: string, svg: string, title: string])[] {
  const of = (name: string, value: (result: Result) => number): Series => ({
    name,
    points: results
      .map((result) => [result.size.nodes, value(result)] as const)
      .filter(([, y]) => !Number.isNaN(y)),
  });
  const files: readonly (readonly [string, string, string, readonly Series[]])[] = [
    [
      'scale-latency.svg',
      'Event to last worker',
      'ms',
      [
        of('p50', (r) => r.eventP50Ms),
        of('p99', (r) => r.eventP99Ms),
        of(`p99 from ${COLD_SECONDS} s on`, (r) => r.eventLateP99Ms),
      ],
    ],
    [
      'scale-apply.svg',
      'Snapshot in a worker',
      'ms',
      [of('p50', (r) => r.applyP50Ms), of('p99', (r) => r.applyP99Ms)],
    ],
    [
      'scale-cpu.svg',
      'CPU per event',
      'ms',
      [
        of('controller', (r) => r.cpu.controller.perEventMs),
        of('all workers', (r) => r.cpu.workers.perEventMs),
      ],
    ],
    [
      'scale-memory.svg',
      'Memory',
      'MiB',
      [
        of('controller', (r) => r.controllerMiB),
        of('worker above idle', (r) => r.workerMiB - r.workerIdleMiB),
      ],
    ],
    [
      'scale-requests.svg',
      'Requests, p99',
      'ms',
      [of('at rest', (r) => r.atRest.p99Ms), of('in churn', (r) => r.inChurn.p99Ms)],
    ],
  ];
  return files.map(([name, title, unit, series]) => [
    name,
    chart({ title, unit, axis: 'nodes', series }),
    title,
  ]);
}
