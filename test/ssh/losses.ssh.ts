// What becomes of sessions when a machine is lost, with its Node deleted or not, and when only its sshd takes no more.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { node, service, slice, writeKubeconfig } from '../control/discovery/world.ts';
import { StandInApi } from '../support/stand-in-api.ts';
import { until } from '../support/until.ts';
import type { Address } from './machine.ts';
import type { SshMachine } from './ssh-machine.ts';
import { SshWorld } from './world.ts';

/** Three probes fail first, then keep-alive: seven seconds on a quiet machine, where keep-alive alone would need forty. */
const LOST_LIMIT_MS = 30_000;
/** Longer than keep-alive takes to give a doubted target up. */
const DOUBT_MS = 8000;

describe('sshd behind Portico, lost', () => {
  let world: SshWorld;
  let api: StandInApi;
  let mark: string;

  before(async () => {
    world = await SshWorld.start();
    mark = path.join(world.fixture.directory, 'silent');
  });
  beforeEach(async () => {
    api = await StandInApi.start();
  });
  afterEach(async () => {
    await rm(mark, { force: true });
    await api.close();
    await world.clear();
  });
  after(() => world.close());

  function addNode(name: string, { place: { address } }: SshMachine): void {
    api.put('nodes', node(name, { status: { addresses: [{ type: 'InternalIP', address }] } }));
  }

  /** A service on the one node `n1`; others may follow. */
  async function serve(first: SshMachine): Promise<Address> {
    addNode('n1', first);
    api.put('services', service('git', 'ssh', 22));
    api.put('endpointslices', slice('git', 'ssh', 'n1'));
    const { directory } = world.context;
    writeKubeconfig(directory, { server: api.url });
    const kubeconfig = { path: path.join(directory, 'kubeconfig') };
    const clusters = [{ name: 'iad', kubeconfig, kubeProxy: { healthz: false }, maxRemovedShare: 1 }];
    const sources = [{ cluster: 'iad', service: 'git/ssh', port: 'http' }];
    // So that some of those who come go to the machine in question.
    return await world.serve({ sources, health: { ssh: {} }, policy: 'round-robin' }, { clusters });
  }

  /** A clone that is under way and silent; resolves with how it ended. */
  function stalledClone(at: Address, talking = false): Promise<string> {
    return world.alice.clone(at, 'stalled.git', { talking }).then(
      (head) => `a whole clone of ${head}`,
      (error: Error) => error.message,
    );
  }

  /** Milliseconds since then when the clone was cut. */
  async function untilCut(cloned: Promise<string>, sinceMs: number): Promise<number> {
    const end = await Promise.race([cloned, sleep(LOST_LIMIT_MS, 'not cut in time', { ref: false })]);
    assert.match(end, /reset by|closed|broken pipe|unexpected disconnect|early EOF/i);
    return Math.round(performance.now() - sinceMs);
  }

  it('resets a session whose machine is lost and its Node deleted, and the next goes to another', async (test) => {
    const [lost, staying] = [await world.sshd(), await world.sshd()];
    const at = await serve(lost);
    const cloned = stalledClone(at);
    await until('the clone to be under way', () => existsSync(mark));
    addNode('n2', staying);
    await world.untilHealth({ node: 'n2' }, 'healthy');

    const lostAtMs = performance.now();
    await world.context.network.setCable(lost.place, false);
    api.delete('nodes', 'n1');
    const tookMs = await untilCut(cloned, lostAtMs);
    test.diagnostic(`reset ${tookMs} ms after the cable was pulled and the Node deleted`);
    assert.match(await world.alice.greet(at), new RegExp(`You are at ${staying.place.address}`));
  });

  it('resets silent and talking sessions of a machine that is lost while its Node stays, and uses it when it is back', async (test) => {
    const [lost, staying] = [await world.sshd(['LogLevel VERBOSE']), await world.sshd()];
    const at = await serve(lost);
    const clones = [stalledClone(at), stalledClone(at, true)];
    await until('both clones to be under way', async () => {
      const sessions = (await lost.log()).match(/^Starting session/gm)?.length ?? 0;
      return sessions === clones.length && existsSync(mark);
    });
    addNode('n2', staying);
    await world.untilHealth({ node: 'n2' }, 'healthy');

    const lostAtMs = performance.now();
    await world.context.network.setCable(lost.place, false);
    const cuts = Promise.all(clones.map((cloned) => untilCut(cloned, lostAtMs)));
    // Before anybody can know: a connection that gets no answer is made elsewhere.
    const toStaying = new RegExp(`You are at ${staying.place.address}`);
    for (const greeting of await Promise.all([1, 2, 3, 4].map(() => world.bob.greet(at))))
      assert.match(greeting, toStaying);
    const newcomersMs = Math.round(performance.now() - lostAtMs);
    const [silentMs, talkingMs] = await cuts;
    test.diagnostic(`reset after the cable was pulled: silent ${silentMs} ms, talking ${talkingMs} ms`);
    test.diagnostic(`four sessions begun at that moment were served after ${newcomersMs} ms`);
    assert.match(await world.alice.greet(at), toStaying);

    const backAtMs = performance.now();
    await world.context.network.setCable(lost.place, true);
    await world.untilHealth({ node: 'n1' }, 'healthy');
    const healthyMs = Math.round(performance.now() - backAtMs);
    const back = new RegExp(`You are at ${lost.place.address}`);
    await until('a session on the machine that is back', async () => back.test(await world.alice.greet(at)));
    const usedMs = Math.round(performance.now() - backAtMs);
    test.diagnostic(`after the cable was plugged in: healthy ${healthyMs} ms, used ${usedMs} ms`);
  });

  it('keeps a session on an sshd that takes no more connections, and new ones go to another', async () => {
    const [leaving, staying] = [await world.sshd(), await world.sshd()];
    const at = await serve(leaving);
    const cloned = stalledClone(at);
    await until('the clone to be under way', () => existsSync(mark));
    addNode('n2', staying);
    await world.untilHealth({ node: 'n2' }, 'healthy');

    await leaving.stopListening();
    await world.untilHealth({ node: 'n1' }, 'unhealthy');
    assert.equal(await Promise.race([cloned, sleep(DOUBT_MS, 'silent')]), 'silent');
    assert.match(await world.alice.greet(at), new RegExp(`You are at ${staying.place.address}`));
    await rm(mark);
    assert.equal(await cloned, `a whole clone of ${world.fixture.head}`);
  });
});
