// The publisher's rules: one snapshot at a time, the latest wins, events keep their time, nobody is waited for too long.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Publisher } from '../../src/control/publisher.ts';
import type { Publication } from '../../src/model/messages.ts';
import { NO_SECRETS } from '../../src/model/secrets.ts';
import type { Snapshot } from '../../src/model/snapshot.ts';
import { ManualTimers } from '../support/manual-timers.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';

class World {
  readonly timers = new ManualTimers();
  readonly sent: Publication[] = [];
  readonly applied: { readonly version: number; readonly tookMs: number | null }[] = [];
  readonly publisher = new Publisher({
    send: (publication) => this.sent.push(publication),
    now: () => this.timers.nowMs,
    after: this.timers.after,
    onApplied: ({ version }, tookMs) => this.applied.push({ version, tookMs }),
  });

  constructor(...workers: readonly string[]) {
    for (const worker of workers) this.publisher.workerStarted(worker);
  }

  publish(version: number, eventAtMs = 0): void {
    this.publisher.publish(snapshot(version, eventAtMs));
  }

  get versions(): readonly number[] {
    return this.sent.map(({ version }) => version);
  }

  eventOf(index: number): number {
    return (JSON.parse(this.sent[index]!.text) as { snapshot: Snapshot }).snapshot.eventAtMs;
  }
}

function snapshot(version: number, eventAtMs = 0): Snapshot {
  return { ...snapshotOf({ version, pools: [], routes: [] }), eventAtMs };
}

describe('publisher', () => {
  it('sends the first at once: its version, its listeners, and the text with the secrets beside it', () => {
    const world = new World('w1');
    const secrets = { ...NO_SECRETS, pairs: { web: { cert: 'C', key: 'K', staple: null } } };
    assert.equal(world.publisher.setSecrets(secrets), true);
    assert.equal(world.publisher.setSecrets({ ...secrets }), false, 'the same again');
    world.publisher.publish(
      snapshotOf({ version: 4, pools: [], routes: [], listeners: [listenerConfig({ port: 8080 })] }),
    );
    const [publication] = world.sent;
    assert.equal(publication!.version, 4);
    assert.deepEqual(publication!.listeners, [
      { name: 'web', host: '127.0.0.1', port: 8080, protocol: 'http' },
    ]);
    const text = JSON.parse(publication!.text) as { snapshot: Snapshot; secrets: unknown };
    assert.equal(text.snapshot.version, 4);
    assert.deepEqual(text.secrets, secrets);
  });

  it('holds the next until every worker has acknowledged, and of those that wait sends only the latest', () => {
    const world = new World('w1', 'w2');
    for (let version = 1; version <= 5; version += 1) world.publish(version);
    assert.deepEqual(world.versions, [1]);
    world.publisher.applied('w1', 1);
    assert.deepEqual(world.versions, [1]);
    world.publisher.applied('w2', 1);
    assert.deepEqual(world.versions, [1, 5]);
    assert.deepEqual(world.applied, [{ version: 1, tookMs: null }]);
  });

  it('times an event from when it was received to the last acknowledgement', () => {
    const world = new World('w1', 'w2');
    world.publish(1, world.timers.nowMs);
    world.timers.advance(30);
    world.publisher.applied('w1', 1);
    world.timers.advance(20);
    world.publisher.applied('w2', 1);
    assert.deepEqual(world.applied, [{ version: 1, tookMs: 50 }]);
  });

  it('keeps the time of the oldest event that a snapshot answers when others are left out', () => {
    const world = new World('w1');
    const begunAtMs = world.timers.nowMs;
    world.publish(1);
    world.publish(2, begunAtMs + 10);
    world.publish(3, begunAtMs + 40);
    world.publish(4);
    world.timers.advance(100);
    world.publisher.applied('w1', 1);
    assert.deepEqual(world.versions, [1, 4]);
    assert.equal(world.eventOf(1), begunAtMs + 10);
    world.publisher.applied('w1', 4);
    assert.deepEqual(world.applied.at(-1), { version: 4, tookMs: 90 });
  });

  it('does not give an event to a snapshot that was sent before it', () => {
    const world = new World('w1');
    world.publish(1, 500);
    world.publish(2, 900);
    world.publisher.applied('w1', 1);
    assert.equal(world.eventOf(1), 900);
  });

  it('waits a second for a worker that does not answer, not longer', () => {
    const world = new World('w1', 'stuck');
    world.publish(1);
    world.publish(2);
    world.publisher.applied('w1', 1);
    world.timers.advance(999);
    assert.deepEqual(world.versions, [1]);
    world.timers.advance(1);
    assert.deepEqual(world.versions, [1, 2]);
    world.publisher.applied('w1', 2);
    world.publish(3);
    world.timers.advance(1000);
    assert.deepEqual(world.versions, [1, 2, 3]);
  });

  it('goes on when the worker that it waits for is gone', () => {
    const world = new World('w1', 'w2');
    world.publish(1);
    world.publish(2);
    world.publisher.applied('w1', 1);
    world.publisher.workerGone('w2');
    assert.deepEqual(world.versions, [1, 2]);
    assert.deepEqual(world.applied, [{ version: 1, tookMs: null }]);
    assert.equal(world.timers.pending, 1, 'the timer of the first is no more');
  });

  it('waits for a worker that has just started, too', () => {
    const world = new World('w1');
    world.publish(1);
    world.publisher.workerStarted('w2');
    world.publisher.applied('w1', 1);
    assert.deepEqual(world.applied, []);
    world.publisher.applied('w2', 1);
    assert.deepEqual(world.applied, [{ version: 1, tookMs: null }]);
  });

  it('goes on at once after a refusal, and a late refusal of an older version changes nothing', () => {
    const world = new World('w1');
    world.publish(1);
    world.publish(2);
    world.publisher.refused(1);
    assert.deepEqual(world.versions, [1, 2]);
    world.publish(3);
    world.publisher.refused(1);
    assert.deepEqual(world.versions, [1, 2]);
  });

  it('publishes before there is a worker, and does not take that for applied', () => {
    const world = new World();
    world.publish(1, 500);
    assert.deepEqual(world.versions, [1]);
    assert.deepEqual(world.applied, []);
    assert.equal(world.publisher.serving, 0);
    world.publisher.workerStarted('w1');
    assert.equal(world.publisher.serving, 0);
    world.publisher.applied('w1', 1);
    assert.equal(world.publisher.serving, 1);
    assert.equal(world.publisher.versionOf('w1'), 1);
    assert.equal(world.publisher.versionOf('nobody'), 0);
  });

  it('leaves no timer behind', () => {
    const world = new World('w1');
    world.publish(1);
    world.publisher.applied('w1', 1);
    assert.equal(world.timers.pending, 0);
    world.publish(2);
    world.publisher.close();
    assert.equal(world.timers.pending, 0);
  });
});
