// When what was written leaves: at the end of a pass, or sooner where much or long has been gathered.

import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { Turn } from '../../../src/proxy/wire/turn.ts';

describe('a turn', () => {
  let nowMs = 0;
  let deferred: (() => void)[] = [];
  let flushed: string[] = [];
  let turn = new Turn({ clock: () => nowMs, defer: (task) => void deferred.push(task) });

  beforeEach(() => {
    nowMs = 100;
    deferred = [];
    flushed = [];
    turn = new Turn({ clock: () => nowMs, defer: (task) => void deferred.push(task) });
  });

  /** One event, in which these are written to. */
  function event(...names: readonly string[]): void {
    turn.enter();
    for (const name of names) assert.ok(turn.dirty({ flush: () => void flushed.push(name) }));
    turn.leave();
  }

  function endPass(): void {
    for (const task of deferred.splice(0)) task();
  }

  it('flushes what several events have written when the pass is over, in the order in which it was written', () => {
    event('a', 'b');
    event();
    event('c');
    assert.deepEqual(flushed, []);
    assert.equal(deferred.length, 1);
    endPass();
    assert.deepEqual(flushed, ['a', 'b', 'c']);
    event('d');
    endPass();
    assert.deepEqual(flushed, ['a', 'b', 'c', 'd']);
  });

  it('flushes at the end of the outermost of nested entries, not before', () => {
    turn.enter();
    event('a');
    turn.hurry();
    assert.deepEqual(flushed, []);
    turn.leave();
    assert.deepEqual(flushed, ['a']);
  });

  it('flushes with the event that brings something large, and gathers again after it', () => {
    event('a');
    turn.enter();
    turn.dirty({ flush: () => void flushed.push('large') });
    turn.hurry();
    turn.leave();
    assert.deepEqual(flushed, ['a', 'large']);
    event('b');
    assert.deepEqual(flushed, ['a', 'large']);
    endPass();
    assert.deepEqual(flushed, ['a', 'large', 'b']);
  });

  it('flushes with the next event when the first has waited for a millisecond', () => {
    event('a');
    nowMs += 0.9;
    event('b');
    assert.deepEqual(flushed, []);
    nowMs += 0.1;
    event('c');
    assert.deepEqual(flushed, ['a', 'b', 'c']);
    nowMs += 0.9;
    event('d');
    assert.deepEqual(flushed, ['a', 'b', 'c']);
  });

  it('flushes what a flush writes to', () => {
    turn.enter();
    turn.dirty({
      flush: () => {
        flushed.push('session');
        turn.dirty({ flush: () => void flushed.push('wire') });
      },
    });
    turn.leave();
    endPass();
    assert.deepEqual(flushed, ['session', 'wire']);
  });

  it('has nothing to gather outside of an entry: whoever writes then flushes at once', () => {
    assert.equal(turn.dirty({ flush: () => {} }), false);
    assert.equal(deferred.length, 0);
  });

  it('reads the clock once for an event, and each time outside of one', () => {
    turn.enter();
    nowMs = 200;
    assert.equal(turn.now(), 100);
    turn.leave();
    assert.equal(turn.now(), 200);
  });
});
