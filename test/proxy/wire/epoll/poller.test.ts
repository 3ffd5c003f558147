// What a poller tells, and when, over a stand-in for the system.

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Poller } from '../../../../src/proxy/wire/epoll/poller.ts';
import { EPOLLET, EPOLLIN, EPOLLOUT, type Sockets } from '../../../../src/proxy/wire/epoll/sockets.ts';

interface WatchedFd {
  readonly slot: number;
  readonly generation: number;
  interest: number;
}

/** The system: what becomes ready is what a test says. */
class System {
  readonly fds = new Map<number, WatchedFd>();
  readonly held: number[] = [];
  /** Of each later look of the same turn. */
  readonly later: number[][] = [];
  status = 0;
  waits = 0;
  #events: Int32Array = new Int32Array(0);
  #onReady: (count: number) => void = () => {};

  readonly sockets = {
    start: (events: Int32Array, onReady: (count: number) => void): number => {
      this.#events = events;
      this.#onReady = onReady;
      return this.status;
    },
    wait: (): number => {
      this.waits += 1;
      return this.#write((this.later.shift() ?? []).map((fd) => this.event(fd)));
    },
    hold: (on: 0 | 1): void => void this.held.push(on),
    watch: (fd: number, slot: number, generation: number, interest: number): number => {
      if (this.status < 0) return this.status;
      this.fds.set(fd, { slot, generation, interest });
      return 0;
    },
    change: (fd: number, slot: number, generation: number, interest: number): number => {
      const watched = this.fds.get(fd)!;
      assert.deepEqual([slot, generation], [watched.slot, watched.generation]);
      watched.interest = interest;
      return 0;
    },
  } as unknown as Sockets;

  event(fd: number): readonly number[] {
    const { slot, generation } = this.fds.get(fd)!;
    return [slot, generation, EPOLLIN];
  }

  /** One callback of the event loop. */
  ready(...events: readonly (readonly number[])[]): void {
    this.#onReady(this.#write(events));
  }

  #write(events: readonly (readonly number[])[]): number {
    this.#events.set(events.flat());
    return events.length;
  }
}

describe('a poller', () => {
  let system = new System();
  let poller = new Poller(system.sockets);
  let told: string[] = [];

  afterEach(() => {
    system = new System();
    poller = new Poller(system.sockets);
    told = [];
  });

  /** Watched under a number, tells with its name. */
  function watch(fd: number, name: string, more: () => void = () => {}): number {
    return poller.watch(fd, {
      onReady: () => {
        told.push(name);
        more();
      },
    });
  }

  it('begins once, and says where it cannot', () => {
    system.status = -114;
    assert.throws(() => new Poller(system.sockets), /status -114/);
  });

  it('tells nobody of what came for another that had the slot before, in the same pass', () => {
    let second = -1;
    const first = watch(7, 'first', () => {
      poller.forget(gone);
      second = watch(8, 'second');
    });
    const gone = watch(8, 'gone');
    const stale = system.event(8);
    system.ready(system.event(7), stale);
    assert.notEqual(first, second);
    assert.equal(second, gone, 'a slot is used again');
    assert.deepEqual(told, ['first']);
    system.ready(stale);
    assert.deepEqual(told, ['first'], 'nor in a later one');
    system.ready(system.event(8));
    assert.deepEqual(told, ['first', 'second']);
  });

  it('tells nobody of what came for one that is forgotten', () => {
    const slot = watch(7, 'one');
    const stale = system.event(7);
    poller.forget(slot);
    system.ready(stale);
    assert.deepEqual(told, []);
    assert.deepEqual(poller.watched, []);
  });

  it('leaves a slot free that could not be watched', () => {
    system.status = -28;
    assert.equal(watch(7, 'one'), -28);
    system.status = 0;
    assert.equal(watch(7, 'one'), 0);
    assert.equal(watch(8, 'two'), 1);
    poller.forget(0);
    system.status = -28;
    assert.equal(watch(9, 'three'), -28);
    system.status = 0;
    assert.equal(watch(9, 'three'), 0);
    assert.equal(poller.watched.length, 2);
  });

  it('holds the event loop for as long as anything is watched', () => {
    const one = watch(7, 'one');
    const two = watch(8, 'two');
    poller.forget(one);
    assert.deepEqual(system.held, [1]);
    poller.forget(two);
    assert.deepEqual(system.held, [1, 0]);
    watch(9, 'three');
    assert.deepEqual(system.held, [1, 0, 1]);
  });

  it('asks for connections of a listening socket until they are accepted, and for all else once', () => {
    poller.watchListening(7, { onReady: () => {} });
    const connecting = poller.watchConnecting(8, { onReady: () => {} });
    const slot = poller.watch(9, { onReady: () => {} });
    assert.equal(system.fds.get(7)!.interest & (EPOLLET | EPOLLOUT), 0);
    assert.notEqual(system.fds.get(8)!.interest & EPOLLET, 0);
    assert.notEqual(system.fds.get(8)!.interest & EPOLLOUT, 0);
    assert.equal(system.fds.get(9)!.interest & EPOLLOUT, 0);
    poller.awaitRoom(9, slot);
    assert.equal(system.fds.get(9)!.interest, system.fds.get(8)!.interest);
    assert.notEqual(connecting, slot);
  });

  it('runs what has ended, then what was deferred, after all that is ready and before it looks again', () => {
    watch(7, 'one', () => {
      poller.defer(() => told.push('deferred'));
      poller.soon(() => {
        told.push('ended');
        poller.soon(() => told.push('ended by that'));
      });
    });
    watch(8, 'two');
    watch(9, 'of the next look');
    system.later.push([9]);
    system.ready(system.event(7), system.event(8));
    assert.deepEqual(told, ['one', 'two', 'ended', 'ended by that', 'deferred', 'of the next look']);
  });

  it('runs both for those that ask from elsewhere', async () => {
    poller.soon(() => told.push('ended'));
    poller.defer(() => told.push('deferred'));
    assert.deepEqual(told, []);
    await Promise.resolve();
    assert.deepEqual(told, ['ended']);
    await turn();
    assert.deepEqual(told, ['ended', 'deferred']);
  });

  it('leaves the event loop its turn after 64 events', () => {
    watch(7, 'one');
    for (let looks = 0; looks < 100; looks += 1) system.later.push([7]);
    system.ready(system.event(7));
    assert.equal(told.length, 64);
    const all = Array.from({ length: 512 }, () => system.event(7));
    system.ready(...all);
    assert.equal(told.length, 64 + 512, 'and after those that came at once');
    assert.equal(system.waits, 63);
  });

  it('runs a task that defers itself once a turn, in a turn with events and in one without', async () => {
    let runs = 0;
    let on = true;
    const again = (): void => {
      runs += 1;
      if (on) poller.defer(again);
    };
    watch(7, 'one');
    poller.defer(again);
    for (let turns = 0; turns < 20; turns += 1) {
      await turn();
      system.ready(system.event(7));
    }
    const before = runs;
    await turn();
    await turn();
    await turn();
    on = false;
    assert.ok(runs - before <= 4, `ran ${runs - before} times in three turns of the event loop`);
  });

  it('looks for nothing more while a task waits for its next turn', () => {
    const again = (): void => poller.defer(() => told.push('deferred'));
    watch(7, 'one', () => poller.defer(again));
    watch(8, 'two');
    system.later.push([8]);
    system.ready(system.event(7));
    assert.deepEqual(told, ['one'], 'timers and TLS have their turn first');
  });
});
