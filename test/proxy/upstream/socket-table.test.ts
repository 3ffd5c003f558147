// How often the kernel's table of sockets is read, for whom, and what becomes of the turns of others meanwhile.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { SocketEnds } from '../../../src/proxy/upstream/socket-rows.ts';
import { isUnheard, SocketTable } from '../../../src/proxy/upstream/socket-table.ts';
import { type SocketRow, socketTable } from '../../support/socket-rows.ts';

const KEY = '0100007F:03E8 0100007F:0050';
const ENDS: SocketEnds = {
  localAddress: '127.0.0.1',
  localPort: 1000,
  remoteAddress: '127.0.0.1',
  remotePort: 80,
};

const ROW: SocketRow = { ends: KEY, queuedBytes: 3, retransmits: 1 };
/** A table that may well take 100 ms. */
const MANY = [ROW, ...Array.from({ length: 9_999 }, () => ({ ends: KEY.replace('03E8', '03E9') }))];

/** A machine whose table takes a while to read, and whose clock moves only by that and by rests. */
class Machine {
  nowMs = 0;
  readMs = 100;
  rows: readonly SocketRow[] = [ROW];
  error: NodeJS.ErrnoException | null = null;
  readonly reads: string[] = [];
  readonly rests: number[] = [];
  readonly table = this.tableOf(262_144);

  /** One that has just looked as often as it may at once. */
  static async exhausted(): Promise<Machine> {
    const machine = new Machine();
    machine.rows = MANY;
    while (machine.rests.length < 2) await machine.table.look(() => [ENDS]);
    machine.rests.length = 0;
    return machine;
  }

  tableOf(sliceBytes: number): SocketTable {
    return new SocketTable(
      () => this.nowMs,
      async (family) => {
        this.reads.push(`${family} at ${this.nowMs}`);
        if (this.error !== null) throw this.error;
        await setImmediate();
        this.nowMs += this.readMs;
        return socketTable(...this.rows);
      },
      async (ms) => {
        this.rests.push(Math.round(ms));
        await setImmediate();
        this.nowMs += ms;
      },
      sliceBytes,
    );
  }
}

describe('looking sockets up', () => {
  it('reads once for all who ask meanwhile, and each family only for those who need it', async () => {
    const machine = new Machine();
    const other = { ...ENDS };
    const first = machine.table.look(() => [ENDS]);
    const second = machine.table.look(() => [other]);
    assert.deepEqual([...(await first).keys()], [ENDS, other]);
    assert.equal(await second, await first);
    assert.deepEqual(machine.reads, ['ipv4 at 0']);
    await machine.table.look(() => [{ ...ENDS, localAddress: '::1', remoteAddress: '::1' }]);
    assert.equal(machine.reads[1]?.slice(0, 4), 'ipv6');
    await machine.table.look(() => []);
    assert.equal(machine.reads.length, 2);
  });
  it('asks for the sockets just before it reads, however long it has to wait for its turn', async () => {
    const machine = new Machine();
    await machine.table.look(() => [ENDS]);
    let askedAtMs = 0;
    const look = machine.table.look(() => {
      askedAtMs = machine.nowMs;
      return [ENDS];
    });
    assert.equal(askedAtMs, 0);
    await look;
    assert.equal(machine.reads[1], `ipv4 at ${askedAtMs}`);
  });
  it('looks again and again when there is something to look for after a quiet time', async () => {
    const machine = new Machine();
    machine.rows = MANY;
    for (let incidents = 0; incidents < 3; incidents += 1) {
      for (let looks = 0; looks < 10; looks += 1) await machine.table.look(() => [ENDS]);
      assert.deepEqual(machine.rests, []);
      machine.nowMs += 60_000;
    }
  });
  it('takes at most a twentieth of the time in the long run', async () => {
    const machine = await Machine.exhausted();
    const startedAtMs = machine.nowMs;
    for (let looks = 0; looks < 10; looks += 1) await machine.table.look(() => [ENDS]);
    assert.deepEqual(machine.rests, Array<number>(10).fill(1900));
    assert.equal(machine.nowMs - startedAtMs, 10 * 2000);
  });
  it('asked by two it does not read more often than by one', async () => {
    const machine = new Machine();
    const asks = async (): Promise<void> => {
      for (let looks = 0; looks < 10; looks += 1) await machine.table.look(() => [ENDS]);
    };
    await Promise.all([asks(), asks()]);
    assert.equal(machine.reads.length, 10);
  });
  it('does not go blind for a minute after one look that a busy machine made long', async () => {
    const machine = await Machine.exhausted();
    await machine.table.look(() => [ENDS]);
    machine.readMs = 3000;
    await machine.table.look(() => [ENDS]);
    machine.readMs = 100;
    for (let looks = 0; looks < 3; looks += 1) await machine.table.look(() => [ENDS]);
    assert.deepEqual(machine.rests, [1900, 1900, 900, 1900]);
  });
  it('nor for longer than the work that its table makes, where every look takes long', async () => {
    const machine = await Machine.exhausted();
    machine.readMs = 1000;
    for (let looks = 0; looks < 4; looks += 1) await machine.table.look(() => [ENDS]);
    const longestMs = Math.max(...machine.rests);
    assert.ok(longestMs <= 2000, `rests for ${longestMs} ms`);
    machine.rows = [ROW];
    machine.rests.length = 0;
    for (let looks = 0; looks < 4; looks += 1) await machine.table.look(() => [ENDS]);
    assert.deepEqual(machine.rests.slice(1), [], 'a few rows have cost less than the look has taken');
  });
  it('lets other events have their turn between slices of a long table', async () => {
    const machine = new Machine();
    machine.rows = [...MANY.slice(1, 101), { ends: KEY }];
    let isOver = false;
    const look = machine
      .tableOf(1500)
      .look(() => [ENDS])
      .finally(() => {
        isOver = true;
      });
    let turns = 0;
    for (; !isOver; turns += 1) await setImmediate();
    assert.equal((await look).size, 1);
    assert.ok(turns >= 10, `${turns} turns while ten slices were looked at`);
  });
  it('knows nothing where there is no table, and asks no more', async () => {
    const machine = new Machine();
    machine.error = Object.assign(new Error('no such file'), { code: 'ENOENT' });
    assert.equal((await machine.table.look(() => [ENDS])).size, 0);
    assert.equal(machine.table.usable, false);
    assert.equal((await machine.table.look(() => [ENDS])).size, 0);
    assert.equal(machine.reads.length, 1);
  });
  it('asks again after it had no descriptor to read with', async () => {
    const machine = new Machine();
    machine.error = Object.assign(new Error('too many open files'), { code: 'EMFILE' });
    assert.equal((await machine.table.look(() => [ENDS])).size, 0);
    machine.error = null;
    assert.equal((await machine.table.look(() => [ENDS])).size, 1);
  });
});

describe('what an unheard socket is', () => {
  const state = { queuedBytes: 78, retransmits: 0, awaitsAcknowledgement: true };
  it('has bytes that were sent again and are still not acknowledged', () => {
    assert.equal(isUnheard({ ...state, retransmits: 1 }), true);
    assert.equal(isUnheard({ ...state, retransmits: 1, queuedBytes: 0 }), false);
    assert.equal(isUnheard(state), false);
    assert.equal(isUnheard(undefined), false);
  });
  it('after long silence need not have sent again, but must not be one whose other side reads nothing', () => {
    assert.equal(isUnheard(state, true), true);
    assert.equal(isUnheard({ ...state, awaitsAcknowledgement: false }, true), false);
    assert.equal(isUnheard({ ...state, queuedBytes: 0 }, true), false);
  });
});
