// The table of open streams beside a Map, whatever is added and deleted in whatever order.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OpenStreams } from '../../src/http2/open-streams.ts';
import { fc } from '../support/properties.ts';

describe('open streams', () => {
  it('are those that a Map would have, after any run of additions and deletions', () => {
    // Few different ids, and such that share a slot, so that runs grow together and are taken apart again.
    const id = fc.oneof(
      fc.integer({ min: 0, max: 40 }).map((number) => number * 2 + 1),
      fc.integer({ min: 0, max: 8 }).map((number) => number * 32 + 1),
      fc.integer({ min: 0, max: 3 }).map((number) => 0x7fff_ffff - number * 2),
    );
    const step = fc.record({ adds: fc.boolean(), id });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const open = new OpenStreams<{ readonly id: number }>();
        const model = new Map<number, { readonly id: number }>();
        for (const { adds, id } of steps) {
          if (!adds) assert.equal(open.delete(id), model.delete(id));
          else if (!model.has(id)) {
            const stream = { id };
            model.set(id, stream);
            open.add(stream);
          }
          assert.equal(open.size, model.size);
          for (const { id } of steps) assert.equal(open.get(id), model.get(id));
        }
        assert.deepEqual([...open].map((one) => one.id).sort(), [...model.keys()].sort());
      }),
    );
  });

  it('can be visited while those that are visited, and others, leave', () => {
    const open = new OpenStreams<{ readonly id: number }>();
    for (let id = 1; id < 60; id += 2) open.add({ id });
    const visited: number[] = [];
    for (const { id } of open) {
      visited.push(id);
      open.delete(id);
      open.delete(id + 4);
    }
    assert.equal(open.size, 0);
    for (const id of visited) assert.ok(!visited.includes(id + 4), `${id + 4} had left`);
  });
});
