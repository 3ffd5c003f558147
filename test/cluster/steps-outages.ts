// Steps in which parts die: the API server, Portico's controller, a worker's neighbour; and a reload.

import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from './child.ts';
import { EXCLUDE_LABEL } from './objects.ts';
import type { Step } from './steps.ts';
import type { World } from './world.ts';

const OUTAGE_MS = 6000;
/** The reflectors' back-off after an outage may have grown to this before the API came back. */
const RESYNC_LIMIT_MS = 35_000;

export const OUTAGE_STEPS: readonly Step[] = [
  {
    name: 'reload',
    title: 'SIGHUP: Portico reads its configuration again, and no connection notices',
    async run(world) {
      const before = world.ledger.failures.length;
      world.portico.signal('SIGHUP');
      await delay(1500);
      await world.report.check('reload: ready, and nobody noticed', async () => {
        if (!(await world.portico.isReady())) {
          throw new Error('not ready');
        }
        nobodyFailed(world, before);
      });
    },
  },
  {
    name: 'api-down',
    title: 'The API server is killed: traffic goes on, staleness is shown, and it catches up by itself',
    needsOwnControlPlane: true,
    async run(world) {
      const { controlPlane, report, transcript } = world;
      const before = world.ledger.failures.length;
      await controlPlane!.killApiServer();
      transcript.sentence(`The API server is killed (SIGKILL) and stays away for ${OUTAGE_MS / 1000} s.`);
      await delay(OUTAGE_MS);
      await report.check('API down: every target stays as it was', async () => {
        await world.portico.awaitTargets('unicorn', allActive(), 500);
      });
      await report.check('API down: staleness is shown in the metrics', () => showsStaleness(world));
      await report.check('API down: traffic goes on', () => goesOn(world));
      await world.showTargets('unicorn');
      await controlPlane!.startApiServer();
      const upAt = performance.now();
      transcript.sentence('The API server is back.');
      await followsAgain(world, 'API back', upAt);
      await report.check('API outage: nobody noticed', () => nobodyFailed(world, before));
    },
  },
  {
    name: 'controller-killed',
    title: "Portico's controller is killed: the workers serve on, and a new controller catches up",
    async run(world) {
      const before = world.ledger.failures.length;
      const old = await killController(world);
      await world.report.check('controller killed: traffic goes on', () => goesOn(world));
      await controllerReturns(world, old);
      await followsAgain(world, 'controller back', performance.now());
      await world.report.check('controller killed: nobody noticed', () => nobodyFailed(world, before));
    },
  },
  {
    name: 'both-down',
    title: 'The controller is killed while the API server is away: it starts from the inventory on disk',
    needsOwnControlPlane: true,
    async run(world) {
      const { controlPlane, report, transcript } = world;
      const before = world.ledger.failures.length;
      await keptInventoryIsCurrent(world);
      await controlPlane!.killApiServer();
      transcript.sentence('The API server is killed, then the controller of Portico.');
      const old = await killController(world);
      await controllerReturns(world, old);
      await report.check('both down: the targets are those from disk', async () => {
        await world.portico.awaitTargets('unicorn', allActive(), 8000);
      });
      await world.showTargets('unicorn');
      await report.check('both down: traffic goes on', () => goesOn(world));
      await controlPlane!.startApiServer();
      await followsAgain(world, 'API back after both were down', performance.now());
      await report.check('both down: nobody noticed', () => nobodyFailed(world, before));
    },
  },
];

/** Writes to disk are gathered: a controller that is killed may lose the last second or so of what it knew. */
async function keptInventoryIsCurrent(world: World): Promise<void> {
  const directory = path.join(world.directory, 'portico', 'state');
  await until('the inventory on disk is current', 15_000, async () => {
    const files = (await readdir(directory)).filter((name) => !name.endsWith('.tmp'));
    const texts = await Promise.all(files.map((name) => readFile(path.join(directory, name), 'utf8')));
    return texts.length > 0 && texts.every((text) => !text.includes(EXCLUDE_LABEL)) ? true : undefined;
  });
}

function allActive(): Record<string, { state: 'active' }> {
  return { 'node-1': { state: 'active' }, 'node-2': { state: 'active' }, 'node-3': { state: 'active' } };
}

function nobodyFailed(world: World, before: number): void {
  const failures = world.ledger.failures.slice(before);
  if (failures.length > 0) {
    const words = failures.slice(0, 5).map((failure) => `${failure.client}: ${failure.reason}`);
    throw new Error(`${failures.length} failed requests: ${words.join('; ')}`);
  }
}

/** Every kind of client succeeds anew within a few seconds. */
async function goesOn(world: World): Promise<void> {
  const clients = ['keep-alive GET /', 'keep-alive POST /api', 'curl /', 'curl /api', 'ssh session'];
  const before = clients.map((client) => world.ledger.successes(client));
  await until('every client succeeds again', 4000, () =>
    clients.every((client, index) => world.ledger.successes(client) > before[index]!) ? true : undefined,
  );
}

/** Portico must say in its metrics that what it knows is getting old. */
async function showsStaleness(world: World): Promise<void> {
  const { body } = await world.portico.admin('/metrics');
  const last = /^portico_\w*sync\w*_timestamp_seconds\{?[^\n]*\}? (\S+)$/m.exec(body)?.[1];
  if (last === undefined) {
    throw new Error('no metric tells when the cluster was last in sync');
  }
  const ageMs = Date.now() - Number(last) * 1000;
  if (ageMs < OUTAGE_MS / 2) {
    throw new Error(`the last sync is said to be ${Math.round(ageMs)} ms ago`);
  }
}

async function killController(world: World): Promise<number> {
  const [pid] = await world.portico.childrenOfRole('controller');
  if (pid === undefined) {
    throw new Error('Portico has no child with the role of a controller');
  }
  process.kill(pid, 'SIGKILL');
  world.transcript.sentence('The controller of Portico is killed (SIGKILL).');
  return pid;
}

async function controllerReturns(world: World, old: number): Promise<void> {
  await world.report.check('a new controller is ready', async () => {
    await until('another controller', 10_000, async () => {
      const [pid] = await world.portico.childrenOfRole('controller');
      return pid !== undefined && pid !== old && (await world.portico.isReady()) ? true : undefined;
    });
  });
}

/** A label that the API accepted is in force again; the first event shows how long catching up took. */
async function followsAgain(world: World, event: string, upAt: number): Promise<void> {
  await world.kubectl.run(['label', 'node', 'node-3', `${EXCLUDE_LABEL}=true`]);
  await world.report.check(`${event}: it follows the API again by itself`, async () => {
    const expected = { 'node-3': { state: 'excluded', reasons: ['excluded-label'] } } as const;
    const seenAt = await world.portico.awaitTargets('unicorn', expected, RESYNC_LIMIT_MS);
    world.report.measured({
      event: `${event} (first change in force)`,
      shownMs: seenAt - upAt,
      lastRequestMs: null,
    });
  });
  await world.kubectl.run(['label', 'node', 'node-3', `${EXCLUDE_LABEL}-`]);
  await world.report.check(`${event}: the label's removal as well`, async () => {
    await world.portico.awaitTargets('unicorn', { 'node-3': { state: 'active' } }, RESYNC_LIMIT_MS);
  });
}
