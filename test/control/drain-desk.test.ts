// Drains as operators see them: the states of what is drained, and a barrier that no worker can be left out of.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import pino from 'pino';
import { DrainDesk } from '../../src/control/drain-desk.ts';
import type { ProbeFailure } from '../../src/control/health/probe-result.ts';
import { Publisher } from '../../src/control/publisher.ts';
import { Questions } from '../../src/control/questions.ts';
import { createTargetEngine } from '../../src/control/targets/target-engine.ts';
import { FakeTime } from './health/fake-time.ts';
import { clusterInventory, config, nodeFact } from './targets/facts.ts';

const NODE_3 = { cluster: 'iad', node: 'node-3' };
const IAD = { cluster: 'iad', node: null };
/** Whoever asks waits for the answer. */
const STAYS = new AbortController().signal;

/** A controller's parts around a desk, and two workers that are played by hand. */
class World {
  readonly time = new FakeTime();
  readonly workers = new Map([
    ['worker-1', 11],
    ['worker-2', 12],
  ]);
  /** Flows that a worker tells of; null does not answer. */
  readonly flows = new Map<string, number | null>([
    ['worker-1', 0],
    ['worker-2', 0],
  ]);
  kept = true;
  probes: ProbeFailure | null = null;
  readonly #clock = this.time.clock;
  readonly publisher = new Publisher({
    send: () => {},
    keep: () => {},
    now: this.#clock.now,
    after: this.#clock.after,
    onApplied: () => {},
  });
  readonly questions = new Questions({
    after: this.#clock.after,
    send: (_worker, id) => {
      for (const [worker, flows] of this.flows) {
        if (flows !== null)
          queueMicrotask(() => this.questions.answered(worker, id, { kind: 'flows', flows }));
      }
    },
  });
  readonly engine = createTargetEngine({
    clock: this.#clock,
    monotonic: this.time.monotonic,
    random: () => 0,
    defer: setImmediate,
    log: pino({ level: 'silent' }),
    prober: async (_target, _timeoutMs, _signal, onResult) => {
      onResult({ failure: this.probes, detail: '', durationMs: 1, weight: null });
    },
    firstVersion: 1,
    onSnapshot: (snapshot) => this.publisher.publish(snapshot),
    onTargetChange: () => {},
  });
  readonly desk = new DrainDesk({
    engine: this.engine,
    publisher: this.publisher,
    questions: this.questions,
    workers: () => this.workers,
    hasCluster: (name) => name === 'iad',
    clock: this.#clock,
    keep: () => Promise.resolve(this.kept),
  });

  async start(): Promise<this> {
    this.engine.setConfig(config());
    this.engine.setInventory({ clusters: { iad: clusterInventory() } }, 0);
    await this.time.move(0);
    for (const name of this.workers.keys()) this.publisher.workerStarted(name);
    this.acknowledge();
    return this;
  }

  /** The workers have the newest snapshot in force. */
  acknowledge(...names: readonly string[]): void {
    const version = this.engine.snapshot()!.version;
    for (const name of names.length === 0 ? this.workers.keys() : names)
      this.publisher.applied(name, version);
  }

  async state(subject: { cluster: string; node: string | null }): Promise<string> {
    const outcome = await this.desk.drained(subject, 0, STAYS);
    return outcome.found ? outcome.state : 'not found';
  }
}

