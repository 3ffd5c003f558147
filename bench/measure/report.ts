// What the benchmark prints: one table, and beside it what the machine was and what the figures cannot show.

import { arch, cpus, platform, release } from 'node:os';
import process from 'node:process';
import type { Spread } from './statistics.ts';
import type { Row } from './summary.ts';

export interface Conditions {
  /** ISO 8601, the day. */
  readonly date: string;
  readonly machine: string;
  readonly node: string;
  /** Processes that wanted to run, over the minute before the first round: 0 on a machine of one's own. */
  readonly loadBefore: number;
  readonly driver: string;
  readonly pinned: boolean;
  readonly connections: number;
  readonly bodyBytes: number;
  readonly rounds: number;
  readonly secondsPerRound: number;
}

/** The machine in general words. */
export function describeMachine(): string {
  const cores = cpus().length;
  return `${cores} ${cores === 1 ? 'core' : 'cores'}, ${platform()} ${release().split('-')[0]} on ${arch()}`;
}

export const nodeVersion: string = process.version;

const HEADING = [
  '',
  'CPU us/request',
  'min..max',
  'user',
  'system',
  'requests/CPU s',
  'of http-proxy',
  'min..max',
  'requests/s',
  'core busy',
];

/** The table as rows of text; the first row is the heading. */
export function reportRows(rows: readonly Row[]): readonly (readonly string[])[] {
  return [HEADING, ...rows.map(reportRow)];
}

function reportRow(row: Row): readonly string[] {
  const { cpuPerRequestUs, requestsPerCpuSecond, ratio, requestsPerSecond } = row;
  return [
    row.subject,
    cpuPerRequestUs.median.toFixed(1),
    range(cpuPerRequestUs, 1),
    row.userUs.toFixed(1),
    row.systemUs.toFixed(1),
    requestsPerCpuSecond.median.toFixed(0),
    ratio === null ? '-' : ratio.median.toFixed(2),
    ratio === null ? '-' : range(ratio, 2),
    requestsPerSecond.median.toFixed(0),
    `${(row.busy * 100).toFixed(0)}%`,
  ];
}

function range({ min, max }: Spread, digits: number): string {
  return `${min.toFixed(digits)}..${max.toFixed(digits)}`;
}

export function describeConditions(conditions: Conditions): readonly string[] {
  const { date, machine, node, driver, loadBefore, connections, bodyBytes, rounds, secondsPerRound, pinned } =
    conditions;
  return [
    `${date}, ${machine}, Node ${node}; load average before the run ${loadBefore.toFixed(1)}.`,
    `${driver} with ${connections} keep-alive connections, answers of ${bodyBytes} bytes, ${rounds} rounds with fresh processes, each proxy ${secondsPerRound} s in a round, in turns of one second.`,
    pinned
      ? 'The proxy and all its processes on core 0, driver and backend on the others.'
      : 'There is no taskset here: nothing was bound to a core, and the figures are worth less.',
  ];
}

/** What holds for every run. */
export const LIMITS: readonly string[] = [
  'Driver, proxy and backend share one machine, its memory and its caches, and talk over loopback: no network card, no packet loss, no distance. Read ratios, not absolute figures.',
  'Portico writes an access log, counts metrics, routes, checks its target and adds X-Forwarded-For and a request id; the other two do nothing of the kind.',
  'CPU time has a resolution of 10 ms and includes the JavaScript compiler and the garbage collector, but not what the kernel does on the other side of the loopback in the name of driver and backend.',
  'Where "core busy" is well below 100% the driver was the bottleneck: requests/s is then its speed, and the proxy paid more for each request than it would under full load, because it found fewer of them at a time.',
  'One kind of request only: small answers over kept connections. It says nothing about TLS, large bodies, new connections, latency or memory.',
];
