// What the set remembers of objects that a list left out.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ObjectSet } from '../../../src/control/discovery/object-set.ts';
import type { NodeFact } from '../../../src/model/inventory.ts';
import { nodeFact } from '../targets/facts.ts';

const facts = (...names: string[]) => names.map((name) => nodeFact(name));
const byName = (...names: string[]) => new Map(facts(...names).map((fact) => [fact.name, fact]));
const names = (set: ObjectSet<NodeFact>): string[] => set.unlisted().map(({ name }) => name);

test('an object that a list leaves out is unlisted, one that an event ends is not', () => {
  const set = new ObjectSet(facts('a', 'b', 'c'));
  set.remove('a');
  set.replace(byName('b'), 0);
  assert.deepEqual(names(set), ['c']);
});

test('a list that has it again, and an event that brings it again, end that', () => {
  const set = new ObjectSet(facts('a', 'b', 'c'));
  set.replace(byName('c'), 0);
  set.replace(byName('a', 'c'), 1);
  assert.deepEqual(names(set), ['b']);
  set.put('b', nodeFact('b'));
  assert.deepEqual(names(set), []);
});

test('the late word of its deletion is a change', () => {
  const set = new ObjectSet(facts('a', 'b'));
  set.replace(byName('a'), 0);
  assert.equal(set.remove('b'), true);
  assert.deepEqual(names(set), []);
  assert.equal(set.remove('b'), false);
});

test('it is forgotten after a quarter of an hour', () => {
  const set = new ObjectSet(facts('a', 'b'));
  set.replace(byName('a'), 0);
  set.replace(byName('a'), 899_999);
  assert.deepEqual(names(set), ['b']);
  set.replace(byName('a'), 900_000);
  assert.deepEqual(names(set), []);
});
