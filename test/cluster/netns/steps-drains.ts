// Drains as a protocol: a node is drained, waited for and switched off; Portico forgets no drain; a cluster is drained.

import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../child.ts';
import { greet, type SshEdge, writeKnownHosts } from '../clients-ssh.ts';
import type { Portico } from '../portico.ts';
import { movePods } from './evictions.ts';
import { once } from './fresh-client.ts';
import type { NetStep } from './net-steps.ts';
import type { NetWorld } from './net-world.ts';
import { poolOf } from './observations.ts';
import { startBeside, tableOf } from './second-portico.ts';
import { LEFT_PROMISE } from './steps-leaving.ts';

const ZONE_LABEL = 'portico.example/zone';
const SOURCES = Array.from({ length: 24 }, (_, index) => `127.0.1.${index + 1}`);
const SECOND_PORTS = { web: 8083, ssh: 2224, admin: 9904 };
const ZONES = ['east', 'west'] as const;
const ALL = ['unicorn', 'api', 'ssh'] as const;
const LOCAL = ['api', 'ssh'] as const;

export const DRAIN_STEPS: readonly NetStep[] = [
  {
    name: 'drain-node',
    title: 'portico drain NODE --wait, then the machine is switched off, comes back and is undrained',
    run: drainNode,
  },
  {
    name: 'drain-survives',
    title: 'A drain outlives the controller, new code by SIGUSR2, and a full stop and start',
    run: drainSurvives,
  },
  {
    name: 'drain-cluster',
    title: "portico drain CLUSTER: its share goes to the other, and no row of the other's hash table moves",
    run: drainCluster,
  },
];

async function drainNode(world: NetWorld): Promise<void> {
  const event = 'portico drain NODE --wait';
  const machine = world.machine('node-2');
  const mark = world.mark();
  const drainAtMs = performance.now();
  await command(world.portico, ['drain', 'node-2', '--cluster', 'lab']);
  const shownAtMs = performance.now();
  for (const key of ALL) {
    await world.promise(`${event} (${key})`, LEFT_PROMISE, () => world.left(key, 'node-2', shownAtMs, 1500));
  }
  // Under Cluster the pods are reached by every node, which no drain of one can change: they are evicted, too.
  await movePods(world, 'node-2', 'node-3');
  await world.promise(event, 'returns 0 when the last flow has ended', async () => {
    await command(world.portico, ['drain', 'node-2', '--cluster', 'lab', '--wait', '--timeout', '60s']);
    return `after ${((performance.now() - drainAtMs) / 1000).toFixed(1)} s`;
  });
  // The reboot begins at once: nothing may be on the machine, whatever the client.
  await world.options.kubelet.network.setCable(machine.place, false);
  await delay(4000);
  await world.promise(`${event}, then switched off`, '0 failed of every kind', () => world.servedSince(mark));
  await machine.boot();
  await world.promise('the machine is back, drained', 'takes nothing until it is undrained', async () => {
    const backAtMs = performance.now();
    return await world.left('unicorn', 'node-2', backAtMs, 2000);
  });
  const back = world.mark();
  await command(world.portico, ['undrain', 'node-2', '--cluster', 'lab']);
  await world.promise('portico undrain NODE', 'used again, 0 failed', async () => {
    const startedAt = performance.now();
    await world.used('unicorn', 'node-2', 15_000);
    return `used ${Math.round(performance.now() - startedAt)} ms after; ${world.servedSince(back)}`;
  });
  await movePods(world, 'node-3', 'node-2', true);
  await world.settled();
}

async function drainSurvives(world: NetWorld): Promise<void> {
  await command(world.portico, ['drain', 'node-4', '--cluster', 'lab']);
  const isDrained = { 'node-4': { state: 'draining', reasons: ['operator-drain'] } } as const;
  const holds = async (event: string): Promise<void> => {
    await world.promise(event, 'the node is still drained', async () => {
      await world.portico.awaitTargets('unicorn', isDrained, 20_000);
      await delay(1000);
      return await world.left('unicorn', 'node-4', performance.now(), 1500);
    });
  };
  const mark = world.mark();
  const [controller] = await world.portico.childrenOfRole('controller');
  process.kill(controller!, 'SIGKILL');
  await until('another controller', 10_000, async () => {
    const [pid] = await world.portico.childrenOfRole('controller');
    return pid !== undefined && pid !== controller && (await world.portico.isReady()) ? true : undefined;
  });
  await holds('drained, then the controller killed');
  world.portico.signal('SIGUSR2');
  await delay(4000);
  await until('ready', 15_000, async () => ((await world.portico.isReady()) ? true : undefined));
  await holds('drained, then new code by SIGUSR2');
  await world.promise('drained, controller killed, SIGUSR2', '0 failed', () => world.servedSince(mark));
  await world.portico.drain(35_000);
  await world.portico.start(30_000);
  await holds('drained, then a full stop and start');
  await command(world.portico, ['undrain', 'node-4', '--cluster', 'lab']);
  await world.settled();
}

