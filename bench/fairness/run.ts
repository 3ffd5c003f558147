// How evenly the pods behind a NodePort are loaded by connections that are kept, for several bounds of requests for each
// connection, and what the bound costs.

import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readOptions } from '../../test/support/command-line.ts';
import { freePort } from '../../test/support/free-port.ts';
import { makeCertificate } from '../measure/certificate.ts';
import { type Child, startNode } from '../measure/child.ts';
import { readProcesses, sumTree } from '../measure/proc-stat.ts';
import { markdownTable, textTable } from '../measure/table.ts';
import { awaitAnswer } from '../measure/verify.ts';
import { writeJson } from '../measure/write-result.ts';
import type { NodePortCommand, NodePortReport } from './node-port.ts';
import { busiestOverMean, settledAfter } from './shares.ts';

const USAGE = `Usage: npm run bench:fairness -- [OPTIONS]

  --requests A,B   bounds of requests for each connection, one after the other; "default" for none that is written
                   (10000,1000,300,100,default,50,20)
  --seconds N      seconds for each bound, and as many after a pod was added (10)
  --protocol NAME  of the targets: http1 (default) or http2
  --tls            TLS to the targets
  --json FILE      write the result into this file
  --markdown       print the table as Markdown
  -h, --help       print this

Linux. Two minutes.
`;

const { values } = readOptions('bench:fairness', USAGE, {
  options: {
    requests: { type: 'string', default: '10000,1000,300,100,default,50,20' },
    seconds: { type: 'string', default: '10' },
    protocol: { type: 'string', default: 'http1' },
    tls: { type: 'boolean', default: false },
    json: { type: 'string' },
    markdown: { type: 'boolean', default: false },
  },
});
if (values.protocol !== 'http1' && values.protocol !== 'http2')
  throw new RangeError('--protocol is http1 or http2');
const SECONDS = Number(values.seconds);
const PODS = 8;
const CLIENTS = 64;
const WARM_UP_MS = 2000;
const WINDOW_MS = 1000;
const CORES = `0-${availableParallelism() - 1}`;

interface Result {
  /** Requests of a connection, or `default` where the configuration does not say. */
  readonly bound: string;
  readonly requests: number;
  readonly connections: number;
  /** Busiest pod over the mean, over the whole time and in the worst second. */
  readonly overall: number;
  readonly worstSecond: number;
  readonly cpuUs: number;
  /** Seconds until a pod that was added had four fifths of the mean in a second; null when it never had. */
  readonly newPodSeconds: number | null;
}

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

async function reply<T>(child: Child, command?: NodePortCommand): Promise<T> {
  const answer = once(child.process, 'message');
  if (command !== undefined) child.process.send(command);
  return (await answer)[0] as T;
}

async function measure(bound: string, directory: string): Promise<Result> {
  const nodePort = startNode(
    CORES,
    [here('node-port.ts'), String(PODS), values.protocol, ...(values.tls ? [directory] : [])],
    true,
  );
  const backend = await reply<number>(nodePort);
  const port = await freePort();
  const file = path.join(directory, `portico-${bound}.yaml`);
  await writeFile(file, configuration(port, backend, bound, directory));
  const entry = fileURLToPath(new URL('../../src/portico.js', import.meta.url));
  const portico = startNode(CORES, [entry, 'run', '-c', file]);
  await awaitAnswer(`http://127.0.0.1:${port}/`, 'ok', portico);
  const clients = startNode(CORES, [here('clients.ts'), String(port), String(CLIENTS)], true);
  await delay(WARM_UP_MS);
  await reply(nodePort, { kind: 'report' });
  const before = sumTree(readProcesses(), portico.pid);
  const seconds: NodePortReport[] = [];
  for (let second = 0; second < SECONDS; second += 1) {
    await delay(WINDOW_MS);
    seconds.push(await reply<NodePortReport>(nodePort, { kind: 'report' }));
  }
  const after = sumTree(readProcesses(), portico.pid);
  nodePort.process.send({ kind: 'add-pod' } satisfies NodePortCommand);
  const later: (readonly number[])[] = [];
  for (let second = 0; second < SECONDS; second += 1) {
    await delay(WINDOW_MS);
    later.push((await reply<NodePortReport>(nodePort, { kind: 'report' })).requests);
  }
  for (const child of [clients, portico, nodePort]) await child.stop();

  const totals = Array.from({ length: PODS }, (_, pod) =>
    seconds.reduce((sum, { requests }) => sum + (requests[pod] ?? 0), 0),
  );
  const requests = totals.reduce((sum, count) => sum + count, 0);
  return {
    bound,
    requests,
    connections: seconds.reduce((sum, { connections }) => sum + connections, 0),
    overall: busiestOverMean(totals),
    worstSecond: Math.max(...seconds.map((second) => busiestOverMean(second.requests))),
    cpuUs: ((after.userMs + after.systemMs - before.userMs - before.systemMs) * 1000) / requests,
    newPodSeconds: settledAfter(later),
  };
}

function configuration(port: number, backend: number, bound: string, directory: string): string {
  return JSON.stringify({
    workers: 1,
    stateDirectory: null,
    admin: { bind: `unix:${directory}/admin.sock` },
    log: { level: 'error', access: { path: 'off' } },
    listeners: [{ name: 'web', bind: `127.0.0.1:${port}`, protocol: 'http' }],
    pools: [
      {
        name: 'app',
        sources: [{ static: [`127.0.0.1:${backend}`] }],
        protocol: values.protocol,
        tls: values.tls ? { verify: false } : false,
        connections: { ...(bound === 'default' ? {} : { requests: Number(bound) }), age: '10m' },
      },
    ],
    routes: [{ name: 'app', hosts: ['*'], rules: [{ pools: [{ name: 'app' }] }] }],
  });
}

const directory = await mkdtemp(path.join(tmpdir(), 'portico-fairness-'));
try {
  if (values.tls) makeCertificate(directory);
  const results: Result[] = [];
  for (const bound of values.requests.split(',')) results.push(await measure(bound, directory));
  const rows = results.map((result) => [
    result.bound,
    String(result.requests),
    String(result.connections),
    result.overall.toFixed(2),
    result.worstSecond.toFixed(2),
    result.cpuUs.toFixed(1),
    result.newPodSeconds === null ? `over ${SECONDS} s` : `${result.newPodSeconds} s`,
  ]);
  const heading = [
    'requests for each connection',
    'requests',
    'connections',
    'busiest / mean',
    'in the worst second',
    'CPU us a request',
    'new pod has its share after',
  ];
  process.stdout.write(
    `${PODS} pods, ${values.protocol}${values.tls ? ' with TLS' : ''}, ${CLIENTS} clients, ${SECONDS} s each; ${cpus()[0]?.model.trim() ?? ''}, ${availableParallelism()} cores, Node ${process.version}\n\n`,
  );
  process.stdout.write((values.markdown ? markdownTable : textTable)([heading, ...rows]));
  if (values.json !== undefined)
    await writeJson(values.json, {
      pods: PODS,
      protocol: values.protocol,
      tls: values.tls,
      clients: CLIENTS,
      results,
    });
} finally {
  await rm(directory, { recursive: true });
}
