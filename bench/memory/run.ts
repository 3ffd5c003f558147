// `npm run bench:memory`: a worker at rest, and what an idle connection costs, plain and with TLS, beside HAProxy.

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readOptions } from '../../test/support/command-line.ts';
import { freePort } from '../../test/support/free-port.ts';
import { buildLoad, runLoad, startBackend } from '../drivers/go-load.ts';
import { makeCertificate } from '../measure/certificate.ts';
import { startProgram } from '../measure/child.ts';
import { keepResult, print, runCommand, wholeNumber } from '../measure/command.ts';
import { loadCores, PROXY_CORES } from '../measure/cores.ts';
import { describeMachine, nodeVersion } from '../measure/report.ts';
import { markdownTable, textTable } from '../measure/table.ts';
import { awaitCase, awaitListening } from '../measure/verify.ts';
import { writeMarkdown } from '../measure/write-result.ts';
import { findPeers, type Peer, portico } from '../subjects/peer.ts';
import { type MemorySample, memoryTable } from './memory-table.ts';
import { residentKiB } from './resident.ts';

const USAGE = `Usage: npm run bench:memory -- [OPTIONS]

  --peers A,B        peers whose name begins so, beside Portico (HAProxy)
  --connections N    idle connections (8000); the limit of open files must allow twice as many
  --rounds N         rounds with fresh processes (3)
  --json FILE        result file (bench/results/memory-TIME.json)
  --markdown FILE    write the table into this page, between its marks
  -h, --help         print this

Linux, Go. Five minutes with two builds of HAProxy.
`;

const { values } = readOptions('bench:memory', USAGE, {
  options: {
    peers: { type: 'string', default: 'HAProxy' },
    connections: { type: 'string', default: '8000' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'string' },
    markdown: { type: 'string' },
  },
});

const MARK = 'bench:memory';
const BACKENDS = 3;
const WARM_UP_SECONDS = 3;
/** Garbage collectors get their turn, and what is given back goes. */
const SETTLE_MS = 3000;

const whole = (name: 'connections' | 'rounds'): number => wholeNumber(name, values[name]);

function choosePeers(): readonly Peer[] {
  const { peers, missing } = findPeers();
  const wanted = values.peers.split(',');
  const begins = (name: string): boolean => wanted.some((begin) => name.startsWith(begin));
  if (missing.some(begins)) print(`not installed and left out: ${missing.filter(begins).join(', ')}\n`);
  return [portico(), ...peers.filter(({ name }) => begins(name))];
}

/** At rest before its first request and after its first ones; then after load, with and without idle connections. */
async function measure(peer: Peer, endpoint: 'http' | 'https', program: string): Promise<MemorySample> {
  const directory = await mkdtemp(path.join(tmpdir(), 'portico-memory-'));
  makeCertificate(directory);
  const cores = loadCores();
  const backendPorts = await Promise.all(Array.from({ length: BACKENDS }, () => freePort()));
  const backend = await startBackend(program, cores, backendPorts, 66);
  const running = await peer.start({ cores: PROXY_CORES, backendPorts, directory });
  const address = [
    '-address',
    `127.0.0.1:${running.ports[endpoint]}`,
    ...(endpoint === 'https' ? ['-tls'] : []),
  ];
  const load = (seconds: number) =>
    runLoad(program, cores, ['http', ...address, '-seconds', String(seconds)]);
  try {
    await awaitListening(running.ports[endpoint], running.child);
    await delay(SETTLE_MS);
    const atRest = residentKiB(running.child.pid);
    await awaitCase(() => load(0.1), running.child);
    await delay(SETTLE_MS);
    const hasServed = residentKiB(running.child.pid);
    // What the first requests bring (compiled code, buffers, a heap that has grown) is not the idle connections'.
    const { problems } = await load(WARM_UP_SECONDS);
    if (problems.length > 0) throw new Error(problems.join(', '));
    await delay(SETTLE_MS);
    const before = residentKiB(running.child.pid);
    const idle = startProgram(cores, program, [
      'idle',
      ...address,
      '-connections',
      String(whole('connections')),
    ]);
    try {
      const failed = once(idle.process, 'exit').then(() =>
        Promise.reject(new Error(`idle connections: ${idle.errors()}`)),
      );
      await Promise.race([once(idle.process.stdout!, 'data'), failed]);
      failed.catch(() => {});
      await delay(SETTLE_MS);
      const after = residentKiB(running.child.pid);
      return {
        peer: peer.name.trim(),
        endpoint,
        workerMiB: atRest.largestWorker / 1024,
        allMiB: atRest.all / 1024,
        servedMiB: hasServed.largestWorker / 1024,
        perConnectionKiB: (after.all - before.all) / whole('connections'),
      };
    } finally {
      await idle.stop();
    }
  } finally {
    await running.child.stop();
    await backend.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const program = buildLoad();
  const startedAt = new Date();
  const conditions =
    `${startedAt.toISOString().slice(0, 10)}, ${describeMachine()}, Node ${nodeVersion}. ${whole('rounds')} fresh processes, ` +
    `${whole('connections')} idle connections that have done one request each; resident memory of all processes.`;
  const samples: MemorySample[] = [];
  const peers = choosePeers();
  for (let round = 0; round < whole('rounds'); round += 1) {
    for (const peer of peers) {
      for (const endpoint of ['http', 'https'] as const) {
        try {
          samples.push(await measure(peer, endpoint, program));
        } catch (error) {
          throw new Error(`${peer.name.trim()}, ${endpoint}`, { cause: error });
        }
        print('.');
      }
    }
  }
  const table = memoryTable(samples);
  print(`\n${textTable(table)}\n${conditions}\n`);
  await keepResult('memory', startedAt, { conditions, samples }, values.json);
  if (values.markdown !== undefined)
    await writeMarkdown(values.markdown, `${conditions}\n\n${markdownTable(table)}`, MARK);
}

await runCommand({ name: 'bench', main });
