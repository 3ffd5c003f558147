// A pool that is cut to some of its nodes: which ones, that everybody agrees, and how little moves.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  createDerivationMemo,
  type DerivedSource,
  deriveService,
} from '../../../src/control/targets/derive.ts';
import { joinNodes, viewNode } from '../../../src/control/targets/nodes.ts';
import { viewService } from '../../../src/control/targets/services.ts';
import type { NodeFact } from '../../../src/model/inventory.ts';
import { fc } from '../../support/properties.ts';
import { clusterConfig, endpointFact, nodeFact, serviceFact, serviceSource, sliceFact } from './facts.ts';

const { nodes: selection } = clusterConfig();

function derive(nodes: readonly NodeFact[], subset: number, service = 'web'): DerivedSource {
  const views = nodes.map((node) => viewNode('iad', node, selection, { ok: true, requirements: [] }, false));
  const slices = [sliceFact(service, [endpointFact('node-1')])];
  const source = serviceSource({ service });
  const view = viewService(`shop/${service}`, source, serviceFact(service), slices, selection.families);
  const joined = joinNodes('iad', selection.families, views);
  return deriveService(source, view, joined, createDerivationMemo(), subset);
}

function chosen(nodes: readonly NodeFact[], subset: number, service = 'web'): string[] {
  const derived = derive(nodes, subset, service);
  const named = nodes.filter(({ name }) => derived.candidateOf(name)?.state !== 'excluded');
  const members = derived.members.map(({ node }) => node ?? '').sort();
  assert.deepEqual(named.map(({ name }) => name).sort(), members, 'the answers agree with the members');
  return members;
}

const many = (count: number): NodeFact[] =>
  Array.from({ length: count }, (_, index) => nodeFact(`node-${index + 1}`));

describe('subset', () => {
  test('all nodes when there are no more than that, and with 0', () => {
    assert.equal(chosen(many(5), 5).length, 5);
    assert.equal(chosen(many(5), 0).length, 5);
  });

  test('the others are excluded in words, beside what else holds for them', () => {
    const [first = ''] = chosen(many(2), 1);
    const nodes = many(2).map((node) => (node.name === first ? node : { ...node, unschedulable: true }));
    const other = derive(nodes, 1).candidateOf(first === 'node-1' ? 'node-2' : 'node-1');
    assert.deepEqual(
      [other?.state, other?.weight, other?.reasons.map(({ code }) => code)],
      ['excluded', 0, ['outside-subset', 'cordoned']],
    );
    assert.match(other?.reasons[0]?.fix ?? '', /raise subset/);
  });

  test('the same nodes whatever the order in which they came', () => {
    const nodes = many(40);
    fc.assert(
      fc.property(fc.shuffledSubarray(nodes, { minLength: 40, maxLength: 40 }), (shuffled) => {
        assert.deepEqual(chosen(shuffled, 8), chosen(nodes, 8));
      }),
      { numRuns: 30 },
    );
  });

  test('a node that leaves moves one node at most, and one that was not chosen none', () => {
    const nodes = many(40);
    const before = chosen(nodes, 8);
    assert.equal(before.length, 8);
    for (const gone of nodes) {
      const after = chosen(
        nodes.filter((node) => node !== gone),
        8,
      );
      const moved = after.filter((name) => !before.includes(name));
      assert.equal(moved.length, before.includes(gone.name) ? 1 : 0);
    }
  });

  test('one that cannot take new flows stays in its place, and another stands in for it', () => {
    const nodes = many(40);
    const before = chosen(nodes, 8);
    const [sick = ''] = before;
    const drained = nodes.map((node) =>
      node.name === sick ? { ...node, deletionTimestamp: '2026-01-01T00:00:00Z' } : node,
    );
    const after = chosen(drained, 8);
    assert.ok(after.includes(sick));
    assert.equal(after.length, 9);
    assert.deepEqual(
      before.filter((name) => !after.includes(name)),
      [],
    );
  });

  test('services begin at places of their own, so that every node is used about as much', () => {
    const nodes = many(60);
    const uses = new Map<string, number>();
    for (let service = 0; service < 300; service += 1)
      for (const name of chosen(nodes, 12, `svc-${service}`)) uses.set(name, (uses.get(name) ?? 0) + 1);
    assert.equal(uses.size, 60);
    const busiest = Math.max(...uses.values());
    assert.ok(busiest < 3 * ((300 * 12) / 60), `${busiest}`);
  });
});
