// `npm run bench:latency`: what a proxy adds to the latency of a request at half of saturation, beside HAProxy.

import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { readOptions } from '../../test/support/command-line.ts';
import { freePort } from '../../test/support/free-port.ts';
import { buildLoad, type GoLoadResult, type Latency, runLoad, startBackend } from '../drivers/go-load.ts';
import { makeCertificate } from '../measure/certificate.ts';
import { keepResult, print, runCommand, wholeNumber } from '../measure/command.ts';
import { loadCores, PROXY_CORES } from '../measure/cores.ts';
import { describeMachine, nodeVersion } from '../measure/report.ts';
import { orderOf } from '../measure/rounds.ts';
import { markdownTable, textTable } from '../measure/table.ts';
import { awaitCase } from '../measure/verify.ts';
import { writeMarkdown } from '../measure/write-result.ts';
import { findPeers, type Peer, portico, type RunningPeer } from '../subjects/peer.ts';
import { type LatencyRound, latencyTable } from './added.ts';

const USAGE = `Usage: npm run bench:latency -- [OPTIONS]

  --peers A,B      peers whose name begins so, beside Portico (HAProxy)
  --rounds N       rounds with fresh processes (5)
  --warm-up N      seconds of full load for each fresh process before anything counts (15)
  --seconds N      seconds at the fixed rate, for each in each round (5)
  --json FILE      result file (bench/results/latency-TIME.json)
  --markdown FILE  write the table into this page, between its marks
  -h, --help       print this

Linux, Go. Six minutes with two builds of HAProxy.
`;

const { values } = readOptions('bench:latency', USAGE, {
  options: {
    peers: { type: 'string', default: 'HAProxy' },
    rounds: { type: 'string', default: '5' },
    'warm-up': { type: 'string', default: '15' },
    seconds: { type: 'string', default: '5' },
    json: { type: 'string' },
    markdown: { type: 'string' },
  },
});

const MARK = 'bench:latency';
const BACKENDS = 3;
const CONNECTIONS = 64;
const SATURATED_SECONDS = 2;
const DIRECT = 'the backend itself';

const whole = (name: 'rounds' | 'seconds' | 'warm-up'): number => wholeNumber(name, values[name]);

function choosePeers(): readonly Peer[] {
  const { peers, missing } = findPeers();
  const wanted = values.peers.split(',');
  const begins = (name: string): boolean => wanted.some((begin) => name.startsWith(begin));
  if (missing.some(begins)) print(`not installed and left out: ${missing.filter(begins).join(', ')}\n`);
  return [portico(), ...peers.filter(({ name }) => begins(name))];
}

class Bench {
  readonly #program = buildLoad();
  readonly #cores = loadCores();

  backend(ports: readonly number[]) {
    return startBackend(this.#program, this.#cores, ports, 66);
  }

  /** @param rate requests a second in all; 0 is as fast as answers come */
  load(port: number, seconds: number, rate: number): Promise<GoLoadResult> {
    const options = { address: `127.0.0.1:${port}`, connections: CONNECTIONS, seconds, rate };
    const words = Object.entries(options).flatMap(([name, value]) => [`-${name}`, String(value)]);
    return runLoad(this.#program, this.#cores, ['http', ...words]);
  }

  async rightLoad(port: number, seconds: number, rate: number): Promise<GoLoadResult> {
    const result = await this.load(port, seconds, rate);
    if (result.problems.length > 0) throw new Error(result.problems.join(', '));
    return result;
  }
}

/** All contenders run; the rate is half of what the slowest of them can, the same for all. */
async function measureRound(peers: readonly Peer[], bench: Bench, directory: string): Promise<LatencyRound> {
  const backendPorts = await Promise.all(Array.from({ length: BACKENDS }, () => freePort()));
  const backend = await bench.backend(backendPorts);
  const running: { readonly name: string; readonly peer: RunningPeer }[] = [];
  try {
    const saturations: number[] = [];
    for (const [index, one] of peers.entries()) {
      const own = await mkdtemp(path.join(directory, `${index}-`));
      makeCertificate(own);
      const peer = await one.start({ cores: PROXY_CORES, backendPorts, directory: own });
      running.push({ name: one.name.trim(), peer });
      await awaitCase(() => bench.load(peer.ports.http, 0.2, 0), peer.child);
      await bench.rightLoad(peer.ports.http, whole('warm-up'), 0);
      const { requests, seconds } = await bench.rightLoad(peer.ports.http, SATURATED_SECONDS, 0);
      saturations.push(requests / seconds);
    }
    const rate = Math.min(...saturations) / 2;
    const latencies: Record<string, Latency> = {};
    const ports = [
      ...running.map(({ name, peer }) => [name, peer.ports.http] as const),
      [DIRECT, backendPorts[0]!] as const,
    ];
    for (const [name, port] of ports) {
      const { latency } = await bench.rightLoad(port, whole('seconds'), rate);
      latencies[name] = latency!;
    }
    return {
      rate,
      saturations: Object.fromEntries(running.map(({ name }, at) => [name, saturations[at]!])),
      latencies,
    };
  } finally {
    for (const { peer } of running) await peer.child.stop();
    await backend.stop();
  }
}

async function main(): Promise<void> {
  const peers = choosePeers();
  const bench = new Bench();
  const startedAt = new Date();
  const conditions =
    `${startedAt.toISOString().slice(0, 10)}, ${describeMachine()}, Node ${nodeVersion}; load average before the run ` +
    `${loadavg()[0]!.toFixed(1)}. ${whole('rounds')} rounds with fresh processes, ${whole('warm-up')} s of full load, then ${whole('seconds')} s each at half of what the ` +
    `slowest could in that round, ${CONNECTIONS} connections; milliseconds from when a request was due, those of the backend ` +
    'without a proxy taken off. Medians of the rounds.';
  const rounds: LatencyRound[] = [];
  for (let round = 0; round < whole('rounds'); round += 1) {
    const directory = await mkdtemp(path.join(tmpdir(), 'portico-latency-'));
    try {
      rounds.push(await measureRound(orderOf(peers, round), bench, directory));
      print('.');
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
  const table = latencyTable(
    rounds,
    DIRECT,
    peers.map(({ name }) => name.trim()),
  );
  print(`\n${textTable(table)}\n${conditions}\n`);
  await keepResult('latency', startedAt, { conditions, rounds }, values.json);
  if (values.markdown !== undefined)
    await writeMarkdown(values.markdown, `${conditions}\n\n${markdownTable(table)}`, MARK);
}

await runCommand({ name: 'bench', main });
