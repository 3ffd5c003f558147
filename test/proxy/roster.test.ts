// A set whose members know their places, beside a Set, and while it is visited.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Placed, Roster } from '../../src/proxy/roster.ts';
import { fc } from '../support/properties.ts';

describe('a roster', () => {
  it('has the members that a Set would have, after any run of additions and deletions', () => {
    const step = fc.record({ adds: fc.boolean(), who: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const all = Array.from({ length: 10 }, (): Placed => ({ place: -1 }));
        const roster = new Roster<Placed>();
        const model = new Set<Placed>();
        for (const { adds, who } of steps) {
          const one = all[who]!;
          if (adds) {
            roster.add(one);
            model.add(one);
          } else assert.equal(roster.delete(one), model.delete(one));
          assert.equal(roster.size, model.size);
        }
        assert.deepEqual(new Set(roster), model);
        for (const one of all) assert.equal(one.place !== -1, model.has(one));
      }),
    );
  });

  it('visits everyone who stays, though others leave and come meanwhile', () => {
    const roster = new Roster<Placed & { readonly stays: boolean }>();
    const all = Array.from({ length: 20 }, (_, index) => ({ place: -1, stays: index % 3 !== 0 }));
    for (const one of all) roster.add(one);
    const visited = new Set<object>();
    for (const one of roster) {
      visited.add(one);
      if (!one.stays) roster.delete(one);
      const other = all.find(({ stays, place }) => !stays && place !== -1);
      if (other !== undefined) roster.delete(other);
      roster.add({ place: -1, stays: true });
    }
    for (const one of all) if (one.stays) assert.ok(visited.has(one));
  });
});
