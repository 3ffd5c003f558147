// Who hears that the path of a connection is dead, by what the kernel's table of sockets says.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { SilenceWatch, type WatchedStream } from '../../../src/proxy/upstream/silence.ts';
import { SocketTable } from '../../../src/proxy/upstream/socket-table.ts';
import { type SocketRow, socketTable } from '../../support/socket-rows.ts';

const ENDS = {
  localAddress: '10.240.0.1',
  localPort: 40_000,
  remoteAddress: '10.240.0.12',
  remotePort: 30_080,
};
const KEY = '0100F00A:9C40 0C00F00A:7580';

class World {
  nowMs = 1000;
  reads = 0;
  row: SocketRow | null = { ends: KEY, queuedBytes: 78, retransmits: 1 };
  readonly told: [WatchedStream, sentAtMs: number][] = [];
  readonly user = {
    onUpstreamSilent: (stream: WatchedStream, sentAtMs: number): void =>
      void this.told.push([stream, sentAtMs]),
  };
  readonly stream = { socket: ENDS } as unknown as WatchedStream;
  readonly watch = new SilenceWatch(
    () => this.nowMs,
    new SocketTable(
      () => this.nowMs,
      async () => {
        this.reads += 1;
        if (this.row === null) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
        return socketTable(this.row);
      },
    ),
  );

  async ask(sentAtMs: number): Promise<void> {
    this.watch.ask(this.stream, this.user, sentAtMs);
    await setImmediate();
  }
}

describe('looking for dead paths', () => {
  it('tells the user of a dead one, and asks the kernel once for all that wait', async () => {
    const world = new World();
    world.watch.ask(world.stream, world.user, 600);
    await world.ask(600);
    assert.equal(world.reads, 1);
    assert.deepEqual(world.told, [[world.stream, 600]]);
  });
  it('does not call a path dead whose bytes are on their first way, until that takes long', async () => {
    const world = new World();
    world.row = { ends: KEY, queuedBytes: 78 };
    await world.ask(600);
    assert.deepEqual(world.told, []);
    world.nowMs = 1500;
    await world.ask(600);
    assert.equal(world.told.length, 1);
  });
  it('looks at most every 200 ms', async () => {
    const world = new World();
    await world.ask(600);
    world.nowMs += 199;
    await world.ask(600);
    assert.equal(world.reads, 1);
    world.nowMs += 1;
    await world.ask(600);
    assert.equal(world.reads, 2);
  });
  it('looks at the connection that the stream had when it was asked for, not at the one that it is lent to since', async () => {
    const elsewhere = { ...ENDS, localPort: 40_001 };
    const world = new World();
    const asked = world.ask(600);
    Object.assign(world.stream, { socket: elsewhere });
    await asked;
    assert.deepEqual(world.told, [[world.stream, 600]], 'its user knows whether that still concerns it');
    const other = new World();
    Object.assign(other.stream, { socket: elsewhere });
    const askedToo = other.ask(600);
    Object.assign(other.stream, { socket: ENDS });
    await askedToo;
    assert.deepEqual(other.told, []);
  });
  it('keeps quiet for good where there is no table', async () => {
    const world = new World();
    world.row = null;
    await world.ask(600);
    world.nowMs = 10_000;
    await world.ask(600);
    assert.equal(world.reads, 1);
    assert.deepEqual(world.told, []);
  });
});