/** Two zones of the machines stand for two clusters, each with an API server: the same one, asked twice. */
async function drainCluster(world: NetWorld): Promise<void> {
  const { kubectl } = world;
  const zones = { 'node-1': 'east', 'node-2': 'east', 'node-3': 'west', 'node-4': 'west' } as const;
  for (const [node, zone] of Object.entries(zones)) {
    await kubectl.run(['label', '--overwrite', 'node', node, `${ZONE_LABEL}=${zone}`]);
  }
  // Both zones need an endpoint of the Local services.
  const extra = await Promise.all(
    LOCAL.flatMap((key) =>
      ['node-3', 'node-4'].map(async (node) => ({ key, pod: await world.startPod(key, node) })),
    ),
  );
  const second = await twoClusters(world);
  const edge: SshEdge = {
    ...world.sshEdge,
    port: SECOND_PORTS.ssh,
    directory: `${world.sshEdge.directory}-2`,
  };
  await writeKnownHosts(edge);
  try {
    await areActive(second, ['node-1', 'node-2', 'node-3', 'node-4']);
    const before = await homesOf(edge);
    const table = await tableOf(second);
    await world.promise(
      'portico drain CLUSTER --wait',
      'returns 0, its share goes to the other, 0 failed',
      async () => {
        const asking = askWhile(world, async () => {
          await command(second, ['drain', 'west', '--wait', '--timeout', '60s']);
          await delay(1500);
        });
        const count = await asking;
        const now = await homesOf(edge);
        const wrong = [...now].filter(([, home]) => !isEast(home));
        if (wrong.length > 0) throw new Error(`${wrong.length} sessions still go to the drained cluster`);
        return `0 failed of ${count}; ${SOURCES.length} ssh clients, all in the other cluster`;
      },
    );
    await world.promise('portico drain CLUSTER', "no row of the survivors' hash table moves", async () => {
      const now = await homesOf(edge);
      const stayed = [...before].filter(([, home]) => isEast(home));
      const moved = stayed.filter(([source, home]) => now.get(source) !== home);
      if (moved.length > 0)
        throw new Error(`${moved.length} of ${stayed.length} clients of the survivors moved`);
      const tableNow = await tableOf(second);
      if (tableNow !== table) throw new Error(`the published table is ${tableNow}, was ${table}`);
      return `${stayed.length} clients stayed, ${SOURCES.length - stayed.length} came over; table ${table.slice(0, 12)} as before`;
    });
    await world.promise('portico undrain CLUSTER', 'every client is where it was', async () => {
      await command(second, ['undrain', 'west']);
      await areActive(second, ['node-3', 'node-4']);
      return await until('every client at its former node', 10_000, async () => {
        const now = await homesOf(edge);
        return SOURCES.every((source) => now.get(source) === before.get(source))
          ? `${SOURCES.length} clients`
          : undefined;
      });
    });
  } finally {
    await second.drain(10_000);
  }
  await Promise.all(extra.map(({ key, pod }) => world.terminate(key, pod)));
  await delay(6000);
  for (const { key, pod } of extra) {
    world.forget(key, pod);
    await pod.end();
  }
}

const isEast = (address: string | undefined): boolean => /^10\.24[04]\.(0\.1[12]|[12]\.)/.test(address ?? '');

/** A second Portico, for which each zone is a cluster. */
async function twoClusters(world: NetWorld): Promise<Portico> {
  return await startBeside(world, 'portico-zones', SECOND_PORTS, (configuration) => {
    const [cluster] = configuration.clusters;
    configuration.clusters = ZONES.map((name) => ({
      ...cluster!,
      name,
      nodes: { selector: `${ZONE_LABEL}=${name}` },
    }));
    for (const pool of configuration.pools) {
      pool.sources = pool.sources.flatMap((source) => ZONES.map((name) => ({ ...source, cluster: name })));
    }
  });
}

/** Requests through the second Portico, one after another, until `work` is done; a failed one ends it. */
async function askWhile(world: NetWorld, work: () => Promise<void>): Promise<number> {
  const edge = { ...world.edge, port: SECOND_PORTS.web };
  let isDone = false;
  const working = work().finally(() => {
    isDone = true;
  });
  let count = 0;
  while (!isDone) {
    await once(edge, count % 2 === 0 ? '/' : '/api/items');
    count++;
    await delay(10);
  }
  await working;
  return count;
}

/** Which address each of the ssh clients arrives at. */
async function homesOf(edge: SshEdge): Promise<ReadonlyMap<string, string>> {
  const homes = new Map<string, string>();
  for (const source of SOURCES) homes.set(source, await greet(edge, source));
  return homes;
}

/** A node is in one of the two clusters, and for the other it is somebody else's. */
async function areActive(portico: Portico, nodes: readonly string[]): Promise<void> {
  await until(`active: ${nodes.join(', ')}`, 15_000, async () => {
    const rows = await portico.targets();
    const active = rows.filter(({ pool, state }) => pool === poolOf('ssh') && state === 'active');
    return nodes.every((node) => active.some((row) => row.node === node)) ? true : undefined;
  });
}

/** Runs the command as an operator does; throws when it does not end with 0. */
async function command(portico: Portico, words: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await portico.command([...words, ...portico.adminFlags]);
  if (code !== 0) throw new Error(`portico ${words.join(' ')}: exit code ${code}: ${stdout}${stderr}`);
}
