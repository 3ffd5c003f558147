// Which connections to doubted targets are cut, and which are left alone, by what the kernel's table of sockets says.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { DoubtWatch } from '../../../src/proxy/upstream/doubt-watch.ts';
import type { Target } from '../../../src/proxy/upstream/target.ts';

/** A socket 127.0.0.1:1000 -> 127.0.0.1:80 with bytes queued, sent again `again` times. */
const table = (queued: number, again: number): string =>
  `  0: 0100007F:03E8 0100007F:0050 01 ${hex(queued, 8)}:00000000 01:00000014 ${hex(again, 8)}     0        0 1\n`;
const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, '0');

class World {
  lost = 0;
  reads = 0;
  text = '';
  readonly target = {
    doubted: true,
    connections: new Set([
      {
        connected: true,
        wire: { socket: { localPort: 1000, remoteAddress: '127.0.0.1', remotePort: 80 } },
        lose: () => {
          this.lost += 1;
        },
      },
    ]),
  };
  readonly watch = new DoubtWatch(
    () => [this.target as unknown as Target],
    async (family) => {
      this.reads += 1;
      return family === 'ipv4' ? this.text : '';
    },
  );

  async look(times: number): Promise<void> {
    for (let count = 0; count < times; count += 1) await this.watch.look();
  }
}

it('cuts a connection whose bytes were sent again at five looks in a row', async () => {
  const world = new World();
  world.text = table(41, 3);
  await world.look(4);
  assert.equal(world.lost, 0);
  await world.look(1);
  assert.equal(world.lost, 1);
});

it('begins anew when the other side was heard in between', async () => {
  const world = new World();
  world.text = table(41, 3);
  await world.look(4);
  world.text = table(0, 0);
  await world.look(1);
  world.text = table(41, 3);
  await world.look(4);
  assert.equal(world.lost, 0);
});

it('leaves alone what is silent, and what the other side does not read', async () => {
  const world = new World();
  world.text = table(0, 0);
  await world.look(9);
  world.text = table(65_536, 0);
  await world.look(9);
  assert.equal(world.lost, 0);
});

it('reads nothing while nobody is doubted', async () => {
  const world = new World();
  world.target.doubted = false;
  world.text = table(41, 3);
  await world.look(9);
  assert.deepEqual([world.reads, world.lost], [0, 0]);
});

it('does not fail where there is no such table', async () => {
  const world = new World();
  const blind = new DoubtWatch(
    () => [world.target as unknown as Target],
    () => Promise.reject(new Error('ENOENT')),
  );
  await blind.look();
  assert.equal(world.lost, 0);
});
