// Portico before real sshds, each on a machine of its own: whom they see, what they log, and what lives or ends.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runProgram } from '../cluster/clients.ts';
import { EDGE_ADDRESS } from '../cluster/netns/network.ts';
import { RawPeer } from '../support/data-plane.ts';
import { findProgram } from '../support/peers.ts';
import { LIMIT_MS, until } from '../support/until.ts';
import { SshWorld } from './world.ts';

/** How long the silent clone is silent: longer than the 30 s after which the kernel asks whether the other is there. */
const SILENCE_MS = Number(process.env['PORTICO_SILENCE_SECONDS'] ?? 40) * 1000;
const KEEP_ALIVE_MS = 30_000;

describe('sshd behind Portico', () => {
  let world: SshWorld;

  before(async () => {
    world = await SshWorld.start();
  });
  afterEach(() => world.clear());
  after(() => world.close());

  const probes = (): Promise<number> =>
    world.portico.metric('portico_healthcheck_total', { kind: 'ssh', result: 'ok' });

  it("sees the client's address through go-mmproxy, by PROXY headers of both versions", async () => {
    const machine = await world.sshd(['LogLevel VERBOSE']);
    const mmproxy = await machine.startMmproxy();
    const pool = (name: string) => ({ name, sources: [{ static: [mmproxy] }], proxyProtocol: name });
    const listener = (name: string) => ({ name, bind: '0.0.0.0:0', protocol: 'tcp', pool: name });
    await world.serve(
      {},
      { listeners: [listener('v1'), listener('v2')], pools: [pool('v1'), pool('v2')] },
      'v1',
    );
    for (const client of [world.alice, world.bob]) {
      for (const version of ['v1', 'v2']) {
        const at = world.at(version);
        assert.match(
          await client.greet(at),
          new RegExp(`^Hi ${client.address}! You are at 127\\.0\\.0\\.1;`),
        );
        assert.equal(await client.clone(at, 'project.git'), world.fixture.head);
      }
    }
    const log = await machine.log();
    for (const { address } of [world.alice, world.bob]) {
      assert.equal(log.match(new RegExp(`^Connection from ${address} port `, 'gm'))?.length, 4);
      assert.equal(log.match(new RegExp(`^Accepted publickey for root from ${address} `, 'gm'))?.length, 4);
    }
    assert.doesNotMatch(log, new RegExp(`\\b${EDGE_ADDRESS}\\b`), 'and nothing of Portico');
    assert.doesNotMatch(await machine.mmproxyLog(), /failed|error/i);
  });

  it('sees Portico where no PROXY header is sent', async () => {
    const machine = await world.sshd();
    const at = await world.serve({ sources: [{ static: [machine.at] }] });
    const where = `^Hi ${EDGE_ADDRESS.replaceAll('.', '\\.')}! You are at ${machine.place.address}`;
    assert.match(await world.alice.greet(at), new RegExp(where));
  });

  it('probes through go-mmproxy are of the machine itself: LOCAL names nobody', async () => {
    const machine = await world.sshd(['LogLevel VERBOSE']);
    const mmproxy = await machine.startMmproxy();
    const health = { ssh: {}, interval: '200ms' };
    await world.serve({ sources: [{ static: [mmproxy] }], proxyProtocol: 'v2', health });
    await until('three probes', async () => (await probes()) >= 3);
    assert.doesNotMatch(
      await machine.log(),
      /error|invalid|bad |did not receive|kex_exchange|banner exchange/i,
    );
  });

  it('logs no complaint of a probe: nothing at ERROR, a line at INFO, two at VERBOSE', async () => {
    const levels = [
      { lines: 0, machine: await world.sshd(['LogLevel ERROR']) },
      { lines: 1, machine: await world.sshd(['LogLevel INFO']) },
      { lines: 2, machine: await world.sshd(['LogLevel VERBOSE']) },
    ];
    const at = levels.map(({ machine }) => machine.at);
    // A probe that is given up is a connection that ends early, which is another line.
    await world.serve({ sources: [{ static: at }], health: { ssh: {}, interval: '200ms', timeout: '5s' } });
    const rounds = async (): Promise<number> => (await probes()) / levels.length;
    await until('six probes of each', async () => (await rounds()) >= 6);
    const shape = new RegExp(
      `^Connection (from ${EDGE_ADDRESS} port \\d+ on \\S+ port 22 rdomain ""|closed by ${EDGE_ADDRESS} port \\d+ \\[preauth\\])\\s*$`,
    );
    for (const { lines, machine } of levels) {
      // The last of them may not have reached the log yet.
      const said = await until('their lines', async () => {
        const log = (await machine.log()).split('\n').filter((line) => !/listening|^$/.test(line));
        return log.length >= 5 * lines ? log : undefined;
      });
      assert.deepEqual(
        said.filter((line) => !shape.test(line)),
        [],
      );
      assert.ok(said.length <= ((await rounds()) + 2) * lines, `${said.length} lines`);
    }
  });

  it('drops nobody of a burst that startsPerSecond spaces, and most of one that comes at once', async () => {
    const BURST = 24;
    const MAX_STARTUPS = 4;
    const settings = ['LogLevel VERBOSE', `MaxStartups ${MAX_STARTUPS}`];
    const open = await world.sshd(settings);
    const behind = await world.sshd(settings);
    const throttled = (log: string): number => log.match(/past MaxStartups/g)?.length ?? 0;
    const raw = await Promise.all(
      Array.from({ length: BURST }, () => RawPeer.connect(22, EDGE_ADDRESS, open.place.address)),
    );
    await Promise.all(raw.map((peer) => peer.until(() => peer.received !== '' || peer.closed, LIMIT_MS)));
    for (const peer of raw) peer.destroy();
    assert.equal(raw.filter(({ received }) => received.startsWith('SSH-')).length, MAX_STARTUPS);
    assert.equal(throttled(await open.log()), BURST - MAX_STARTUPS);

    // Each of two workers: two a second in all, so that each has two seconds to log in.
    const connections = { startsPerSecond: 1, startWait: '60s' };
    const at = await world.serve({ sources: [{ static: [behind.at] }], connections, health: { ssh: {} } });
    await Promise.all(Array.from({ length: BURST }, () => world.alice.greet(at)));
    assert.equal(throttled(await behind.log()), 0);
  });

  it('git clone lives through a silence longer than every time-out of requests, and is asked for by keep-alive', async () => {
    const machine = await world.sshd();
    const short = { header: '1s', idle: '1s', rateGrace: '1s' };
    const at = await world.serve(
      { sources: [{ static: [machine.at] }], health: { ssh: {} } },
      {
        defaults: {
          listenerTimeouts: short,
          timeouts: { responseHeader: '1s', streamIdle: '1s', tunnelIdle: '1s' },
        },
      },
    );
    const mark = path.join(world.fixture.directory, 'silent');
    const cloned = world.alice.clone(at, 'stalled.git');
    // Ends the wait below when the clone fails before its silence.
    const failed = cloned.then(
      () => null,
      (error: unknown) => error,
    );
    await until('the silence', () => existsSync(mark));
    const early = await Promise.race([failed, sleep(SILENCE_MS, 'silent')]);
    assert.equal(early, 'silent');
    if (SILENCE_MS > KEEP_ALIVE_MS) {
      for (const socket of await idleSockets()) {
        // Heard of by answers to keep-alive alone.
        assert.ok(socket.lastReceivedMs > KEEP_ALIVE_MS && socket.lastSentMs > KEEP_ALIVE_MS, socket.line);
        assert.ok(socket.lastAcknowledgedMs < socket.lastReceivedMs, socket.line);
      }
    }
    await rm(mark);
    assert.equal(await cloned, world.fixture.head);
  });

  /** Portico's two sockets of the one connection that there is, and when the kernel last saw anything of each. */
  async function idleSockets(): Promise<
    readonly { line: string; lastSentMs: number; lastReceivedMs: number; lastAcknowledgedMs: number }[]
  > {
    const filter = ['state', 'established', 'not', 'src', '127.0.0.0/8'];
    const { stdout } = await runProgram(findProgram('ss')!, ['-tnoiHO', ...filter]);
    const sockets = stdout
      .split('\n')
      .filter((line) => line.includes('timer:(keepalive'))
      .map((line) => {
        const ms = (what: string): number => Number(new RegExp(`${what}:(\\d+)`).exec(line)?.[1]);
        return {
          line,
          lastSentMs: ms('lastsnd'),
          lastReceivedMs: ms('lastrcv'),
          lastAcknowledgedMs: ms('lastack'),
        };
      });
    assert.equal(sockets.length, 2, stdout);
    return sockets;
  }
});
