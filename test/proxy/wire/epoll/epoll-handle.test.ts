// What a handle asks of the system, over a stand-in for it: states that real sockets come into by chance only.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EpollHandle } from '../../../../src/proxy/wire/epoll/epoll-handle.ts';
import { Poller } from '../../../../src/proxy/wire/epoll/poller.ts';
import { EPOLLIN, EPOLLPRI, type Sockets } from '../../../../src/proxy/wire/epoll/sockets.ts';

const EAGAIN = -11;
const EPIPE = -32;

/** A connection that has `pieces` to read, each at most one read. */
function reading(pieces: string[]): { handle: EpollHandle; interest: () => number; text: () => string } {
  const state = new Int32Array(1);
  const buffer = Buffer.alloc(64);
  let interest = 0;
  let text = '';
  const sockets = {
    start: () => 0,
    hold: () => {},
    watch: (_fd: number, _slot: number, _generation: number, asked: number): number => {
      interest = asked;
      return 0;
    },
    receive: () => {
      const piece = pieces.shift();
      return piece === undefined ? EAGAIN : buffer.latin1Write(piece);
    },
  } as unknown as Sockets;
  const handle = new EpollHandle(new Poller(sockets), state, 7);
  handle.useUserBuffer(buffer);
  handle.onread = (): void => {
    text += buffer.latin1Slice(0, state[0]!);
  };
  handle.readStart();
  return { handle, interest: () => interest, text: () => text };
}

describe('a handle over the system', () => {
  it('takes a read that leaves room for the last of what there is', () => {
    const pieces = ['first', 'of the next event'];
    const { handle, text } = reading(pieces);
    handle.onReady(EPOLLIN);
    assert.equal(text(), 'first');
  });

  it('reads on behind an urgent byte, at which a read ends (tcp(7))', () => {
    const { handle, interest, text } = reading(['before', 'behind']);
    assert.notEqual(interest() & EPOLLPRI, 0);
    handle.onReady(EPOLLIN | EPOLLPRI);
    assert.equal(text(), 'beforebehind');
  });

  it('lets the kernel take what it has room for, and keeps nothing', () => {
    const results = [5, EAGAIN, EPIPE, EAGAIN];
    const asked: number[][] = [];
    const sockets = {
      start: () => 0,
      hold: () => {},
      watch: () => 0,
      change: () => 0,
      sendBytes: (fd: number, _bytes: Uint8Array, start: number, end: number): number => {
        asked.push([fd, start, end]);
        return results.shift()!;
      },
    } as unknown as Sockets;
    const handle = new EpollHandle(new Poller(sockets), new Int32Array(1), 7);
    const bytes = Buffer.from('0123456789');
    assert.deepEqual(
      [1, 2, 3].map(() => handle.writeNow(bytes, 2, 9)),
      [5, 0, 0],
    );
    assert.deepEqual([handle.writeQueueSize, handle.bytesWritten], [0, 5]);
    // It waits for room, and what comes behind it may not go before.
    assert.equal(typeof handle.writeBuffer(null, bytes), 'object');
    assert.equal(handle.writeNow(bytes, 0, 10), 0);
    assert.deepEqual(asked, [
      [7, 2, 9],
      [7, 2, 9],
      [7, 2, 9],
      [7, 0, 10],
    ]);
  });
});