describe('drain desk', () => {
  it('is draining while a worker has a flow, or has not acknowledged the drain, and gone after that', async () => {
    const world = await new World().start();
    assert.equal(await world.state(NODE_3), 'active');
    world.flows.set('worker-2', 1);
    const begun = await world.desk.drain(NODE_3);
    assert.deepEqual(begun, {
      found: true,
      state: 'draining',
      draining: true,
      drained: false,
      flows: 1,
      kept: true,
    });
    world.flows.set('worker-2', 0);
    assert.equal(await world.state(NODE_3), 'draining', 'a worker with the snapshot before may begin a flow');
    world.acknowledge('worker-1');
    assert.equal(await world.state(NODE_3), 'draining');
    world.acknowledge('worker-2');
    assert.equal(await world.state(NODE_3), 'gone');
    await world.desk.undrain(NODE_3);
    assert.equal(await world.state(NODE_3), 'active');
    await world.engine.close();
  });

  it('takes the silence of a worker for a flow', async () => {
    const world = await new World().start();
    world.flows.set('worker-2', null);
    const drain = world.desk.drain(NODE_3);
    await world.time.move(1000);
    assert.equal((await drain).found, true);
    world.acknowledge();
    const asked = world.state(NODE_3);
    await world.time.move(1000);
    assert.equal(await asked, 'draining');
    await world.engine.close();
  });

  it('takes the answer of a worker that has just been started for no other', async () => {
    const world = await new World().start();
    await world.desk.drain(NODE_3);
    world.acknowledge();
    world.flows.set('worker-2', null);
    // It is asked as well, and the desk has not heard of it yet.
    world.flows.set('worker-3', 0);
    const asked = world.state(NODE_3);
    await world.time.move(1000);
    assert.equal(await asked, 'draining');
    await world.engine.close();
  });

  it('answers the barrier when the last flow in the last worker has ended', async () => {
    const world = await new World().start();
    world.flows.set('worker-1', 2);
    await world.desk.drain(IAD);
    world.acknowledge();
    let answered = false;
    const barrier = world.desk.drained(IAD, 60_000, STAYS).then((outcome) => {
      answered = true;
      return outcome;
    });
    await world.time.move(2000);
    assert.equal(answered, false);
    world.flows.set('worker-1', 0);
    await world.time.move(100);
    const outcome = await barrier;
    assert.deepEqual([outcome.found && outcome.drained, outcome.found && outcome.state], [true, 'gone']);
    await world.engine.close();
  });

  it('answers with what is left when the time is up, and when the controller leaves', async () => {
    const world = await new World().start();
    world.flows.set('worker-1', 2);
    await world.desk.drain(IAD);
    world.acknowledge();
    const patient = world.desk.drained(IAD, 500, STAYS);
    await world.time.move(600);
    const late = await patient;
    assert.deepEqual([late.found && late.drained, late.found && late.flows], [false, 2]);
    const waiting = world.desk.drained(IAD, 60_000, STAYS);
    await world.time.move(0);
    world.desk.close();
    const left = await waiting;
    assert.equal(left.found && left.drained, false);
    await world.engine.close();
  });

  it('asks no worker any more when whoever asked has left', async () => {
    const world = await new World().start();
    world.flows.set('worker-1', 2);
    await world.desk.drain(IAD);
    world.acknowledge();
    const asker = new AbortController();
    const waiting = world.desk.drained(IAD, 60_000, asker.signal);
    await world.time.move(1000);
    asker.abort();
    await world.time.move(1000);
    const outcome = await waiting;
    assert.equal(outcome.found && outcome.drained, false);
    await world.engine.close();
  });

  it('answers in time although the clock of the machine is set back meanwhile', async () => {
    const world = await new World().start();
    world.flows.set('worker-1', 2);
    await world.desk.drain(IAD);
    world.acknowledge();
    let answered = false;
    void world.desk.drained(IAD, 500, STAYS).then(() => {
      answered = true;
    });
    await world.time.move(0);
    world.time.setBack(3_600_000);
    await world.time.move(600);
    assert.equal(answered, true);
    world.desk.close();
    await world.engine.close();
  });

  it('says filling while a node that joins is not proven, and does not know what is not there', async () => {
    const world = await new World().start();
    assert.deepEqual(await world.desk.drain({ cluster: 'iad', node: 'absent' }), { found: false });
    assert.deepEqual(await world.desk.drain({ cluster: 'sea', node: null }), { found: false });
    world.probes = 'refused';
    const nodes = [...clusterInventory().nodes, nodeFact('node-4')];
    world.engine.setInventory({ clusters: { iad: clusterInventory({ nodes }) } }, 0);
    await world.time.move(0);
    assert.equal(await world.state({ cluster: 'iad', node: 'node-4' }), 'filling');
    await world.engine.close();
  });

  it('still knows a drained node that has left the API, and that its flows have not ended', async () => {
    const world = await new World().start();
    world.flows.set('worker-1', 1);
    await world.desk.drain(NODE_3);
    world.engine.setInventory(
      { clusters: { iad: clusterInventory({ nodes: clusterInventory().nodes.slice(0, 2) }) } },
      0,
    );
    await world.time.move(0);
    world.acknowledge();
    assert.equal(await world.state(NODE_3), 'draining');
    world.flows.set('worker-1', 0);
    assert.equal(await world.state(NODE_3), 'gone');
    await world.engine.close();
  });

  it('says when a drain could not be kept', async () => {
    const world = await new World().start();
    world.kept = false;
    const outcome = await world.desk.drain(NODE_3);
    assert.equal(outcome.found && outcome.kept, false);
    assert.deepEqual(
      world.desk.drains().map(({ cluster, node }) => `${cluster} ${node}`),
      ['iad node-3'],
    );
    await world.engine.close();
  });
});
