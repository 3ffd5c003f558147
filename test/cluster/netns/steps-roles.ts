// Portico's own parts: killed, reloaded, replaced; a second Portico beside it.

import path from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../child.ts';
import { greet, writeKnownHosts } from '../clients-ssh.ts';
import type { NetStep } from './net-steps.ts';
import type { NetWorld } from './net-world.ts';
import { startBeside, tableOf } from './second-portico.ts';

const SOURCES = Array.from({ length: 16 }, (_, index) => `127.0.1.${index + 1}`);
const SECOND_PORTS = { web: 8081, ssh: 2223, admin: 9902 };

export const ROLE_STEPS: readonly NetStep[] = [
  {
    name: 'reload',
    title: 'SIGHUP, then new code by SIGUSR2',
    async run(world) {
      for (const signal of ['SIGHUP', 'SIGUSR2'] as const) {
        const mark = world.mark();
        const workers = await world.portico.childrenOfRole('worker');
        world.portico.signal(signal);
        await delay(6500);
        await world.promise(signal, '0 failed, SSH sessions live through it', async () => {
          const now = await world.portico.childrenOfRole('worker');
          const kept = now.filter((pid) => workers.includes(pid)).length;
          return `${world.servedSince(mark)}; ${kept} of ${workers.length} workers kept`;
        });
      }
    },
  },
  {
    name: 'controller-killed',
    title: 'The controller is killed',
    async run(world) {
      const mark = world.mark();
      const [old] = await world.portico.childrenOfRole('controller');
      process.kill(old!, 'SIGKILL');
      await world.promise('controller killed', 'another within 10 s, 0 failed', async () => {
        const startedAt = performance.now();
        await until('another controller', 10_000, async () => {
          const [pid] = await world.portico.childrenOfRole('controller');
          return pid !== undefined && pid !== old && (await world.portico.isReady()) ? true : undefined;
        });
        const tookMs = Math.round(performance.now() - startedAt);
        await delay(2000);
        return `ready again after ${tookMs} ms; ${world.servedSince(mark)}`;
      });
    },
  },
  {
    name: 'worker-killed',
    title: 'A worker is killed',
    async run(world) {
      const workers = await world.portico.childrenOfRole('worker');
      const mark = world.mark();
      process.kill(workers[0]!, 'SIGKILL');
      await delay(4000);
      await world.promise('worker killed', 'only what it carried fails', async () => {
        const failures = world.ledger.failures.slice(mark.failures);
        const late = failures.filter(
          (failure) => failure.atMs > mark.atMs + 1000 && !/clone|ssh/.test(failure.client),
        );
        if (late.length > 0) {
          throw new Error(
            late.map((f) => `+${Math.round(f.atMs - mark.atMs)} ms ${f.client}: ${f.reason}`).join('; '),
          );
        }
        const now = await world.portico.childrenOfRole('worker');
        if (now.includes(workers[0]!) || now.length < 2) throw new Error(`${now.length} workers`);
        const words = failures.map((f) => `${f.client}: ${f.reason}`).slice(0, 6);
        return `${failures.length} connections of the dead worker failed (${words.join('; ')}), none after 1 s`;
      });
    },
  },
  {
    name: 'two-porticos',
    title: 'Two Porticos with one configuration, started at different times',
    run: twoPorticos,
  },
];

async function twoPorticos(world: NetWorld): Promise<void> {
  const second = await startBeside(world, 'portico-2', SECOND_PORTS);
  try {
    await world.promise('two Porticos', 'the same hash table for git-ssh', async () => {
      return await until('equal checksums', 5000, async () => {
        const [a, b] = await Promise.all([tableOf(world.portico), tableOf(second)]);
        return a !== '' && a === b ? `checksum ${a}` : undefined;
      });
    });
    await world.promise('two Porticos', 'send the same clients to the same nodes', async () => {
      const other = {
        ...world.sshEdge,
        port: SECOND_PORTS.ssh,
        directory: path.join(world.options.directory, 'clients-2'),
      };
      await writeKnownHosts(other);
      const seen = new Set<string>();
      for (const source of SOURCES) {
        const [first, again] = await Promise.all([greet(world.sshEdge, source), greet(other, source)]);
        if (first !== again)
          throw new Error(`${source} is at ${first} through one, at ${again} through the other`);
        seen.add(first);
      }
      return `${SOURCES.length} clients over ${seen.size} nodes, each at the same node through both`;
    });
  } finally {
    await second.drain(10_000);
  }
}
