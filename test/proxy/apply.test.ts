// From one snapshot to the next in a worker: what did not change is not touched, what cannot be built changes nothing.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import type { WorkerToController } from '../../src/model/messages.ts';
import { NO_SECRETS } from '../../src/model/secrets.ts';
import type { Snapshot } from '../../src/model/snapshot.ts';
import { encodeWhole } from '../../src/snapshot/encode.ts';
import { answering, eventually, type RawPeer, type RawServer, Stage } from '../support/data-plane.ts';
import {
  allToFirstPool,
  listenerConfig,
  NO_RETRY,
  type PoolShape,
  route,
  rule,
  snapshotOf,
} from '../support/snapshots.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const PATIENT = {
  connectMs: 1000,
  responseHeaderMs: 600_000,
  streamIdleMs: 600_000,
  tunnelIdleMs: 3_600_000,
  tunnelLifetimeMs: 0,
  totalMs: 0,
};
const EJECTION = { connectFailures: 1, gatewayErrors: 0, baseMs: 60_000, maxMs: 300_000, maxShare: 1 };

const named = (name: string): ((peer: RawPeer) => void) =>
  answering(`HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`);

describe('apply', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  async function request(peer: RawPeer): Promise<string> {
    peer.send(GET);
    await peer.until(() => /\r\n\r\n.+$/s.test(peer.received) || peer.closed);
    return peer.take().split('\r\n\r\n')[1] ?? '';
  }

  const said = (kind: WorkerToController['kind']): readonly WorkerToController[] =>
    stage.plane.said.filter((message) => message.kind === kind);

  /** The same with all targets on node n1. */
  const onNode = (snapshot: Snapshot): Snapshot => ({
    ...snapshot,
    hostSets: snapshot.hostSets.map(({ key, members }) => ({
      key,
      members: members.map((member) => ({
        ...member,
        host: { ...member.host, cluster: 'iad', node: 'n1' },
      })),
    })),
  });

  const flows = (node: string): number => {
    stage.plane.worker.onMessage(
      { kind: 'ask', id: 7, question: { kind: 'flows', cluster: 'iad', node } },
      null,
    );
    const answer = said('answer').at(-1);
    assert.ok(answer?.kind === 'answer' && answer.id === 7 && answer.answer.kind === 'flows');
    return answer.answer.flows;
  };

  /** Two pools, of which the first gets everything. */
  function twoPools(version: number, first: PoolShape, second: PoolShape): Snapshot {
    return snapshotOf({ version, pools: [first, second], routes: allToFirstPool(NO_RETRY) });
  }

  it('keeps the picker and the connections of a pool that did not change', async () => {
    const servers = [await stage.backend(named('a')), await stage.backend(named('b'))];
    const first = { targets: servers.map(({ at }) => at) };
    stage.plane.apply(twoPools(1, first, { targets: [] }));
    const peer = await stage.client();
    let before = await request(peer);
    for (let version = 2; version <= 12; version += 1) {
      stage.plane.apply(twoPools(version, first, { targets: [`127.0.0.1:${version}`] }));
      const now = await request(peer);
      assert.notEqual(now, before, 'round robin goes on where it was: a new picker would begin anywhere');
      before = now;
    }
    assert.deepEqual(
      servers.map(({ connections }) => connections),
      [1, 1],
    );
  });

  it('keeps the connections of targets that stay when their pool changes', async () => {
    const stays = await stage.backend(named('stays'));
    stage.plane.apply(snapshotOf({ pools: [{ targets: [stays.at] }] }));
    const peer = await stage.client();
    await request(peer);
    for (let version = 2; version <= 5; version += 1) {
      const draining = { at: `127.0.0.1:${version}`, state: 'draining' } as const;
      stage.plane.apply(snapshotOf({ version, pools: [{ targets: [stays.at, draining] }] }));
      assert.equal(await request(peer), 'stays');
    }
    assert.equal(stays.connections, 1);
  });

  for (const how of ['is removed', 'drains'] as const) {
    it(`closes what is idle on a target that ${how}, lets what is in flight end, and sends nothing new`, async () => {
      const held: RawPeer[] = [];
      const leaving = await stage.backend((upstream, index) => {
        held.push(upstream);
        if (index === 2) named('leaving')(upstream);
      });
      const other = await stage.backend(named('other'));
      stage.plane.apply(snapshotOf({ pools: [{ targets: [leaving.at], timeouts: PATIENT }] }));
      const slow = await stage.client();
      slow.send(GET);
      await eventually('the request in flight', () => held[0]?.received.endsWith('\r\n\r\n') === true);
      const quick = await stage.client();
      assert.equal(await request(quick), 'leaving');
      const [busy, idle] = held as [RawPeer, RawPeer];

      const targets =
        how === 'drains' ? [{ at: leaving.at, state: 'draining' } as const, other.at] : [other.at];
      stage.plane.apply(snapshotOf({ version: 2, pools: [{ targets, timeouts: PATIENT }] }));
      await idle.until(() => idle.ended || idle.closed);
      for (let round = 0; round < 4; round += 1) assert.equal(await request(quick), 'other');
      assert.equal(busy.ended, false);
      busy.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone');
      await slow.expect('done');
      await busy.until(() => busy.ended || busy.closed);
      assert.equal(leaving.connections, 2);
    });
  }

  it('repeats elsewhere a request whose target was lost with its machine, and cuts an answer that had begun', async () => {
    const lost = await stage.backend((upstream, index) => {
      if (index === 1) upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf');
    });
    const other = await stage.backend(named('other'));
    const pool = { timeouts: PATIENT };
    stage.plane.apply(snapshotOf({ pools: [{ ...pool, targets: [lost.at, other.at] }] }));
    // Round robin: two of four go to each.
    const clients: RawPeer[] = [];
    for (let index = 0; index < 4; index += 1) {
      const client = await stage.client();
      clients.push(client);
      client.send(GET);
      const answered = (): number => clients.filter(({ received }) => received.includes('other')).length;
      await eventually('the request', () => lost.connections + answered() === index + 1);
    }
    await eventually('half an answer', () => clients.some(({ received }) => received.includes('half')));
    const [begun] = clients.filter(({ received }) => received.includes('half'));
    assert.ok(begun !== undefined);
    stage.plane.apply(snapshotOf({ version: 2, pools: [{ ...pool, targets: [other.at], lost: [lost.at] }] }));
    for (const client of clients) if (client !== begun) await client.expect('other');
    await begun.until(() => begun.closed);
    assert.equal(begun.error?.code, 'ECONNRESET');
    assert.equal(stage.plane.metric('portico_retries_total{pool="pool-0",reason="target-lost"}'), 1);
  });

  it('uses a target again that comes back from draining', async () => {
    const server = await stage.backend(named('back'));
    const version = (number: number, state: 'active' | 'draining'): Snapshot =>
      snapshotOf({ version: number, pools: [{ targets: [{ at: server.at, state }] }] });
    stage.plane.apply(version(1, 'active'));
    const peer = await stage.client();
    await request(peer);
    stage.plane.apply(version(2, 'draining'));
    peer.send(GET);
    await peer.expect('No target is available');
    peer.take();
    stage.plane.apply(version(3, 'active'));
    for (let round = 0; round < 3; round += 1) assert.equal(await request(peer), 'back');
    assert.equal(server.connections, 2, 'connections are pooled as before');
  });

  it('makes a target anew that has left and returned while nobody asked for its pool', async () => {
    const held: RawPeer[] = [];
    const server = await stage.backend((peer) => void held.push(peer));
    const first = onNode(snapshotOf({ pools: [{ targets: [server.at], timeouts: PATIENT }] }));
    const [pool] = first.pools;
    const elsewhere = { ...pool!, groups: [{ ...pool!.groups[0]!, port: 1 }] };
    const second = { ...first, version: 2, pools: [elsewhere] };
    stage.plane.apply(first);
    const client = await stage.client();
    const exchange = async (connection: number): Promise<void> => {
      client.send(GET);
      await eventually('the connection', () => held.length > connection);
      await held[connection]!.expect('\r\n\r\n');
      assert.equal(flows('n1'), 1);
      held[connection]!.take();
      held[connection]!.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      await client.expect('ok');
      client.take();
      assert.equal(flows('n1'), 0);
    };
    await exchange(0);
    stage.plane.apply(second, NO_SECRETS, first);
    stage.plane.apply({ ...first, version: 3 }, NO_SECRETS, second);
    await exchange(1);
    await exchange(1);
    assert.equal(server.connections, 2, 'connections are pooled as before');
  });

  it('counts the flows of a node, those on targets that have left included', async () => {
    const held: RawPeer[] = [];
    const server = await stage.backend((upstream) => void held.push(upstream));
    const other = await stage.backend(named('other'));
    const git = listenerConfig({ name: 'git', host: '127.0.0.2', protocol: 'tcp', pool: 'pool-0' });
    const listeners = [listenerConfig(), git];
    const pool = { targets: [server.at], timeouts: PATIENT };
    stage.plane.apply(onNode(snapshotOf({ listeners, pools: [pool] })));
    assert.equal(flows('n1'), 0);
    const http = await stage.client();
    http.send(GET);
    const tcpSocket = net.connect({ host: '127.0.0.2', port: stage.plane.port('git') });
    await once(tcpSocket, 'connect');
    await eventually('two flows', () => flows('n1') === 2);
    assert.equal(flows('n2'), 0);

    stage.plane.apply(snapshotOf({ version: 2, listeners, pools: [{ targets: [other.at] }] }));
    assert.equal(flows('n1'), 2, 'the node is gone from the configuration, its flows are not');
    tcpSocket.resetAndDestroy();
    await eventually('one flow', () => flows('n1') === 1);
    const asked = (): RawPeer | undefined => held.find(({ received }) => received !== '');
    await eventually('the request', () => asked() !== undefined);
    asked()!.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone');
    await http.expect('done');
    await eventually('no flow', () => flows('n1') === 0);
  });

  it('keeps an ejection across snapshots, and does not send to the target meanwhile', async () => {
    const good = await stage.backend(named('good'));
    const bad = await stage.refusing();
    const pool = (weight: number): PoolShape => ({
      targets: [{ at: bad, weight }, good.at],
      ejection: EJECTION,
    });
    stage.plane.apply(snapshotOf({ pools: [pool(1)] }));
    const peer = await stage.client();
    for (let round = 0; round < 3; round += 1) assert.equal(await request(peer), 'good');
    assert.equal(stage.plane.metric('portico_ejections_total{pool="pool-0"}'), 1);
    const failures = stage.plane.metric('portico_upstream_connect_failures_total');
    assert.equal(failures, 1);

    for (let version = 2; version <= 4; version += 1) {
      stage.plane.apply(snapshotOf({ version, pools: [pool(version)] }));
      for (let round = 0; round < 4; round += 1) assert.equal(await request(peer), 'good');
    }
    assert.equal(stage.plane.metric('portico_upstream_connect_failures_total'), failures);
    assert.equal(stage.plane.metric('portico_ejected{pool="pool-0"}'), 1);
    await stage.plane.skip(61_000);
    const later = await stage.client();
    // The picker looks at its members now and then, not at each pick.
    let rounds = 0;
    while (stage.plane.metric('portico_upstream_connect_failures_total') === failures && rounds < 500) {
      assert.equal(await request(later), 'good');
      rounds += 1;
    }
    assert.ok(rounds < 500, 'it is tried again');
  });

  it('tells the controller once for each life of a target that a connect has proven it', async () => {
    const server = await stage.backend(named('a'));
    const pool = (state: 'active' | 'filling', health: 'healthy' | 'unknown'): PoolShape => ({
      targets: [{ at: server.at, state, health }],
      unknown: 'serve',
    });
    stage.plane.apply(snapshotOf({ pools: [pool('filling', 'unknown')] }));
    const peer = await stage.client();
    for (let round = 0; round < 3; round += 1) await request(peer);
    assert.deepEqual(said('proven'), [{ kind: 'proven', pool: 'pool-0', identity: server.at }]);
    stage.plane.apply(snapshotOf({ version: 2, pools: [pool('active', 'healthy')] }));
    await request(peer);
    assert.equal(said('proven').length, 1);
  });

  it('tells the controller nothing of connects to targets that are active', async () => {
    const [known, waits] = [await stage.backend(named('known')), await stage.backend(named('waits'))];
    const targets = [known.at, { at: waits.at, state: 'filling' as const, health: 'unknown' as const }];
    stage.plane.apply(snapshotOf({ pools: [{ targets, unknown: 'serve' }] }));
    const peer = await stage.client();
    const answers = new Set<string>();
    for (let round = 0; round < 4; round += 1) answers.add(await request(peer));
    assert.deepEqual([...answers].sort(), ['known', 'waits']);
    assert.deepEqual(said('proven'), [{ kind: 'proven', pool: 'pool-0', identity: waits.at }]);
  });

  // What cannot be built ---------------------------------------------------------------------------------------------

  const broken: readonly (readonly [string, (good: Snapshot) => Snapshot])[] = [
    ['names a set of hosts that is not there', (good) => ({ ...good, hostSets: [] })],
    [
      'has a regular expression that is none',
      (good) => ({
        ...good,
        routes: [
          route([
            rule(
              { kind: 'pools', pools: [{ pool: 0, weight: 1 }] },
              { matches: [{ path: { kind: 'regex', value: '(' }, method: null, headers: [], query: [] }] },
            ),
          ]),
        ],
      }),
    ],
    ['trusts what is no address', (good) => ({ ...good, trustedProxies: ['nonsense/99'] })],
  ];
  for (const [name, change] of broken) {
    it(`rejects a snapshot that ${name}, and the one before serves on`, async () => {
      const server: RawServer = await stage.backend(named('before'));
      const good = snapshotOf({ pools: [{ targets: [server.at] }] });
      stage.plane.apply(good);
      const peer = await stage.client();
      assert.equal(await request(peer), 'before');
      const { connections } = server;

      const snapshot = {
        ...change({ ...good, pools: good.pools.map((pool) => ({ ...pool, settings: 'new' })) }),
        version: 2,
      };
      stage.plane.worker.onMessage(
        { kind: 'snapshot', version: 2, text: encodeWhole(snapshot, NO_SECRETS), more: false },
        null,
      );
      const rejected = said('rejected');
      assert.equal(rejected.length, 1);
      assert.ok(rejected[0]!.kind === 'rejected' && rejected[0]!.version === 2 && rejected[0]!.error !== '');
      assert.deepEqual(said('applied'), [{ kind: 'applied', version: 1 }]);
      assert.equal(await request(peer), 'before');
      assert.equal(await request(await stage.client()), 'before');
      assert.equal(server.connections, connections, 'not even its connections are touched');
      assert.equal(stage.plane.metric('portico_snapshot_rejected_total'), 1);
      assert.equal(stage.plane.metric('portico_snapshot_version'), 1);

      stage.plane.apply({ ...good, version: 3 });
      assert.deepEqual(said('applied').at(-1), { kind: 'applied', version: 3 }, 'the next good one is taken');
      assert.equal(await request(peer), 'before');
    });
  }

  it('is followed by a worker that drains, for the connections that it still has', async () => {
    const before = await stage.backend(named('before'));
    const after = await stage.backend(named('after'));
    stage.plane.apply(snapshotOf({ pools: [{ targets: [before.at] }] }));
    const peer = await stage.client();
    assert.equal(await request(peer), 'before');
    stage.plane.worker.drain(60_000, 60_000);
    stage.plane.apply(snapshotOf({ version: 2, pools: [{ targets: [after.at] }] }));
    assert.deepEqual(said('applied').at(-1), { kind: 'applied', version: 2 });
    assert.equal(await request(peer), 'after');
  });

  it('rejects a text that is no snapshot', async () => {
    stage.plane.worker.onMessage({ kind: 'snapshot', version: 1, text: '{"kind":', more: false }, null);
    assert.equal(said('rejected').length, 1);
  });

  // Access log -------------------------------------------------------------------------------------------------------

  it('moves the access log with the snapshot, to another file and off', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'portico-log-'));
    const lines = async (file: string): Promise<number> =>
      (await readFile(path.join(directory, file), 'utf8').catch(() => '')).split('\n').length - 1;
    try {
      const server = await stage.backend(named('a'));
      const version = (number: number, file: string | null): Snapshot =>
        snapshotOf({
          version: number,
          pools: [{ targets: [server.at] }],
          accessLogPath: file === null ? 'off' : path.join(directory, file),
        });
      stage.plane.apply(version(1, 'first.log'));
      const peer = await stage.client();
      await request(peer);
      await request(peer);
      stage.plane.apply(version(2, 'second.log'));
      await request(peer);
      stage.plane.apply(version(3, null));
      await request(peer);
      stage.plane.apply(version(4, 'second.log'));
      await request(peer);
      const written = Promise.withResolvers<void>();
      const poll = setInterval(() => {
        void Promise.all([lines('first.log'), lines('second.log')]).then(([first, second]) => {
          if (first === 2 && second === 2) written.resolve();
        });
      }, 20);
      await written.promise;
      clearInterval(poll);
      assert.equal(stage.plane.metric('portico_access_log_lines_lost_total'), 0);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
