// The test bed: Portico with all its processes under a ceiling, a target, a well-behaved client, and one flood at a time.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Portico } from '../integration/portico.ts';
import { requirePeers } from '../support/peers.ts';
import { limitCounts, type StageFigures } from './figures.ts';
import { MemorySampler } from './memory.ts';
import type { Scenario, SlowMode } from './scenarios.ts';

const MIB = 1024 * 1024;
export const WORKERS = 2;
/** `memory.perWorker` of the bed. */
export const PER_WORKER_BYTES = 256 * MIB;
/** What the supervisor and the controller may take: neither is reached by traffic. */
export const OTHERS_BYTES = 320 * MIB;
/** What a worker may be above its ceiling before it has looked and let go of something: looks are 250 ms apart. */
export const OVERSHOOT_BYTES = 96 * MIB;
export const CEILING_BYTES = WORKERS * (PER_WORKER_BYTES + OVERSHOOT_BYTES) + OTHERS_BYTES;
/** Requests a second of the well-behaved client. */
export const RATE = 200;
/** The flood runs behind everything else where both want the processor: the bed is one machine. */
const FLOOD_NICENESS = 19;
const SLOW_FLAGS: Readonly<Record<SlowMode, readonly string[]>> = {
  headers: ['-H', '-i', '1', '-x', '24'],
  body: ['-B', '-i', '1', '-s', '8192', '-x', '10'],
  range: ['-R', '-a', '0', '-b', '1000'],
  read: ['-X', '-w', '512', '-y', '1024', '-n', '2', '-z', '32', '-k', '3'],
};

/** Defaults but for what is stated: timeouts short enough to be seen, rates of one client, and the ceiling. */
export function bedConfiguration(backend: number): object {
  const target = `127.0.0.1:${backend}`;
  return {
    workers: WORKERS,
    memory: { perWorker: PER_WORKER_BYTES },
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
      { name: 'app', sources: [{ static: [target] }] },
      {
        name: 'slow',
        sources: [{ static: [target] }],
        connections: { perTarget: 200, pending: 200, pendingTimeout: '1s', minAnswerRate: 100 },
        timeouts: { responseHeader: '2s' },
      },
    ],
    routes: [
      {
        name: 'all',
        hosts: ['*'],
        rules: [
          {
            matches: [{ path: { exact: '/never' } }, { path: { exact: '/drip' } }],
            pools: [{ name: 'slow' }],
          },
          { pools: [{ name: 'app' }] },
        ],
      },
    ],
    admin: { bind: '127.0.0.1:0' },
    log: { access: { path: 'off' } },
  };
}

/** Descriptors that one process may have, from the hard limit: Node raises its own soft limit to it. */
export function descriptorLimit(): number {
  return Number(
    /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1] ?? 1024,
  );
}

export class Bed {
  readonly memory: MemorySampler;
  readonly #portico: Portico;
  readonly #backend: ChildProcess;
  readonly #client: ChildProcess;

  private constructor(portico: Portico, backend: ChildProcess, client: ChildProcess) {
    this.#portico = portico;
    this.#backend = backend;
    this.#client = client;
    this.memory = new MemorySampler(portico.pid);
  }

  static async start(): Promise<Bed> {
    const backend = runNode('backend.ts', []);
    const [line] = (await once(backend.stdout!.setEncoding('utf8'), 'data')) as [string];
    const portico = await Portico.start(bedConfiguration(Number(line)));
    const client = runNode('steady-client.ts', [String(portico.port()), String(RATE)]);
    return new Bed(portico, backend, client);
  }

  /** What the well-behaved client has seen since the last call. */
  async figures(): Promise<StageFigures> {
    const answer = once(this.#client, 'message') as Promise<[StageFigures]>;
    this.#client.send('next');
    return (await answer)[0];
  }

  async counts(): Promise<ReadonlyMap<string, number>> {
    return limitCounts((await this.#portico.admin('/metrics')).body);
  }

  /** The value of a gauge, summed over its series. */
  async gauge(name: string): Promise<number> {
    return await this.#portico.metric(name);
  }

  /** Runs a flood for `ms` from the moment it stands; resolves when its process is gone. */
  async flood(scenario: Scenario, ms: number): Promise<void> {
    const flood = this.#startFlood(scenario, ms);
    const exited = once(flood, 'exit');
    if (scenario.tool === 'flooder') await Promise.race([once(flood.stdout!, 'data'), exited]);
    await Promise.race([sleep(ms), exited]);
    flood.kill('SIGKILL');
    await exited;
  }

  #startFlood(scenario: Scenario, ms: number): ChildProcess {
    const port = this.#portico.port();
    if (scenario.tool === 'flooder') {
      const room = descriptorLimit() - 500;
      const connections = String(Math.min(scenario.connections, room));
      return runNode('flooder.ts', [scenario.kind, String(port), connections], FLOOD_NICENESS);
    }
    const { slowhttptest } = requirePeers(['slowhttptest']);
    const connections = String(scenario.connections);
    const path = scenario.mode === 'read' ? 'bulk' : 'steady';
    const parameters = [
      ...SLOW_FLAGS[scenario.mode],
      ...['-c', connections, '-r', '500', '-l', String(Math.ceil(ms / 1000)), '-p', '3'],
      ...['-u', `http://127.0.0.1:${port}/${path}`],
    ];
    return run('nice', ['-n', String(FLOOD_NICENESS), slowhttptest, ...parameters]);
  }

  /** Ends everything; returns the processes of Portico that outlived it. */
  async close(): Promise<readonly number[]> {
    this.memory.close();
    const exits = [this.#client, this.#backend].map((child) => once(child, 'exit'));
    this.#client.kill('SIGKILL');
    const left = await this.#portico.close();
    this.#backend.kill('SIGKILL');
    await Promise.all(exits);
    return left;
  }
}

function runNode(file: string, parameters: readonly string[], niceness = 0): ChildProcess {
  const program = path.join(import.meta.dirname, file);
  return run('nice', ['-n', String(niceness), process.execPath, program, ...parameters]);
}

/** A child that ends with this process, whatever ends it. */
function run(command: string, parameters: readonly string[]): ChildProcess {
  const child = spawn(command, parameters, { stdio: ['pipe', 'pipe', 'inherit', 'ipc'] });
  const killNow = (): boolean => child.kill('SIGKILL');
  process.once('exit', killNow);
  child.once('exit', () => process.off('exit', killNow));
  child.stdout!.resume();
  return child;
}
