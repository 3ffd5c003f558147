// What is flooded: Portico with all its processes under a ceiling, or HAProxy with limits that come closest.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Portico } from '../integration/portico.ts';
import { freePort } from '../support/free-port.ts';
import { requirePeers } from '../support/peers.ts';
import { until } from '../support/until.ts';
import { limitCounts } from './figures.ts';
import { descriptorLimit } from './memory.ts';

const MIB = 1024 * 1024;
/** `memory.perWorker` of all workers of the bed together. */
const WORKERS_BYTES = 512 * MIB;
/** What the supervisor and the controller may take: neither is reached by traffic. */
export const OTHERS_BYTES = 320 * MIB;
/** What a worker may be above its ceiling before it has looked and let go of something: looks are 250 ms apart. */
export const OVERSHOOT_BYTES = 96 * MIB;

export const perWorkerBytes = (workers: number): number => WORKERS_BYTES / workers;
/** Of the whole tree. */
export const ceilingBytes = (workers: number): number =>
  WORKERS_BYTES + workers * OVERSHOOT_BYTES + OTHERS_BYTES;

/** Starts what is flooded. @param prefix command before its own @param workers or threads, of HAProxy */
export type StartProxy = (
  targets: BedTargets,
  prefix: readonly string[],
  workers: number,
) => Promise<FloodedProxy>;

/** Ports of the targets: what a flood does to a target that is its own is no business of others. */
export interface BedTargets {
  readonly others: number;
  readonly flooded: number;
}

export interface FloodedProxy {
  readonly pid: number;
  readonly port: number;
  /** What each limit has counted. */
  counts(): Promise<ReadonlyMap<string, number>>;
  /** Connections of clients that are open. */
  connections(): Promise<number>;
  /** Ends it; the processes that outlived it. */
  close(): Promise<readonly number[]>;
}

/** Defaults but for what is stated: timeouts short enough to be seen, rates of one client, and the ceiling. */
function bedConfiguration({ others, flooded }: BedTargets, workers: number, admin: string): object {
  return {
    workers,
    memory: { perWorker: perWorkerBytes(workers) },
    listeners: [
      {
        name: 'web',
        bind: '127.0.0.1:0',
        protocol: 'http',
        limits: {
          connectionRatePerClient: 100,
          connectionBurstPerClient: 500,
          requestRatePerClient: 1000,
          requestBurstPerClient: 2000,
        },
        timeouts: { header: '3s', idle: '3s', rateGrace: '2s' },
      },
    ],
    pools: [
      { name: 'others', sources: [{ static: [`127.0.0.1:${others}`] }] },
      { name: 'flooded', sources: [{ static: [`127.0.0.1:${flooded}`] }] },
      {
        name: 'slow',
        sources: [{ static: [`127.0.0.1:${flooded}`] }],
        connections: { perTarget: 200, pending: 200, pendingTimeout: '1s', minAnswerRate: 100 },
        timeouts: { responseHeader: '2s' },
      },
    ],
    routes: [
      { name: 'others', hosts: ['steady'], rules: [{ pools: [{ name: 'others' }] }] },
      {
        name: 'flooded',
        hosts: ['*'],
        rules: [
          {
            matches: [{ path: { exact: '/never' } }, { path: { exact: '/drip' } }],
            pools: [{ name: 'slow' }],
          },
          { pools: [{ name: 'flooded' }] },
        ],
      },
    ],
    admin: { bind: `unix:${admin}` },
    log: { access: { path: 'off' } },
  };
}

export const startPortico: StartProxy = async (targets, prefix, workers) => {
  // A UNIX socket: where floods leave tens of thousands of ports in TIME_WAIT, connections of a tool that asks over TCP suffer too.
  const directory = await mkdtemp(path.join(tmpdir(), 'portico-floods-'));
  const configuration = bedConfiguration(targets, workers, path.join(directory, 'admin.sock'));
  const portico = await Portico.start(configuration, undefined, { prefix }, workers);
  return {
    pid: portico.pid,
    port: portico.port(),
    counts: async () => limitCounts((await portico.admin('/metrics')).body),
    connections: () => portico.metric('portico_connections_active'),
    close: async () => {
      const left = await portico.close();
      await rm(directory, { recursive: true, force: true });
      return left;
    },
  };
};

/** It knows no least rates, no ceiling of memory and no limit of what is pipelined: there its timeouts stand. */
const haproxyConfiguration = (
  port: number,
  stats: number,
  { others, flooded }: BedTargets,
  threads: number,
): string => `global
  maxconn ${Math.floor(descriptorLimit() / 2) - 200}
  nbthread ${threads}
defaults
  mode http
  timeout connect 5s
  timeout http-request 3s
  timeout http-keep-alive 3s
  timeout client 3s
  timeout server 30s
  timeout queue 1s
frontend web
  bind 127.0.0.1:${port}
  stick-table type ip size 100k expire 10s store conn_rate(1s),http_req_rate(1s),conn_cur
  tcp-request connection track-sc0 src
  tcp-request connection reject if { sc0_conn_rate gt 500 }
  http-request deny deny_status 429 if { sc0_http_req_rate gt 1000 }
  use_backend others if { hdr(host) steady }
  use_backend slow if { path /never /drip }
  default_backend flooded
backend others
  server one 127.0.0.1:${others}
backend flooded
  server one 127.0.0.1:${flooded} maxconn 4096
backend slow
  timeout server 2s
  server one 127.0.0.1:${flooded} maxconn 200
listen stats
  bind 127.0.0.1:${stats}
  timeout client 60s
  http-request use-service prometheus-exporter if { path /metrics }
`;

export const startHaproxy: StartProxy = async (targets, prefix, workers) => {
  const { haproxy } = requirePeers(['haproxy']);
  const directory = await mkdtemp(path.join(tmpdir(), 'portico-floods-'));
  const file = path.join(directory, 'haproxy.cfg');
  const [port, stats] = [await freePort(), await freePort()];
  await writeFile(file, haproxyConfiguration(port, stats, targets, workers));
  const [command, ...parameters] = [...prefix, haproxy, '-db', '-f', file];
  const child: ChildProcess = spawn(command!, parameters, { stdio: ['ignore', 'ignore', 'inherit'] });
  await until('HAProxy', () => isOpen(port));
  return {
    pid: child.pid!,
    port,
    counts: async () => new Map(),
    connections: async () => {
      const page = await (await fetch(`http://127.0.0.1:${stats}/metrics`)).text();
      return Number(/^haproxy_frontend_current_sessions\{proxy="web"\} (\d+)/m.exec(page)?.[1]);
    },
    close: async () => {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
      await rm(directory, { recursive: true, force: true });
      return [];
    },
  };
};

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
