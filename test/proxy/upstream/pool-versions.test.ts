// Versions of a pool that others have taken the place of: who still names one goes on, and nothing of it stays in memory.

import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import { queryObjects } from 'node:v8';
import { PriorityGroup } from '../../../src/balance/priority-group.ts';
import type { HostSetMember, Snapshot } from '../../../src/model/snapshot.ts';
import type { HealthState } from '../../../src/model/targets.ts';
import { answering, eventually, type RawPeer, RawServer, Stage } from '../../support/data-plane.ts';
import { allToFirstPool, RETRY, snapshotOf } from '../../support/snapshots.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n';

describe('versions of a pool', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  const version = (number: number, ...targets: string[]): Snapshot =>
    snapshotOf({
      version: number,
      pools: [{ targets: targets.map((at) => ({ at, weight: number })) }],
      routes: allToFirstPool(RETRY),
    });

  it('are not held by idle clients, idle connections and tunnels that began with them', async () => {
    const versions = 12;
    for (let number = 1; number <= versions; number += 1) {
      const server = await stage.backend(number % 2 === 0 ? answering(OK) : answering(SWITCHED));
      stage.plane.apply(version(number, server.at, await stage.refusing()));
      const client = await stage.client();
      client.send(
        number % 2 === 0 ? GET : GET.replace('\r\n\r\n', '\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
      );
      await client.expect('\r\n\r\n');
    }
    assert.ok(stage.clients.every(({ closed }) => !closed));
    // That of the last version, which was used last.
    assert.equal(queryObjects(PriorityGroup, { format: 'count' }), 1);
  });

  it('a request that began with one is retried at the targets of the one in force', async () => {
    const asked: RawPeer[] = [];
    const first = await stage.backend((peer) => void asked.push(peer));
    const second = await stage.backend(answering(OK));
    stage.plane.apply(version(1, first.at));
    const client = await stage.client();
    client.send(GET);
    await eventually('the connection', () => asked.length === 1);
    await asked[0]!.expect('\r\n\r\n');
    asked[0]!.take();
    asked[0]!.send(OK);
    await client.expect('ok');
    client.take();
    client.send(GET);
    await asked[0]!.expect('\r\n\r\n');
    stage.plane.apply(version(2, second.at));
    asked[0]!.socket.resetAndDestroy();
    await client.expect('\r\n\r\n');
    assert.match(client.received, /^HTTP\/1\.1 200 /);
    assert.equal(second.connections, 1);
  });

  for (const state of ['idle', 'in use'] as const)
    it(`do not go on with a connection that was ${state} when the bounds of connections changed`, async () => {
      const asked: RawPeer[] = [];
      const server = await stage.backend((peer) => void asked.push(peer));
      const bounded = (number: number, requests: number): Snapshot =>
        snapshotOf({
          version: number,
          pools: [{ targets: [server.at], connections: { requests } }],
          routes: allToFirstPool(RETRY),
        });
      stage.plane.apply(bounded(1, 0));
      const client = await stage.client();
      const ask = async (connection: number): Promise<void> => {
        client.send(GET);
        await eventually('the connection', () => asked.length > connection);
        await asked[connection]!.expect('\r\n\r\n');
        asked[connection]!.take();
      };
      const answer = async (connection: number): Promise<void> => {
        asked[connection]!.send(OK);
        await client.expect('ok');
        client.take();
      };
      await ask(0);
      if (state === 'idle') await answer(0);
      stage.plane.apply(bounded(2, 1000));
      if (state === 'in use') await answer(0);
      for (let round = 0; round < 2; round += 1) {
        await ask(1);
        await answer(1);
      }
      await asked[0]!.until(() => asked[0]!.ended || asked[0]!.closed);
      assert.equal(server.connections, 2);
    });

  it('go on with one picker where targets changed and none came or left: turns go on, but not to one that fell ill', async () => {
    const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
    const namedBySelf = (peer: RawPeer): void =>
      answering(`HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n${peer.socket.localAddress}`)(peer);
    let port = 0;
    for (const host of hosts) {
      const server = await new RawServer(namedBySelf).listen(host, port);
      stage.servers.push(server);
      ({ port } = server.server.address() as AddressInfo);
    }
    const base = snapshotOf({ pools: [{ targets: [`${hosts[0]}:${port}`] }], routes: allToFirstPool(RETRY) });
    const withLast = (number: number, health: HealthState): Snapshot => {
      const members = hosts.map(
        (address): HostSetMember => ({
          host: { address, cluster: 'iad', node: address },
          weight: 1,
          state: 'active',
          health: address === hosts[2] ? health : 'healthy',
          lastResort: false,
        }),
      );
      return { ...base, version: number, hostSets: [{ key: `${health} ${number}`, members }] };
    };
    stage.plane.apply(withLast(1, 'unhealthy'));
    const client = await stage.client();
    const served: string[] = [];
    for (let number = 2; number <= 31; number += 1) {
      client.send(GET);
      await client.expect('127.0.0.');
      await client.until(() => /127\.0\.0\.\d/.test(client.received));
      served.push(client.take().slice(-9));
      stage.plane.apply(withLast(number, number % 3 === 0 ? 'healthy' : 'unhealthy'));
    }
    const turns = served.filter((host) => host !== hosts[2]);
    assert.ok(
      turns.every((host, turn) => turn === 0 || host !== turns[turn - 1]),
      served.join(' '),
    );
    for (const [turn, host] of served.entries()) if (host === hosts[2]) assert.equal((turn + 1) % 3, 0);
    assert.ok(turns.length < served.length);
  });
});
