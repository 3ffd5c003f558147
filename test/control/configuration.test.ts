// The configuration in force: what is read while others write it, and what becomes of reloads that come together.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Configuration } from '../../src/control/configuration.ts';
import type { NamedSecrets } from '../../src/model/secrets.ts';
import { MINIMAL } from '../config/support.ts';
import { eventually, HandClock, recordLog, temporaryDirectory } from './discovery/world.ts';

const SECRETS: NamedSecrets = { pairs: {}, files: {} };

/** A controller around a configuration whose workers take everything, unless told otherwise. */
class World {
  readonly path: string;
  readonly clock = new HandClock();
  readonly lines: string[];
  secretsOf = (): Promise<NamedSecrets> => Promise.resolve(SECRETS);
  /** Whether workers say at once that they can run it. */
  accepts = true;
  version = 0;
  /** What was counted, oldest first. */
  readonly counted: boolean[] = [];
  readonly configuration: Configuration;

  constructor(context: TestContext) {
    const { log, lines } = recordLog();
    this.lines = lines;
    this.path = join(temporaryDirectory(context), 'portico.yaml');
    writeFileSync(this.path, MINIMAL);
    this.configuration = new Configuration({
      path: this.path,
      environment: {},
      clock: this.clock,
      log,
      secretsOf: () => this.secretsOf(),
      applyAdmin: () => Promise.resolve(),
      force: () => {
        this.version += 1;
        if (this.accepts) queueMicrotask(() => this.configuration.accepted(this.version));
        return this.version;
      },
      version: () => this.version,
      onLoaded: (ok) => this.counted.push(ok),
    });
  }
}

test('a file that vanishes between its check and its use is a problem, and the configuration before stays', async (t) => {
  const world = new World(t);
  assert.equal(await world.configuration.start(null), null);
  world.secretsOf = () => Promise.reject(new Error('ENOENT: no such file or directory, open tls.crt'));
  const { ok, version, problems } = await world.configuration.reload();
  assert.deepEqual([ok, version], [false, 1]);
  assert.match(problems.join('\n'), /changed while it was read: ENOENT.* tls\.crt/);
  world.secretsOf = () => Promise.resolve(SECRETS);
  assert.equal((await world.configuration.reload()).ok, true);
});

test('a controller that takes over while a file is replaced goes on with what the one before had', async (t) => {
  const before = new World(t);
  await before.configuration.start(null);
  const world = new World(t);
  world.secretsOf = () => Promise.reject(new Error('ENOENT'));
  const kept = { config: before.configuration.config!, secrets: SECRETS };
  assert.equal(await world.configuration.start(kept), null);
  assert.equal(world.configuration.config, kept.config);
});

test('a pipe in the place of the configuration is refused, and holds up no reload', async (t) => {
  const world = new World(t);
  await world.configuration.start(null);
  rmSync(world.path);
  execFileSync('mkfifo', [world.path]);
  const { ok, problems } = await world.configuration.reload();
  assert.equal(ok, false);
  assert.match(problems.join(), /is a pipe/);
  rmSync(world.path);
  writeFileSync(world.path, MINIMAL);
  assert.equal((await world.configuration.reload()).ok, true);
});

test('reloads that come while one is under way read the file once more when it has ended', async (t) => {
  const world = new World(t);
  await world.configuration.start(null);
  world.accepts = false;
  const first = world.configuration.reload();
  await eventually(() => world.version === 2);
  writeFileSync(world.path, MINIMAL.replace('name: app', 'name: other').replace('name: app', 'name: other'));
  const others = [world.configuration.reload(), world.configuration.reload()];
  world.configuration.accepted(2);
  assert.equal((await first).ok, true);
  await eventually(() => world.version === 3);
  world.configuration.accepted(3);
  for (const { ok, version } of await Promise.all(others)) assert.deepEqual([ok, version], [true, 3]);
  assert.deepEqual(
    world.configuration.config?.pools.map(({ name }) => name),
    ['other'],
  );
});

const other = MINIMAL.replaceAll('name: app', 'name: other');
const poolsOf = (world: World): unknown => world.configuration.config?.pools.map(({ name }) => name);

test('a reload that cannot be run counts as failed alone, and what was loaded before was loaded then', async (t) => {
  const world = new World(t);
  await world.configuration.start(null);
  const { loadedAtMs } = world.configuration;
  assert.deepEqual(world.counted, [true]);
  world.accepts = false;
  writeFileSync(world.path, other);
  world.clock.advance(60_000);
  const reload = world.configuration.reload();
  await eventually(() => world.version === 2);
  world.configuration.refused(2, 'the port is taken');
  assert.deepEqual((await reload).problems, ['the port is taken']);
  assert.deepEqual(world.counted, [true, false]);
  assert.equal(world.configuration.loadedAtMs, loadedAtMs);
  assert.deepEqual(poolsOf(world), ['app']);
});

test('a configuration that all workers run stays, whatever later snapshot one of them refuses', async (t) => {
  const world = new World(t);
  await world.configuration.start(null);
  writeFileSync(world.path, other);
  assert.equal((await world.configuration.reload()).ok, true);
  world.configuration.refused(9, 'a worker cannot run it');
  assert.deepEqual(poolsOf(world), ['other']);
});

test('what is refused of a configuration that another has followed does not touch that one', async (t) => {
  const world = new World(t);
  await world.configuration.start(null);
  world.accepts = false;
  const first = world.configuration.reload();
  await eventually(() => world.version === 2);
  world.configuration.bound(2);
  world.clock.advance(5000);
  assert.equal((await first).ok, true);
  writeFileSync(world.path, other);
  const second = world.configuration.reload();
  await eventually(() => world.version === 3);
  world.configuration.refused(2, 'a worker that was busy cannot run it');
  assert.deepEqual(poolsOf(world), ['other']);
  world.configuration.accepted(3);
  assert.deepEqual([(await second).ok, world.version], [true, 3]);
});

/** A reload to the other configuration, of which no worker says anything. */
async function reloadUnanswered(
  world: World,
): Promise<{ readonly answer: ReturnType<World['configuration']['reload']> }> {
  world.accepts = false;
  writeFileSync(world.path, other);
  const answer = world.configuration.reload();
  await eventually(() => world.version === 2);
  return { answer };
}

test('a refusal that comes when the reload has been answered is told by the status', async (t) => {
  const world = new World(t);
  await world.configuration.start(null);
  const { answer } = await reloadUnanswered(world);
  world.configuration.bound(2);
  world.clock.advance(5000);
  assert.equal((await answer).ok, true);
  world.configuration.refused(2, 'a worker that was busy cannot run it');
  assert.deepEqual(poolsOf(world), ['app']);
  assert.deepEqual(world.configuration.problems, ['a worker that was busy cannot run it']);
  assert.deepEqual(world.counted, [true, true, false]);
});

test('a reload that the supervisor does not answer is taken back, as its answer says', async (t) => {
  const world = new World(t);
  await world.configuration.start(null);
  const { answer } = await reloadUnanswered(world);
  world.clock.advance(5000);
  assert.deepEqual((await answer).problems, ['the supervisor did not answer in time']);
  assert.deepEqual([poolsOf(world), world.version, world.counted], [['app'], 3, [true, false]]);
});
