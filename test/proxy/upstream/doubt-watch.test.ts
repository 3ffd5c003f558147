// Which connections to doubted targets are cut, and which are left alone, by what the kernel's table of sockets says.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { DoubtWatch } from '../../../src/proxy/upstream/doubt-watch.ts';
import { SocketTable } from '../../../src/proxy/upstream/socket-table.ts';
import type { Target } from '../../../src/proxy/upstream/target.ts';
import { socketTable } from '../../support/socket-rows.ts';

class World {
  nowMs = 0;
  lost = 0;
  reads = 0;
  /** Of 127.0.0.1:1000 -> 127.0.0.1:80; null where there is no table. */
  row: { readonly queuedBytes: number; readonly retransmits: number } | null = UNHEARD;
  readonly target = {
    doubted: true,
    connections: new Set([
      {
        connected: true,
        wire: {
          socket: {
            localAddress: '127.0.0.1',
            localPort: 1000,
            remoteAddress: '127.0.0.1',
            remotePort: 80,
          },
        },
        lose: () => {
          this.lost += 1;
        },
      },
    ]),
  };
  readonly watch = new DoubtWatch(
    () => this.nowMs,
    () => [this.target as unknown as Target],
    new SocketTable(
      () => this.nowMs,
      async () => {
        this.reads += 1;
        if (this.row === null) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
        return socketTable({ ends: '0100007F:03E8 0100007F:0050', ...this.row });
      },
    ),
  );

  async look(times: number, everyMs = 1000): Promise<void> {
    for (let count = 0; count < times; count += 1) {
      await this.watch.look();
      this.nowMs += everyMs;
    }
  }
}

const UNHEARD = { queuedBytes: 41, retransmits: 3 };

it('cuts a connection whose bytes were sent again at five looks in a row', async () => {
  const world = new World();
  await world.look(4);
  assert.equal(world.lost, 0);
  await world.look(1);
  assert.equal(world.lost, 1);
});

it('needs no more time where looks come seldom, but three of them', async () => {
  const world = new World();
  await world.look(2, 2000);
  assert.equal(world.lost, 0);
  await world.look(1, 2000);
  assert.equal(world.lost, 1);
  const slow = new World();
  await slow.look(2, 60_000);
  assert.equal(slow.lost, 0);
});

it('begins anew when the other side was heard in between', async () => {
  const world = new World();
  await world.look(4);
  world.row = { queuedBytes: 0, retransmits: 0 };
  await world.look(1);
  world.row = UNHEARD;
  await world.look(4);
  assert.equal(world.lost, 0);
});

it('leaves alone what is silent, and what the other side does not read', async () => {
  const world = new World();
  world.row = { queuedBytes: 0, retransmits: 0 };
  await world.look(9);
  world.row = { queuedBytes: 65_536, retransmits: 0 };
  await world.look(9);
  assert.equal(world.lost, 0);
});

it('reads nothing while nobody is doubted', async () => {
  const world = new World();
  world.target.doubted = false;
  await world.look(9);
  assert.deepEqual([world.reads, world.lost], [0, 0]);
});

it('does not fail where there is no such table', async () => {
  const world = new World();
  world.row = null;
  await world.look(3);
  assert.deepEqual([world.reads, world.lost], [1, 0]);
});
