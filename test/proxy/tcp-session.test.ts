// tcp listeners from both ends of the wire: bytes, ends, resets, fail-over, limits and which target a client gets.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type net from 'node:net';
import { after, afterEach, describe, it } from 'node:test';
import type { Snapshot } from '../../src/model/snapshot.ts';
import type { WireSocket } from '../../src/proxy/wire/wire.ts';
import { BlackHole } from '../support/black-hole.ts';
import {
  bytesReadBy,
  eventually,
  type RawPeer,
  Stage,
  sendUntilHeld,
  socketsOf,
  standsStill,
} from '../support/data-plane.ts';
import {
  type ListenerShape,
  listenerConfig,
  type PoolShape,
  ROUND_ROBIN,
  snapshotOf,
} from '../support/snapshots.ts';

const HOUR_MS = 3_600_000;
/** Less than the worker takes before it stops reading. */
const STEP = 128 * 1024;

/** Until the kernel asks the other end whether it is there; NaN while another timer of the socket runs (proc(5)). */
function keepAliveSeconds(socket: WireSocket): number {
  const port = socket.localPort!.toString(16).toUpperCase().padStart(4, '0');
  const row = new RegExp(`:${port} [\\dA-F]+:[\\dA-F]{4} 01 \\S+ 02:([\\dA-F]{8})`).exec(
    readFileSync('/proc/self/net/tcp', 'latin1'),
  );
  return row === null ? Number.NaN : Number.parseInt(row[1]!, 16) / 100;
}

