// Which reflectors a set keeps, starts and closes, and what it says of all of them.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Reflector } from '../../../src/control/discovery/reflector-options.ts';
import { ReflectorSet } from '../../../src/control/discovery/reflector-set.ts';
import type { ServiceFact } from '../../../src/model/inventory.ts';
import { serviceFact } from '../targets/facts.ts';

interface Stand {
  namespace: string | null;
  synced: boolean;
  settled: boolean;
  known: ServiceFact[];
  closed: boolean;
}

/** A set of reflectors that do nothing, and those that it has started, in order. */
function newSet() {
  const started: Stand[] = [];
  const set = new ReflectorSet<string | null, ServiceFact>((namespace, known) => {
    const stand: Stand = { namespace, synced: false, settled: false, known: [...known], closed: false };
    started.push(stand);
    return {
      namespace,
      get synced() {
        return stand.synced;
      },
      get settled() {
        return stand.settled;
      },
      facts: () => stand.known,
      close: async () => {
        stand.closed = true;
      },
    } as Partial<Reflector<ServiceFact>> as Reflector<ServiceFact>;
  });
  return { set, started };
}

describe('a set of reflectors', () => {
  it('keeps those of the keys that stay, and closes those of the others', async () => {
    const { set, started } = newSet();
    assert.equal(set.follow(['a', 'b', 'a']), true);
    assert.equal(set.follow(['b', 'a']), false);
    assert.equal(set.follow(['b', 'c']), true);
    assert.equal(set.follow(['b']), true);
    assert.deepEqual(
      started.map(({ namespace, closed }) => [namespace, closed]),
      [
        ['a', true],
        ['b', false],
        ['c', true],
      ],
    );
    await set.close();
    assert.ok(started.every(({ closed }) => closed));
  });

  it('hands what is known on to those that it starts', () => {
    const { set, started } = newSet();
    const [web, dns] = [serviceFact('web'), serviceFact('dns')];
    set.follow(['a'], [web]);
    started[0]!.known.push(dns);
    set.follow([null]);
    assert.deepEqual(started[1]!.known, [web, dns]);
  });

  it('gives the same list again while nothing has changed', () => {
    const { set, started } = newSet();
    set.follow(['a', 'b']);
    started[1]!.known = [serviceFact('web')];
    const list = set.list();
    assert.equal(set.list(), list);
    started[0]!.known = [serviceFact('dns')];
    assert.deepEqual(
      set.list().map(({ name }) => name),
      ['dns', 'web'],
    );
  });

  it('is complete when all are settled and one has been listed, or there is none', () => {
    const { set, started } = newSet();
    assert.equal(set.complete, true);
    set.follow(['a', 'b']);
    started[0]!.settled = true;
    started[1]!.settled = true;
    assert.equal(set.complete, false);
    started[1]!.synced = true;
    assert.equal(set.complete, true);
    started[0]!.settled = false;
    assert.equal(set.complete, false);
  });

  it('names the namespaces of which nothing is known', () => {
    const { set, started } = newSet();
    set.follow(['listed', 'seeded', 'refused', null], []);
    started[0]!.synced = true;
    started[1]!.known = [serviceFact('web')];
    started[2]!.settled = true;
    assert.deepEqual(set.unread(), ['refused']);
  });
});
