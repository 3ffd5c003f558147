// Starts of a target at a bounded rate: the rate itself, the queue before it, and tcp connections over real sockets.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import { Deadlines } from '../../../src/proxy/deadlines.ts';
import { Pace } from '../../../src/proxy/upstream/pace.ts';
import { StartQueue } from '../../../src/proxy/upstream/start-queue.ts';
import { eventually, type RawPeer, Stage } from '../../support/data-plane.ts';
import { fc } from '../../support/properties.ts';
import { listenerConfig, snapshotOf } from '../../support/snapshots.ts';

describe('the pace of starts', () => {
  it('never exceeds its rate in any second, its allowance at once aside, and never starves', () => {
    const steps = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), steps, (perSecond, waits) => {
        const pace = new Pace();
        const taken: number[] = [];
        let nowMs = 1000;
        for (const waitMs of waits) {
          nowMs += waitMs;
          if (pace.tryStart(perSecond, nowMs)) taken.push(nowMs);
          else
            assert.ok(
              taken.length > 0 && nowMs - taken.at(-1)! < 1000 / perSecond + 1,
              'no longer than a step',
            );
        }
        const together = Math.max(1, Math.floor(perSecond * 0.2));
        for (const fromMs of taken) {
          const inSecond = taken.filter((atMs) => atMs >= fromMs && atMs < fromMs + 1000).length;
          assert.ok(inSecond <= perSecond + together, `${inSecond} in a second`);
        }
      }),
    );
  });
});

describe('the queue for starts', () => {
  it('serves in the order of arrival, lets nobody wait too long, and forgets who leaves', () => {
    let nowMs = 0;
    let places = 0;
    const log: string[] = [];
    const deadlines = new Deadlines(() => nowMs);
    const queue = new StartQueue(1000, deadlines, () => nowMs);
    const starter = (name: string) => ({
      tryStart: (): boolean => {
        if (places === 0) return false;
        places -= 1;
        log.push(`${name} starts`);
        return true;
      },
      giveUp: (): void => void log.push(`${name} gives up`),
    });
    const left = starter('left');
    const at = (ms: number): void => {
      nowMs = ms;
      deadlines.run();
    };
    for (const name of ['a', 'b']) queue.add(starter(name));
    queue.add(left);
    at(500);
    queue.add(starter('c'));
    queue.remove(left);
    places = 1;
    at(600);
    assert.deepEqual(log, ['a starts']);
    at(1000);
    assert.deepEqual(log, ['a starts', 'b gives up']);
    assert.equal(queue.isEmpty, false);
    places = 5;
    at(1100);
    assert.deepEqual(log.slice(2), ['c starts']);
    assert.equal(queue.isEmpty, true);
  });
});

describe('tcp connections to targets with a bounded rate of starts', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  async function serve(startWaitMs: number): Promise<RawPeer[]> {
    const reached: RawPeer[] = [];
    const target = await stage.backend((peer) => {
      reached.push(peer);
      peer.send('SSH-2.0-server\r\n');
    });
    const connections = { idlePerTarget: 64, idleMs: 55_000, requests: 0, ageMs: 0, perTarget: 4096 };
    stage.plane.apply(
      snapshotOf({
        listeners: [listenerConfig({ name: 'git', protocol: 'tcp', pool: 'pool-0' })],
        pools: [{ targets: [target.at], connections: { ...connections, startsPerSecond: 1, startWaitMs } }],
        routes: [],
      }),
    );
    return reached;
  }

  it('wait for their turn, with what their clients said, and lose nothing', async () => {
    const reached = await serve(60_000);
    const clients: RawPeer[] = [];
    for (let index = 0; index < 3; index += 1) {
      const client = await stage.client('git');
      client.send(`client ${index}`);
      clients.push(client);
      await eventually(
        'the connection',
        () => stage.plane.metric('portico_connections_active') === index + 1,
      );
    }
    await clients[0]!.expect('SSH-2.0-server');
    assert.equal(reached.length, 1, 'the others wait');
    for (let index = 1; index < 3; index += 1) {
      await stage.plane.skip(1100);
      await clients[index]!.expect('SSH-2.0-server');
      await reached[index]!.expect(`client ${index}`);
      assert.equal(reached.length, index + 1);
    }
  });

  it('are reset after their time, and counted', async () => {
    const reached = await serve(200);
    await (await stage.client('git')).expect('SSH-2.0-server');
    const late = await stage.client('git');
    await late.until(() => late.closed);
    assert.equal(reached.length, 1);
    assert.equal(stage.plane.metric('portico_failures_total{listener="git",reason="connection-limit"}'), 1);
    await eventually('the end', () => stage.plane.metric('portico_connections_active') === 1);
  });

  it('leave the queue with their clients', async () => {
    const reached = await serve(60_000);
    await (await stage.client('git')).expect('SSH-2.0-server');
    const gone = await stage.client('git');
    await eventually('the connection', () => stage.plane.metric('portico_connections_active') === 2);
    const patient = await stage.client('git');
    await eventually('the connection', () => stage.plane.metric('portico_connections_active') === 3);
    gone.socket.resetAndDestroy();
    await eventually('the end', () => stage.plane.metric('portico_connections_active') === 2);
    await stage.plane.skip(1100);
    await patient.expect('SSH-2.0-server');
    assert.equal(reached.length, 2);
  });
});
