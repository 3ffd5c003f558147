// The test bed around what is flooded: targets, a well-behaved client, and one flood at a time.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { requirePeers } from '../support/peers.ts';
import type { StageFigures } from './figures.ts';
import { descriptorLimit, MemorySampler } from './memory.ts';
import type { FloodedProxy, StartProxy } from './proxies.ts';
import type { Scenario, SlowMode } from './scenarios.ts';

/** Requests a second of the well-behaved client. */
export const RATE = 200;
/** How much longer a flood may take that a busy machine keeps from its work. */
const LONGER_MS = 20_000;
const SLOW_FLAGS: Readonly<Record<SlowMode, readonly string[]>> = {
  headers: ['-H', '-i', '1', '-x', '24'],
  body: ['-B', '-i', '1', '-s', '8192', '-x', '10'],
  range: ['-R', '-a', '0', '-b', '1000'],
  read: ['-X', '-w', '512', '-y', '1024', '-n', '2', '-z', '32', '-k', '3'],
};

/** Commands before those of the processes: where they run, and before whom. */
export interface Places {
  readonly flooded: readonly string[];
  /** The well-behaved client and its target. */
  readonly others: readonly string[];
  readonly flood: readonly string[];
  /** As many as what is flooded has processors. */
  readonly workers: number;
}

const BEFORE = ['nice', '-n', '-20'];
const BEHIND = ['nice', '-n', '19'];
export const ANYWHERE: Places = { flooded: [], others: [], flood: BEHIND, workers: 2 };
/**
 * As root, on two processors: neither the flood's work nor that of neighbours on the machine is what is measured. Not by
 * real-time priority, which the kernel suspends for a twentieth of each second (sched(7)): that would be the 99th percentile.
 */
export const APART: Places = {
  flooded: [...BEFORE, 'taskset', '-c', '0'],
  others: [...BEFORE, 'taskset', '-c', '1'],
  flood: ['taskset', '-c', '1', ...BEHIND],
  workers: 1,
};
/** Niceness holds among the processes of one session only, as long as sessions share the processors evenly (sched(7)). */
const SESSION_GROUPS = '/proc/sys/kernel/sched_autogroup_enabled';

export class Bed {
  readonly memory: MemorySampler;
  readonly #proxy: FloodedProxy;
  readonly #places: Places;
  readonly #targets: readonly ChildProcess[];
  readonly #client: ChildProcess;

  private constructor(
    proxy: FloodedProxy,
    places: Places,
    targets: readonly ChildProcess[],
    client: ChildProcess,
  ) {
    this.#proxy = proxy;
    this.#places = places;
    this.#targets = targets;
    this.#client = client;
    this.memory = new MemorySampler(proxy.pid);
  }

  static async start(startProxy: StartProxy, places: Places): Promise<Bed> {
    if (places === APART) levelSessions();
    const targets = [
      runNode(places.others, 'backend.ts', []),
      // It belongs to the flood.
      runNode(places.flood, 'backend.ts', []),
    ];
    const lines = await Promise.all(
      targets.map((target) => once(target.stdout!.setEncoding('utf8'), 'data') as Promise<[string]>),
    );
    const [others, flooded] = lines.map(([line]) => Number(line)) as [number, number];
    const proxy = await startProxy({ others, flooded }, places.flooded, places.workers);
    const client = runNode(places.others, 'steady-client.ts', [String(proxy.port), String(RATE)]);
    return new Bed(proxy, places, targets, client);
  }

  /** What the well-behaved client has seen since the last call. */
  async figures(): Promise<StageFigures> {
    const answer = once(this.#client, 'message') as Promise<[StageFigures]>;
    this.#client.send('next');
    return (await answer)[0];
  }

  async counts(): Promise<ReadonlyMap<string, number>> {
    return await this.#proxy.counts();
  }

  async connections(): Promise<number> {
    return await this.#proxy.connections();
  }

  /**
   * Runs a flood for `ms` from the moment it stands, and on a busy machine on until it has done its work; resolves when
   * its process is gone.
   * @returns what its clients saw, where it can tell
   */
  async flood(
    scenario: Scenario,
    ms: number,
    isDone: () => Promise<boolean>,
  ): Promise<Readonly<Record<string, number>>> {
    const flood = this.#startFlood(scenario, ms);
    const exited = once(flood, 'exit');
    if (scenario.tool === 'flooder') await Promise.race([once(flood.stdout!, 'data'), exited]);
    await Promise.race([sleep(ms), exited]);
    const endAtMs = performance.now() + LONGER_MS;
    while (flood.exitCode === null && performance.now() < endAtMs && !(await isDone())) await sleep(500);
    let seen: Readonly<Record<string, number>> = {};
    if (scenario.tool === 'flooder' && flood.exitCode === null) {
      const told = once(flood, 'message') as Promise<[Record<string, number>]>;
      flood.send('tell');
      [seen] = await told;
    }
    flood.kill('SIGKILL');
    await exited;
    return seen;
  }

  #startFlood(scenario: Scenario, ms: number): ChildProcess {
    const { port } = this.#proxy;
    if (scenario.tool === 'flooder') {
      const room = descriptorLimit() - 500;
      const connections = String(Math.min(scenario.connections, room));
      return runNode(this.#places.flood, 'flooder.ts', [scenario.kind, String(port), connections]);
    }
    const { slowhttptest } = requirePeers(['slowhttptest']);
    const connections = String(scenario.connections);
    const path = scenario.mode === 'read' ? 'bulk' : 'steady';
    const parameters = [
      ...SLOW_FLAGS[scenario.mode],
      ...['-c', connections, '-r', '500', '-l', String(Math.ceil((ms + LONGER_MS) / 1000)), '-p', '3'],
      ...['-u', `http://127.0.0.1:${port}/${path}`],
    ];
    return run(this.#places.flood, [slowhttptest, ...parameters]);
  }

  /** Ends everything; returns the processes of what was flooded that outlived it. */
  async close(): Promise<readonly number[]> {
    this.memory.close();
    const children = [this.#client, ...this.#targets];
    const exits = children.map((child) => once(child, 'exit'));
    this.#client.kill('SIGKILL');
    const left = await this.#proxy.close();
    for (const target of this.#targets) target.kill('SIGKILL');
    await Promise.all(exits);
    return left;
  }
}

/** Until this process ends. */
function levelSessions(): void {
  if (!existsSync(SESSION_GROUPS)) return;
  const before = readFileSync(SESSION_GROUPS);
  writeFileSync(SESSION_GROUPS, '0');
  process.once('exit', () => writeFileSync(SESSION_GROUPS, before));
}

function runNode(place: readonly string[], file: string, parameters: readonly string[]): ChildProcess {
  return run(place, [process.execPath, path.join(import.meta.dirname, file), ...parameters]);
}

/** A child that ends with this process, whatever ends it. */
function run(place: readonly string[], command: readonly string[]): ChildProcess {
  const [program, ...parameters] = [...place, ...command] as [string, ...string[]];
  const child = spawn(program, parameters, { stdio: ['pipe', 'pipe', 'inherit', 'ipc'] });
  const killNow = (): boolean => child.kill('SIGKILL');
  process.once('exit', killNow);
  child.once('exit', () => process.off('exit', killNow));
  child.stdout!.resume();
  return child;
}