describe('tcp session', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  function snapshot(pool: PoolShape, listener: ListenerShape = {}, version = 1): Snapshot {
    return snapshotOf({
      version,
      listeners: [
        listenerConfig({
          name: 'git',
          protocol: 'tcp',
          pool: 'pool-0',
          timeouts: { headerMs: 10_000, idleMs: HOUR_MS },
          ...listener,
        }),
      ],
      pools: [pool],
      routes: [],
    });
  }

  function result(name: string): number {
    return stage.plane.metric(`portico_tcp_connections_total{listener="git",result="${name}"}`);
  }

  /** Sends until nothing more is taken, because the target reads nothing. */
  async function filled(client: RawPeer, upstream: RawPeer): Promise<void> {
    upstream.socket.pause();
    const own = Object.values(await ownSockets());
    client.socket.write(Buffer.alloc(24 * 1024 * 1024));
    await eventually('a client that is not read', () => own.some((socket) => socket.isPaused()));
    await standsStill('what is read', () => own.reduce((sum, socket) => sum + bytesReadBy(socket), 0));
  }

  /** One target; resolves with both ends of one connection through the worker. */
  async function pair(pool: Partial<PoolShape> = {}): Promise<{ client: RawPeer; upstream: RawPeer }> {
    const accepted = Promise.withResolvers<RawPeer>();
    const server = await stage.backend((peer) => accepted.resolve(peer));
    stage.plane.apply(snapshot({ targets: [server.at], ...pool }));
    const client = await stage.client('git');
    return { client, upstream: await accepted.promise };
  }

  /** The worker's own two sockets of the connection. */
  async function ownSockets(): Promise<{ readonly down: WireSocket; readonly up: WireSocket }> {
    const { port } = stage.servers[0]!.server.address() as net.AddressInfo;
    const find = (): readonly WireSocket[] => [
      ...socketsOf((socket) => socket.localPort === stage.plane.port('git')),
      ...socketsOf((socket) => socket.remotePort === port),
    ];
    await eventually('both sockets', () => find().length === 2);
    const [down, up] = find();
    return { down: down!, up: up! };
  }

  /**
   * Both sides have ended and the worker holds the last bytes, because the client has not read for long; resolves
   * with the number of bytes that the target has sent.
   */
  async function heldLastBytes(client: RawPeer, upstream: RawPeer): Promise<number> {
    client.socket.pause();
    client.socket.end();
    await upstream.until(() => upstream.ended);
    const { down, up } = await ownSockets();
    const size = await sendUntilHeld(upstream, up, down, pattern(STEP, 1));
    upstream.socket.end();
    await eventually('the end', () => result('complete') === 1);
    assert.ok(down.writableLength > 0);
    return size;
  }

  /** A client that gets nothing: the code of its error, which may come before its connect has been told. */
  async function turnedAway(): Promise<string | undefined> {
    try {
      const client = await stage.client('git');
      await client.until(() => client.closed);
      return client.error?.code;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  }

  it('passes bytes both ways as they come', async () => {
    const { client, upstream } = await pair();
    upstream.send('SSH-2.0-server\r\n');
    await client.expect('SSH-2.0-server\r\n');
    client.send('SSH-2.0-client\r\n');
    await upstream.expect('SSH-2.0-client\r\n');
    assert.equal(stage.plane.metric('portico_connections_active'), 1);
  });

  it('lets the client end its side and still get everything that the target sends', async () => {
    const { client, upstream } = await pair();
    client.send('request');
    client.socket.end();
    await upstream.until(() => upstream.ended);
    assert.equal(upstream.received, 'request');
    upstream.send('a long ');
    await client.expect('a long ');
    upstream.send('answer');
    upstream.socket.end();
    await client.until(() => client.closed);
    assert.equal(client.received, 'a long answer');
    assert.equal(client.error, null);
    await eventually('the count', () => result('complete') === 1);
    assert.equal(stage.plane.metric('portico_connections_active'), 0);
  });

  it('lets the target end its side and still take everything that the client sends', async () => {
    const { client, upstream } = await pair();
    upstream.send('bye');
    upstream.socket.end();
    await client.until(() => client.ended);
    assert.equal(client.received, 'bye');
    client.send('but ');
    await upstream.expect('but ');
    client.send('listen');
    client.socket.end();
    await upstream.until(() => upstream.closed);
    assert.equal(upstream.received, 'but listen');
    await eventually('the count', () => result('complete') === 1);
  });

  it('resets the target when the client resets', async () => {
    const { client, upstream } = await pair();
    client.send('x');
    await upstream.expect('x');
    client.socket.resetAndDestroy();
    await upstream.until(() => upstream.closed);
    assert.equal(upstream.error?.code, 'ECONNRESET');
    assert.equal(result('client-aborted'), 1);
  });

  it('resets the client when the target resets', async () => {
    const { client, upstream } = await pair();
    upstream.send('x');
    await client.expect('x');
    upstream.socket.resetAndDestroy();
    await client.until(() => client.closed);
    assert.equal(client.error?.code, 'ECONNRESET');
    assert.equal(result('upstream-reset'), 1);
    assert.equal(stage.plane.metric('portico_failures_total{listener="git",reason="upstream-reset"}'), 1);
  });

  it('carries bulk both ways at once unharmed, and holds little of it while the readers stand still', async () => {
    const size = 24 * 1024 * 1024;
    const { client, upstream } = await pair();
    const sides = [client.socket, upstream.socket];
    const digests = sides.map(() => createHash('sha256'));
    let received = 0;
    for (const [index, socket] of sides.entries()) {
      socket.removeAllListeners('data');
      socket.pause();
      socket.on('data', (chunk) => {
        digests[index]!.update(chunk);
        received += chunk.length;
      });
      socket.pause();
    }
    const bulk = [pattern(size, 1), pattern(size, 2)] as const;
    client.socket.end(bulk[0]);
    upstream.socket.end(bulk[1]);

    const own = Object.values(await ownSockets());
    await eventually('both directions to stand still', () => own.every((socket) => socket.isPaused()));
    for (const socket of own) assert.ok(socket.writableLength <= 512 * 1024, `${socket.writableLength} held`);

    for (const socket of sides) socket.resume();
    await eventually('all bytes', () => received === 2 * size, 30_000);
    const expected = bulk.map((bytes) => createHash('sha256').update(bytes).digest('hex'));
    assert.deepEqual(
      digests.map((digest) => digest.digest('hex')),
      [expected[1], expected[0]],
    );
    await eventually('the count', () => result('complete') === 1);
    assert.equal(stage.plane.metric('portico_bytes_received_total'), size);
    assert.equal(stage.plane.metric('portico_bytes_sent_total'), size);
  });

  it('gives a slow client the last bytes of a target that has closed, however long it takes', async () => {
    const { client, upstream } = await pair();
    const size = await heldLastBytes(client, upstream);
    for (let seconds = 0; seconds < 10; seconds += 1) await stage.plane.skip(1000);
    assert.equal(stage.plane.metric('portico_connections_active'), 1, 'it counts as open until it has left');
    client.socket.resume();
    await client.until(() => client.closed, 20_000);
    assert.equal(client.error, null);
    assert.equal(client.received.length, size);
    await eventually('the end', () => stage.plane.metric('portico_connections_active') === 0);
  });

  it('gives up on a client that takes nothing of the last bytes for a minute', async () => {
    const { client, upstream } = await pair();
    await heldLastBytes(client, upstream);
    for (let seconds = 0; seconds < 70; seconds += 10) await stage.plane.skip(10_000);
    await eventually('the end', () => stage.plane.metric('portico_connections_active') === 0);
    client.socket.resume();
    await client.until(() => client.closed);
    assert.equal(client.error?.code, 'ECONNRESET', 'it can tell that something is missing');
  });

  /** It stays for two minutes, and is gone within 40 s of its reset. */
  async function waitsUntilReset(client: Awaited<ReturnType<typeof pair>>['client']): Promise<void> {
    for (let seconds = 0; seconds < 120; seconds += 10) await stage.plane.skip(10_000);
    assert.equal(stage.plane.metric('portico_connections_active'), 1, 'it waits');
    client.socket.resetAndDestroy();
    await eventually('the reset', () => client.closed);
    for (let seconds = 0; seconds < 40; seconds += 10) await stage.plane.skip(10_000);
    assert.equal(result('client-aborted'), 1);
    assert.equal(stage.plane.metric('portico_connections_active'), 0);
  }

  it('lets go of a client that was reset while its target takes nothing, and of no other', async () => {
    const { client, upstream } = await pair();
    await filled(client, upstream);
    await waitsUntilReset(client);
    upstream.socket.resume();
    await upstream.until(() => upstream.closed);
    assert.equal(upstream.error?.code, 'ECONNRESET');
  });

  it('lets go of a client that was reset after its end, while its target is silent', async () => {
    const { client, upstream } = await pair();
    client.send('x');
    client.socket.end();
    await upstream.until(() => upstream.ended);
    await waitsUntilReset(client);
  });

  // The target's machine ---------------------------------------------------------------------------------------------

  it('resets both sides at once when the machine of the target is lost', async () => {
    const { client, upstream } = await pair();
    upstream.send('x');
    await client.expect('x');
    stage.plane.apply(snapshot({ targets: [], lost: [stage.servers[0]!.at] }, {}, 2));
    await client.until(() => client.closed);
    assert.equal(client.error?.code, 'ECONNRESET');
    await upstream.until(() => upstream.closed);
    assert.equal(upstream.error?.code, 'ECONNRESET');
    assert.equal(result('target-lost'), 1);
    assert.equal(stage.plane.metric('portico_failures_total{listener="git",reason="target-lost"}'), 1);
  });

  it('resets what is open to a target that left earlier, when its machine is found to be lost', async () => {
    const { client, upstream } = await pair();
    stage.plane.apply(snapshot({ targets: [] }, {}, 2));
    client.send('still');
    await upstream.expect('still');
    stage.plane.apply(snapshot({ targets: [], lost: [stage.servers[0]!.at] }, {}, 3));
    await client.until(() => client.closed);
    assert.equal(result('target-lost'), 1);
  });

  for (const [what, member] of [
    ['drains', { state: 'draining' }],
    ['fails its probe', { health: 'unhealthy' }],
    ['has become a last resort', { lastResort: true }],
  ] as const) {
    it(`lets the flows of a target that ${what} go on, and asks every second whether it is there`, async () => {
      const { client, upstream } = await pair();
      client.send('x');
      await upstream.expect('x');
      const { up } = await ownSockets();
      const { at } = stage.servers[0]!;
      // A connection for one message is not told at all.
      await stage.plane.skip(5100);
      await eventually('the usual keep-alive', () => keepAliveSeconds(up) > 20);
      stage.plane.apply(snapshot({ targets: [{ at, ...member }] }, {}, 2));
      await eventually('closer questions', () => keepAliveSeconds(up) <= 1);
      client.send('y');
      await upstream.expect('xy');
      stage.plane.apply(snapshot({ targets: [at] }, {}, 3));
      await eventually('the usual keep-alive again', () => keepAliveSeconds(up) > 20);
    });
  }

  // Connecting -------------------------------------------------------------------------------------------------------

  it('fails over to the next target when one refuses, and counts it', async () => {
    const good = await stage.backend((peer) => peer.send('good'));
    const refusing = [await stage.refusing(), await stage.refusing(), await stage.refusing()];
    stage.plane.apply(snapshot({ targets: [...refusing, good.at] }));
    for (let round = 0; round < 4; round += 1) {
      const client = await stage.client('git');
      await client.expect('good');
    }
    // How many is chance: round robin begins anywhere, and targets that have refused are tried last for a while.
    const retries = stage.plane.metric('portico_retries_total{pool="pool-0",reason="connect-refused"}');
    assert.ok(retries >= 1);
    assert.equal(stage.plane.metric('portico_upstream_connect_failures_total'), retries);
  });

  it('fails over from a target that never answers, with what the client has said meanwhile', async () => {
    const hole = await BlackHole.open();
    try {
      const seen: RawPeer[] = [];
      const good = await stage.backend((peer) => {
        seen.push(peer);
      });
      const early = pattern(200_000, 7).toString('latin1');
      stage.plane.apply(
        snapshot({
          targets: [hole.at, good.at],
          // The row of a hash policy begins with the same target for everyone; round robin begins with each in turn.
          timeouts: {
            connectMs: 200,
            responseHeaderMs: 1000,
            streamIdleMs: 1000,
            tunnelIdleMs: 3_600_000,
            tunnelLifetimeMs: 0,
            totalMs: 0,
          },
        }),
      );
      for (let round = 0; round < 2; round += 1) {
        const client = await stage.client('git');
        client.send(early);
        client.socket.end();
        await eventually('the other target', () => seen[round]?.ended === true);
        assert.ok(seen[round]!.received === early, 'every early byte, in order, and the end after them');
        seen[round]!.socket.end('done');
        await client.expect('done');
      }
      assert.ok(stage.plane.metric('portico_retries_total{pool="pool-0",reason="connect-slow"}') >= 1);
    } finally {
      await hole.close();
    }
  });

  it('resets the client when every target refuses or there is none, and forgets the connection', async () => {
    const limits = { ...listenerConfig().limits, connections: 3 };
    stage.plane.apply(snapshot({ targets: [] }, { limits }));
    for (let round = 0; round < 8; round += 1) {
      assert.equal(await turnedAway(), 'ECONNRESET');
    }
    assert.equal(result('no-target'), 8, 'more than the limit of open connections: none is left behind');
    stage.plane.apply(snapshot({ targets: [await stage.refusing()] }, { limits }, 2));
    for (let round = 0; round < 8; round += 1) {
      await turnedAway();
    }
    assert.equal(result('connect-refused'), 8);
    const good = await stage.backend((peer) => peer.send('good'));
    stage.plane.apply(snapshot({ targets: [good.at] }, { limits }, 3));
    const client = await stage.client('git');
    await client.expect('good');
    assert.equal(stage.plane.metric('portico_connections_active'), 1);
  });

  it('drops the attempt when the client leaves before its target is there', async () => {
    const hole = await BlackHole.open();
    try {
      stage.plane.apply(snapshot({ targets: [hole.at] }));
      const client = await stage.client('git');
      client.send('hello');
      client.socket.resetAndDestroy();
      await eventually('the count', () => result('client-aborted') === 1);
      assert.equal(stage.plane.metric('portico_connections_active'), 0);
      assert.equal(stage.plane.metric('portico_upstream_connections'), 0);
    } finally {
      await hole.close();
    }
  });

  it('keeps to the bound of open connections to one target', async () => {
    const first = await stage.backend((peer) => peer.send('first'));
    const second = await stage.backend((peer) => peer.send('second'));
    stage.plane.apply(
      snapshot({
        targets: [first.at, second.at],
        connections: { perTarget: 2 },
      }),
    );
    for (let round = 0; round < 4; round += 1) {
      const client = await stage.client('git');
      await client.until(() => client.received !== '');
    }
    assert.deepEqual([first.connections, second.connections], [2, 2]);
    assert.equal(await turnedAway(), 'ECONNRESET');
    assert.equal(result('connection-limit'), 1);
  });

  // Time ---------------------------------------------------------------------------------------------------------------

  it('ends a connection on which nothing has moved for the idle limit, and no sooner', async () => {
    const { client, upstream } = await pair();
    for (let half = 0; half < 4; half += 1) {
      await stage.plane.skip(HOUR_MS / 2);
      // One byte in one direction is enough.
      if (half % 2 === 0) client.send('.');
      else upstream.send('.');
      await eventually('the byte', () => client.received.length + upstream.received.length === half + 1);
    }
    await stage.plane.skip(HOUR_MS + 1000);
    await client.until(() => client.ended || client.closed);
    await upstream.until(() => upstream.ended || upstream.closed);
    assert.equal(result('stream-idle'), 1);
  });

  // Which target -------------------------------------------------------------------------------------------------------

  it('sends each client address to its own target every time, and moves only those of a target that goes', async () => {
    const names = ['one', 'two', 'three', 'four'];
    const servers = await Promise.all(names.map((name) => stage.backend((peer) => peer.send(name))));
    const policy = {
      ...ROUND_ROBIN,
      name: 'rendezvous',
      key: { kind: 'source-ip', prefix4: 32, prefix6: 128 },
    } as const;
    stage.plane.apply(snapshot({ targets: servers.map(({ at }) => at), policy }));
    const addresses = Array.from({ length: 24 }, (_, index) => `127.0.${index}.${index + 1}`);
    const targetOf = async (address: string): Promise<string> => {
      const client = await stage.client('git', address);
      await client.until(() => names.includes(client.received));
      client.destroy();
      return client.received;
    };
    const before = new Map<string, string>();
    for (const address of addresses) before.set(address, await targetOf(address));
    assert.ok(new Set(before.values()).size >= 3, 'clients spread');
    for (const address of addresses) assert.equal(await targetOf(address), before.get(address));

    stage.plane.apply(snapshot({ targets: servers.slice(1).map(({ at }) => at), policy }, {}, 2));
    for (const address of addresses) {
      const now = await targetOf(address);
      if (before.get(address) === 'one') assert.notEqual(now, 'one');
      else assert.equal(now, before.get(address), 'the others stay');
    }
  });

  it('lets a tunnel live through snapshots that remove its target, and sends new clients elsewhere', async () => {
    const { client, upstream } = await pair();
    const other = await stage.backend((peer) => peer.send('other'));
    stage.plane.apply(snapshot({ targets: [other.at] }, {}, 2));
    const fresh = await stage.client('git');
    await fresh.expect('other');
    client.send('still');
    await upstream.expect('still');
    upstream.send('here');
    await client.expect('here');
  });
});

function pattern(size: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  let state = seed;
  for (let index = 0; index < size; index += 1) {
    state = (state * 1_103_515_245 + 12_345) & 0x7fffffff;
    bytes[index] = state >> 16;
  }
  return bytes;
}
