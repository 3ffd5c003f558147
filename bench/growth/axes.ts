// What grows in the growth benchmark, how far, and what is expected of it.

import { BASE, POLICIES, type Setup } from './setup.ts';

export type Shape = 'flat' | 'linear';

export interface Axis {
  readonly name: string;
  /** What x counts. */
  readonly title: string;
  /** How CPU for each request should go along with it, and why. */
  readonly expected: Shape;
  readonly why: string;
  /** Where x counts workers: how many times as much as one two of them must be able to do. */
  readonly twoWorkers?: number;
  readonly series: readonly AxisSeries[];
}

export interface AxisSeries {
  readonly name: string;
  readonly points: readonly AxisPoint[];
}

export interface AxisPoint {
  readonly x: number;
  readonly setup: Setup;
}

function axis(
  name: string,
  title: string,
  expected: Shape,
  why: string,
  values: readonly number[],
  change: (x: number) => Partial<Setup>,
): Axis {
  const points = values.map((x) => ({ x, setup: { ...BASE, ...change(x) } }));
  return { name, title, expected, why, series: [{ name: 'portico', points }] };
}

const KIB = 1024;

export const AXES: readonly Axis[] = [
  axis(
    'connections',
    'client connections, all busy',
    'flat',
    'A connection costs memory; a request finds its own without a search. Many busy ones leave the caches of the processor.',
    [64, 256, 1000, 2000, 4000, 8000],
    (connections) => ({ connections }),
  ),
  axis(
    'routes',
    'routes, each with a host of its own',
    'flat',
    'A host is found by hash, whatever their number.',
    [1, 10, 100, 1000, 10_000],
    (routes) => ({ routes, hosts: routes }),
  ),
  axis(
    'targets',
    'targets of the pool',
    'flat',
    'Two of them are drawn and compared. Each has its own kept connection, as long as `connections.perPool` allows: beyond it a request opens one and closes another.',
    [3, 30, 300, 1000, 5000, 20_000],
    (targets) => ({ targets }),
  ),
  axis(
    'headers',
    'fields of a request beside four',
    'linear',
    'Each field is scanned once and written once.',
    [0, 10, 20, 40, 80],
    (headers) => ({ headers }),
  ),
  axis(
    'body',
    'KiB of an answer',
    'linear',
    'Each byte is read and written once. The first step is steeper: beyond one read, an answer takes more turns of the event loop.',
    [0, 16, 64, 256, 1024],
    (kib) => ({ bodyBytes: kib * KIB, connections: 16 }),
  ),
  {
    ...axis(
      'workers',
      'workers, each with a core',
      'flat',
      'Workers share nothing but the listening address.',
      [1, 2],
      (workers) => ({ workers }),
    ),
    twoWorkers: 1.9,
  },
  axis(
    'log',
    'access log (0 off, 1 on)',
    'flat',
    'A line is text in a buffer, written by the hundred.',
    [0, 1],
    (on) => ({
      log: on === 1,
    }),
  ),
  axis(
    'scrapes',
    'metrics read a second',
    'flat',
    'Workers hand their counters over once for each reading.',
    [0, 1],
    (scrapes) => ({ scraped: scrapes === 1 }),
  ),
  axis(
    'tls',
    'share of connections with TLS',
    'linear',
    'A record is decrypted and another encrypted for each request of theirs.',
    [0, 0.25, 0.5, 0.75, 1],
    (tlsShare) => ({ tlsShare }),
  ),
  {
    name: 'policies',
    title: 'targets of the pool (3 with 1 route, 5,000 with 1,000 routes)',
    expected: 'flat',
    why: 'Whatever the policy, a pick does not walk through the targets.',
    series: POLICIES.map((policy) => ({
      name: policy,
      points: [
        { x: 3, setup: { ...BASE, policy, hosts: 1000 } },
        { x: 5000, setup: { ...BASE, policy, hosts: 1000, targets: 5000, routes: 1000 } },
      ],
    })),
  },
];
