// The publisher's rules: one snapshot at a time, the latest wins, events keep their time, nobody is waited for too long.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Publisher } from '../../src/control/publisher.ts';
import type { Publication } from '../../src/model/messages.ts';
import { NO_SECRETS } from '../../src/model/secrets.ts';
import type { Snapshot } from '../../src/model/snapshot.ts';
import { type Decoded, decodePublication } from '../../src/snapshot/decode.ts';
import { ManualTimers } from '../support/manual-timers.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';

class World {
  readonly timers = new ManualTimers();
  readonly sent: Publication[] = [];
  readonly kept: Publication[] = [];
  readonly applied: { readonly version: number; readonly tookMs: number | null }[] = [];
  readonly publisher = new Publisher({
    send: (publication) => this.sent.push(publication),
    keep: (publication) => this.kept.push(publication),
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
    return this.decoded(index).snapshot.eventAtMs;
  }

  /** What a worker has that has read all texts up to this one. */
  decoded(index: number): Decoded {
    let decoded: Decoded | null = null;
    for (const { text } of this.sent.slice(0, index + 1))
      decoded = decodePublication(text, decoded?.snapshot ?? null);
    assert.ok(decoded !== null);
    return decoded;
  }
}

function snapshot(version: number, eventAtMs = 0): Snapshot {
  return { ...snapshotOf({ version, pools: [], routes: [] }), eventAtMs };
}

describe('publisher', () => {
  it('sends whole what was dropped, also when the word of it comes later than it was waited for', () => {
    const world = new World('w1');
    world.publish(1);
    world.publisher.applied('w1', 1);
    world.publish(2, 100);
    world.timers.advance(1000);
    world.publisher.wholeNeeded(2);
    assert.deepEqual(
      world.sent.map(({ version, base }) => [version, base]),
      [
        [1, null],
        [2, world.sent[1]!.base],
        [2, null],
      ],
    );
    world.publisher.applied('w1', 2);
    assert.deepEqual(world.applied.at(-1)?.version, 2);
  });

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
    assert.equal(publication!.base, null);
    const decoded = world.decoded(0);
    assert.equal(decoded.snapshot.version, 4);
    assert.deepEqual(decoded.secrets, secrets);
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

  it('sends a difference to those who have the version before, and all of it after a refusal', () => {
    const world = new World('w1');
    const pools = [{ targets: ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80'] }];
    const version = (number: number): Snapshot => ({ ...snapshotOf({ pools }), version: number });
    world.publisher.publish(version(1));
    world.publisher.applied('w1', 1);
    world.publisher.publish(version(2));
    assert.deepEqual(
      world.sent.map(({ base }) => base),
      [null, 1],
    );
    assert.equal(world.decoded(1).snapshot.version, 2);
    assert.equal(world.decoded(1).secrets, null);
    world.publisher.refused(2);
    world.publisher.publish(version(3));
    assert.equal(world.sent[2]?.base, null);
  });

  it('sends whole what the supervisor could not take as a difference', () => {
    const world = new World('w1');
    const pools = [{ targets: ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80'] }];
    for (const version of [1, 2]) {
      world.publisher.publish({ ...snapshotOf({ pools }), version });
      world.publisher.applied('w1', version);
    }
    world.publisher.publish({ ...snapshotOf({ pools }), version: 3 });
    world.publisher.wholeNeeded(3);
    world.publisher.wholeNeeded(2);
    assert.deepEqual(
      world.sent.map(({ version, base }) => [version, base]),
      [
        [1, null],
        [2, 1],
        [3, 2],
        [3, null],
      ],
    );
    world.publisher.applied('w1', 3);
    assert.deepEqual(world.applied.at(-1), { version: 3, tookMs: null });
    assert.equal(world.timers.pending, 0);
  });

  it('sends new secrets with a snapshot that is the same', () => {
    const world = new World('w1');
    const same = snapshot(1);
    world.publisher.publish(same);
    world.publisher.applied('w1', 1);
    const secrets = { ...NO_SECRETS, pairs: { web: { cert: 'C', key: 'K', staple: null } } };
    world.publisher.setSecrets(secrets);
    world.publisher.publish(same);
    assert.deepEqual(world.decoded(1).secrets, secrets);
  });

  it('gives the supervisor a whole text when the differences have grown as long as one', () => {
    const world = new World('w1');
    const pools = Array.from({ length: 40 }, (_, index) => ({ targets: [`10.0.0.${index}:80`] }));
    for (let version = 1; version <= 30; version += 1) {
      const accessLogPath = `${'x'.repeat(5000)}${version}`;
      world.publisher.publish(snapshotOf({ version, pools, accessLogPath }));
      world.publisher.applied('w1', version);
    }
    assert.ok(world.kept.length >= 2 && world.kept.length <= 5, `${world.kept.length}`);
    for (const { version, base, text } of world.kept) {
      assert.equal(base, null);
      assert.equal(decodePublication(text, null).snapshot.version, version);
    }
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
