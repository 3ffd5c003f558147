import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TargetView } from '../../../src/control/health/evidence.ts';
import type { Candidate } from '../../../src/control/targets/candidate.ts';
import { type DerivedSource, identityOf } from '../../../src/control/targets/derive.ts';
import { type Advanced, advance } from '../../../src/control/targets/lifecycle.ts';
import { reason } from '../../../src/control/targets/reasons.ts';
import {
  DEFAULT_LIFECYCLE_TIMES,
  type LifecycleOptions,
  type TargetEntry,
  type TargetTable,
} from '../../../src/control/targets/target-table.ts';
import type { ReasonCode } from '../../../src/model/targets.ts';
import { fc } from '../../support/properties.ts';
import { WELL } from './facts.ts';

const NEUTRAL: TargetView = { ...WELL, health: 'unknown', proof: 'none' };
const PROVEN = WELL;
const SILENT: Partial<TargetView> = { silent: true };
const DEAD: TargetView = { ...NEUTRAL, health: 'unhealthy', proof: 'failed', dead: true };

type Listed = Candidate['state'] | { readonly state: Candidate['state']; readonly code: ReasonCode };

/** A source that lists nodes by name, each `active`, `draining`, or absent, and its targets over time. */
class Life {
  table: TargetTable | null = null;
  dueAtMs: number | null = null;
  nowMs = 1000;
  policy: 'Cluster' | 'Local' = 'Local';
  port = 30080;
  missing = false;
  views: Record<string, TargetView> = {};
  uids: Record<string, string> = {};
  /** Nodes that a list left out although no deletion was announced. */
  readonly unlisted = new Set<string>();
  options: LifecycleOptions = {
    ...DEFAULT_LIFECYCLE_TIMES,
    unknown: 'serve',
    maxRemovedShare: 0.5,
    believeMissing: true,
    news: '',
    missingUnlisted: false,
    isDrained: () => false,
    isUnlisted: (node) => this.unlisted.has(node),
    doubtsEndpoints: false,
    sameEvidence: false,
  };
  #seen = '';

  step(listed: Record<string, Listed>): this {
    const candidates = Object.entries(listed).map(([node, what]) => this.#candidate(node, what));
    const derived: DerivedSource = {
      kind: 'service',
      cluster: 'iad',
      service: 'shop/web',
      serviceVersion: '1',
      slices: [],
      port: this.port,
      policy: this.policy,
      healthCheckNodePort: 0,
      missing: this.missing,
      reasons: this.missing ? [reason('service-not-found')] : [],
      members: this.missing ? [] : candidates.filter(({ state }) => state !== 'excluded'),
      nodesOnly: false,
      families: ['ipv4'],
      candidateOf: (node) => candidates.find((candidate) => candidate.node === node) ?? null,
    };
    const viewOf = (_identity: string, { node }: Candidate): TargetView => this.views[node ?? ''] ?? NEUTRAL;
    const now = { monotonicMs: this.nowMs, epochMs: this.nowMs + 1_000_000 };
    const seen = JSON.stringify([this.views, this.options]);
    const careful = advance(this.table, derived, viewOf, now, this.options);
    const advanced = advance(this.table, derived, viewOf, now, {
      ...this.options,
      sameEvidence: seen === this.#seen,
    });
    this.#seen = seen;
    const content = ({ table: { entries, departures, lost }, dueAtMs }: Advanced): unknown => [
      entries.list,
      departures,
      lost,
      dueAtMs,
    ];
    assert.deepEqual(content(advanced), content(careful), 'what is not looked at again has not changed');
    this.table = advanced.table;
    this.dueAtMs = advanced.dueAtMs;
    return this;
  }

  #candidate(node: string, what: Listed): Candidate {
    const state = typeof what === 'string' ? what : what.state;
    const usual: ReasonCode =
      state === 'active'
        ? 'local-endpoints'
        : state === 'draining'
          ? 'tainted-karpenter'
          : 'no-local-endpoint';
    return {
      cluster: 'iad',
      node,
      nodeUid: this.uids[node] ?? `uid-${node}`,
      address: `10.0.0.${node}`,
      port: 0,
      weight: 1,
      state,
      lastResort: false,
      reasons: [reason(typeof what === 'string' ? usual : what.code)],
      nodeVersion: '1',
    };
  }

  after(ms: number): this {
    this.nowMs += ms;
    return this;
  }

  entry(node: string, port = this.port): TargetEntry | undefined {
    return this.table?.entries.get(identityOf(`10.0.0.${node}`, port));
  }

  /** `state`, `*` for a last resort, and the first reason where it is a hold. */
  get shape(): Record<string, string> {
    const shape: Record<string, string> = {};
    for (const { candidate, state, lastResort, hold } of this.table?.entries.list ?? []) {
      const held = hold !== null && state === 'active' ? ` ${hold.kind}` : '';
      shape[candidate.node ?? ''] = `${state}${lastResort ? '*' : ''}${held}`;
    }
    return shape;
  }
}

const NODES = { 1: 'active', 2: 'active', 3: 'active' } as const;
const excluded = (code: ReasonCode): Listed => ({ state: 'excluded', code });

describe('joining', () => {
  test('at the first start everything is used at once', () => {
    assert.deepEqual(new Life().step(NODES).shape, { 1: 'active', 2: 'active', 3: 'active' });
  });
  test('at the first start targets wait for a probe where the pool holds back what is unknown', () => {
    const life = new Life();
    life.options = { ...life.options, unknown: 'hold' };
    assert.deepEqual(life.step(NODES).shape, { 1: 'filling', 2: 'filling', 3: 'filling' });
    life.views = { 1: PROVEN };
    assert.deepEqual(life.step(NODES).shape, { 1: 'active', 2: 'filling*', 3: 'filling*' });
  });
  test('a new target is filling and a last resort until it is proven', () => {
    const life = new Life().step({ 1: 'active' }).step({ 1: 'active', 2: 'active' });
    assert.deepEqual(life.shape, { 1: 'active', 2: 'filling*' });
    assert.equal(life.entry('2')?.reasons[0]?.code, 'unproven');
    life.views = { 2: PROVEN };
    assert.deepEqual(life.step({ 1: 'active', 2: 'active' }).shape, { 1: 'active', 2: 'active' });
  });
  test('a new target stays filling while its probe fails, however long', () => {
    const life = new Life().step({ 1: 'active' });
    life.views = { 2: DEAD };
    life.step({ 1: 'active', 2: 'active' }).after(3_600_000).step({ 1: 'active', 2: 'active' });
    assert.deepEqual(life.shape, { 1: 'active', 2: 'filling*' });
    assert.equal(life.dueAtMs, null);
  });
  test('a new target of which nobody can say anything counts as proven after a time', () => {
    const life = new Life().step({ 1: 'active' }).step({ 1: 'active', 2: 'active' });
    assert.equal(life.dueAtMs, life.nowMs + 60_000);
    assert.equal(life.after(60_000).step({ 1: 'active', 2: 'active' }).shape[2], 'active');
  });
  test('another node under the same address starts anew', () => {
    const life = new Life().step(NODES);
    life.uids = { 3: 'another' };
    assert.equal(life.step(NODES).shape[3], 'filling*');
  });
});

describe('explicit signals', () => {
  for (const code of ['excluded-label', 'selector-mismatch', 'service-type'] as const) {
    test(`${code} on one node takes effect at once`, () => {
      assert.deepEqual(new Life().step(NODES).step({ ...NODES, 3: excluded(code) }).shape, {
        1: 'active',
        2: 'active',
      });
    });
  }
  test('excluding most nodes, or all, is no mass removal', () => {
    const all = { 1: excluded('excluded-label'), 2: excluded('excluded-label') };
    assert.deepEqual(new Life().step(NODES).step({ ...all, 3: 'active' }).shape, { 3: 'active' });
    assert.deepEqual(new Life().step(NODES).step({ ...all, 3: excluded('excluded-label') }).shape, {});
  });
  test('a taint drains, and a node that returns is active again', () => {
    const life = new Life().step(NODES).step({ ...NODES, 3: 'draining' });
    assert.equal(life.shape[3], 'draining');
    assert.equal(life.step(NODES).shape[3], 'active');
  });
  test('a drained node that vanishes is gone, and counts for no mass removal', () => {
    const life = new Life().step({ ...NODES, 2: 'draining', 3: 'draining' });
    assert.deepEqual(life.step({ 1: 'active' }).shape, { 1: 'active' });
  });
  test('an excluded node stays as a last resort while the only others are unproven', () => {
    const life = new Life().step({ 1: 'active' });
    life.step({ 1: excluded('excluded-label'), 2: 'active' });
    assert.deepEqual(life.shape, { 1: 'active* replace', 2: 'filling' });
    assert.deepEqual(
      life.entry('1')?.reasons.map(({ code }) => code),
      ['held-until-replaced', 'excluded-label'],
    );
    life.views = { 2: PROVEN };
    assert.deepEqual(life.step({ 1: excluded('excluded-label'), 2: 'active' }).shape, { 2: 'active' });
  });
  test('that hold ends when it is too long', () => {
    const life = new Life().step({ 1: 'active' });
    life.views = { 2: DEAD };
    const listed = { 1: excluded('excluded-label'), 2: 'active' } as const;
    life.step(listed).after(119_999).step(listed);
    assert.equal(life.shape[1], 'active* replace');
    assert.equal(life.dueAtMs, life.nowMs + 1);
    assert.deepEqual(life.after(1).step(listed).shape, { 2: 'filling' });
  });
  test('the drain of the only node is obeyed', () => {
    assert.deepEqual(new Life().step({ 1: 'active' }).step({ 1: 'draining' }).shape, { 1: 'draining' });
  });
});

describe('make before break', () => {
  const TERMINATING: Listed = { state: 'draining', code: 'local-endpoints-terminating' };
  test('terminating endpoints carry on until the new ones are proven', () => {
    const life = new Life().step({ 1: 'active', 2: 'active' });
    const moved = { 1: TERMINATING, 2: TERMINATING, 3: 'active' } as const;
    assert.deepEqual(life.step(moved).shape, { 1: 'active replace', 2: 'active replace', 3: 'filling*' });
    life.views = { 3: PROVEN };
    assert.deepEqual(life.step(moved).shape, { 1: 'draining', 2: 'draining', 3: 'active' });
  });
  test('terminating endpoints are used when they are all there is, and not for ever', () => {
    const life = new Life().step({ 1: 'active' }).step({ 1: TERMINATING });
    assert.equal(life.shape[1], 'active replace');
    assert.equal(life.after(120_000).step({ 1: TERMINATING }).shape[1], 'draining');
    assert.equal(life.after(1).step({ 1: TERMINATING }).shape[1], 'draining');
  });
  test('with one proven target left, a drained one takes nothing new', () => {
    const life = new Life().step({ 1: 'active', 2: 'active' });
    assert.deepEqual(life.step({ 1: TERMINATING, 2: 'active', 3: 'active' }).shape, {
      1: 'draining',
      2: 'active',
      3: 'filling*',
    });
  });
  test('another nodePort: the old one serves until the new one is proven', () => {
    const life = new Life().step({ 1: 'active' });
    life.port = 30090;
    life.step({ 1: 'active' });
    assert.equal(life.entry('1', 30080)?.state, 'active');
    assert.equal(life.entry('1', 30080)?.lastResort, false);
    assert.equal(life.entry('1')?.lastResort, true);
    life.views = { 1: PROVEN };
    life.step({ 1: 'active' });
    assert.deepEqual([life.table?.entries.size, life.entry('1')?.state], [1, 'active']);
  });
  test('an endpoint that moved away leaves when another target is proven', () => {
    const life = new Life().step({ 1: 'active', 2: 'active' });
    assert.deepEqual(life.step({ 1: excluded('no-local-endpoint'), 2: 'active', 3: 'active' }).shape, {
      2: 'active',
      3: 'filling*',
    });
  });
  test('Cluster to Local takes effect at once', () => {
    const life = new Life();
    life.policy = 'Cluster';
    life.step(NODES);
    life.policy = 'Local';
    const listed = {
      1: 'active',
      2: excluded('no-local-endpoint'),
      3: excluded('no-local-endpoint'),
    } as const;
    assert.deepEqual(life.step(listed).shape, { 1: 'active' });
  });
});

describe('lost with its machine', () => {
  const GONE: TargetView = { ...DEAD, ...SILENT };
  const lost = (life: Life): string[] => [...(life.table?.lost.keys() ?? [])];

  test('a node that is deleted while nothing of it answers is lost, and named for a minute', () => {
    const life = new Life().step(NODES);
    life.views = { 3: GONE };
    const left = { 1: 'active', 2: 'active' } as const;
    assert.deepEqual(lost(life.step(NODES)), [], 'silence alone may end');
    assert.deepEqual(lost(life.step(left)), ['10.0.0.3:30080']);
    assert.equal(life.dueAtMs, life.nowMs + 60_000);
    assert.deepEqual(lost(life.after(59_999).step(left)), ['10.0.0.3:30080']);
    assert.deepEqual(lost(life.after(1).step(left)), []);
  });
  test('a node that drains first and is deleted when it is off is lost', () => {
    const life = new Life().step(NODES).step({ ...NODES, 3: 'draining' });
    life.views = { 3: GONE };
    assert.deepEqual(lost(life.step({ 1: 'active', 2: 'active' })), ['10.0.0.3:30080']);
  });
  test('a held target is lost once probes call it and its node dead', () => {
    const life = new Life().step(NODES).step({ 1: 'active' });
    assert.deepEqual(lost(life), []);
    life.views = { 2: GONE };
    assert.deepEqual(lost(life.step({ 1: 'active' })), ['10.0.0.2:30080']);
  });
  test('a node that is deleted and answers goes on with its flows', () => {
    for (const view of [PROVEN, NEUTRAL, DEAD]) {
      const life = new Life().step(NODES);
      life.views = { 3: view };
      assert.deepEqual(lost(life.step({ 1: 'active', 2: 'active' })), []);
    }
  });
  test('endpoints that leave a node which is listed are no lost machine', () => {
    const life = new Life().step(NODES);
    life.views = { 3: GONE };
    assert.deepEqual(lost(life.step({ 1: 'active', 2: 'active', 3: excluded('no-local-endpoint') })), []);
  });
  test('a node that returns is not lost any more', () => {
    const life = new Life().step(NODES);
    life.views = { 3: GONE };
    life.step({ 1: 'active', 2: 'active' });
    life.views = {};
    assert.deepEqual(lost(life.step(NODES)), []);
  });
});

describe('removal guard', () => {
  test('one of three that vanishes leaves at once', () => {
    assert.deepEqual(new Life().step(NODES).step({ 1: 'active', 2: 'active' }).shape, {
      1: 'active',
      2: 'active',
    });
  });
  test('two of three that vanish go on serving', () => {
    const life = new Life().step(NODES).step({ 1: 'active' });
    assert.deepEqual(life.shape, { 1: 'active', 2: 'active guard', 3: 'active guard' });
    assert.deepEqual(
      life.entry('2')?.reasons.map(({ code }) => code),
      ['held-by-removal-guard', 'node-deleted'],
    );
  });
  test('removals one by one within a short time count as one step', () => {
    const life = new Life().step(NODES).step({ 1: 'active', 2: 'active' }).after(100).step({ 1: 'active' });
    assert.deepEqual(life.shape, { 1: 'active', 2: 'active guard' });
  });
  test('removals far apart do not', () => {
    const life = new Life()
      .step(NODES)
      .step({ 1: 'active', 2: 'active' })
      .after(10_000)
      .step({ 1: 'active' });
    assert.deepEqual(life.shape, { 1: 'active' });
  });
  test('an empty list loses nothing', () => {
    assert.deepEqual(Object.keys(new Life().step(NODES).step({}).shape), ['1', '2', '3']);
  });
  test('empty slices lose nothing either, and everything goes on carrying', () => {
    const none = { 1: excluded('no-endpoints'), 2: excluded('no-endpoints') } as const;
    assert.deepEqual(new Life().step({ 1: 'active', 2: 'active' }).step(none).shape, {
      1: 'active guard',
      2: 'active guard',
    });
  });
  test('probes that agree let targets go one by one', () => {
    const life = new Life().step(NODES).step({ 1: 'active' });
    life.views = { 2: DEAD };
    assert.deepEqual(life.step({ 1: 'active' }).shape, { 1: 'active', 3: 'active guard' });
    life.views = { 2: DEAD, 3: DEAD };
    assert.deepEqual(life.step({ 1: 'active' }).shape, { 1: 'active' });
  });
  test('what a probe calls dead before it vanishes is not held', () => {
    const life = new Life().step(NODES);
    life.views = { 1: PROVEN, 2: DEAD, 3: DEAD };
    assert.deepEqual(life.step({ 1: 'active' }).shape, { 1: 'active' });
  });
  test('pods that moved, with replacements proven, are let go', () => {
    const life = new Life().step({ 1: 'active', 2: 'active' });
    const moved = {
      1: excluded('no-local-endpoint'),
      2: excluded('no-local-endpoint'),
      3: 'active',
      4: 'active',
    } as const;
    life.step(moved);
    assert.deepEqual(life.shape, { 1: 'active guard', 2: 'active guard', 3: 'filling*', 4: 'filling*' });
    life.views = { 3: PROVEN };
    // One of two is proven: those that vanished wait behind it.
    const half = { 1: 'active* guard', 2: 'active* guard', 3: 'active', 4: 'filling*' };
    assert.deepEqual(life.step(moved).shape, half);
    life.views = { 3: PROVEN, 4: PROVEN };
    assert.deepEqual(life.step(moved).shape, { 3: 'active', 4: 'active' });
  });
  test('half of four targets is held, one of two is not', () => {
    const life = new Life().step({ 1: 'active', 2: 'active', 3: 'active', 4: 'active' });
    const held = { 1: 'active', 2: 'active', 3: 'active guard', 4: 'active guard' };
    assert.deepEqual(life.step({ 1: 'active', 2: 'active' }).shape, held);
    assert.deepEqual(life.step({ 1: 'active', 2: 'active' }).shape, held);
    const pair = new Life().step({ 1: 'active', 2: 'active' });
    assert.deepEqual(pair.step({ 1: 'active' }).shape, { 1: 'active' });
  });
  test('a node that returns is active as before', () => {
    const life = new Life().step(NODES).step({}).step(NODES);
    assert.deepEqual(life.shape, { 1: 'active', 2: 'active', 3: 'active' });
  });
  test('the guard gives in after its time', () => {
    const life = new Life().step(NODES).step({});
    assert.equal(life.dueAtMs, life.nowMs + 600_000);
    assert.deepEqual(life.after(600_000).step({}).shape, {});
  });
  test('a share of 1 switches the guard off, but the last proven target still waits for its replacement', () => {
    const life = new Life();
    life.options = { ...life.options, maxRemovedShare: 1 };
    assert.deepEqual(life.step(NODES).step({ 1: 'active' }).shape, { 1: 'active' });
    assert.deepEqual(life.step({ 4: 'active' }).shape, { 1: 'active replace', 4: 'filling*' });
  });
  test('one node that a list leaves out without a word goes on serving until a probe has called it dead for a while', () => {
    const life = new Life().step(NODES);
    life.unlisted.add('3');
    assert.deepEqual(life.step({ 1: 'active', 2: 'active' }).shape, {
      1: 'active',
      2: 'active',
      3: 'active guard',
    });
    assert.deepEqual(life.after(60_000).step({ 1: 'active', 2: 'active' }).shape[3], 'active guard');
    life.views = { 3: DEAD };
    const rest = { 1: 'active', 2: 'active' } as const;
    assert.deepEqual(life.step(rest).shape, { 1: 'active', 2: 'active', 3: 'active* guard' });
    assert.equal(life.dueAtMs, life.nowMs + 30_000);
    life.views = {};
    assert.deepEqual(life.after(29_000).step(rest).shape[3], 'active guard', 'it has recovered');
    life.views = { 3: DEAD };
    assert.deepEqual(life.after(1000).step(rest).shape[3], 'active* guard');
    assert.deepEqual(life.after(29_999).step(rest).shape[3], 'active* guard');
    assert.deepEqual(life.after(1).step(rest).shape, rest);
  });
  test('a service that a list leaves out keeps its targets through a moment in which all probes fail', () => {
    const life = new Life().step(NODES);
    life.missing = true;
    life.options = { ...life.options, believeMissing: false, missingUnlisted: true };
    life.step(NODES);
    life.views = { 1: DEAD, 2: DEAD, 3: DEAD };
    assert.deepEqual(Object.values(life.step(NODES).shape), Array(3).fill('active* guard'));
    life.views = {};
    assert.deepEqual(Object.values(life.after(5000).step(NODES).shape), Array(3).fill('active guard'));
  });
  test('what a probe calls dead at the moment when a list leaves it out is not held', () => {
    const life = new Life().step(NODES);
    life.unlisted.add('3');
    life.views = { 3: DEAD };
    assert.deepEqual(life.step({ 1: 'active', 2: 'active' }).shape, { 1: 'active', 2: 'active' });
  });
  test('it goes when its deletion is announced after all, and when the guard gives in', () => {
    const life = new Life().step(NODES);
    life.unlisted.add('3');
    life.step({ 1: 'active', 2: 'active' });
    life.unlisted.delete('3');
    assert.deepEqual(life.step({ 1: 'active', 2: 'active' }).shape, { 1: 'active', 2: 'active' });
    const patient = new Life().step(NODES);
    patient.unlisted.add('3');
    patient.step({ 1: 'active', 2: 'active' });
    assert.deepEqual(patient.after(600_000).step({ 1: 'active', 2: 'active' }).shape, {
      1: 'active',
      2: 'active',
    });
  });
  test('an endpoint whose slice a list leaves out stays as a last resort', () => {
    const life = new Life().step(NODES);
    life.options = { ...life.options, doubtsEndpoints: true };
    const lost = { 1: 'active', 2: 'active', 3: excluded('no-local-endpoint') } as const;
    assert.deepEqual(life.step(lost).shape, { 1: 'active', 2: 'active', 3: 'active* guard' });
    assert.deepEqual(life.after(1000).step(lost).shape, { 1: 'active', 2: 'active', 3: 'active* guard' });
  });
  test('a deleted service that is believed loses its targets at once', () => {
    const life = new Life().step(NODES);
    life.missing = true;
    assert.deepEqual(life.step(NODES).shape, {});
  });
  test('a service that vanished in doubt keeps them until probes agree', () => {
    const life = new Life().step(NODES);
    life.missing = true;
    life.options = { ...life.options, believeMissing: false };
    assert.deepEqual(Object.values(life.step(NODES).shape), ['active guard', 'active guard', 'active guard']);
    life.views = { 1: DEAD, 2: DEAD, 3: DEAD };
    assert.deepEqual(life.step(NODES).shape, {});
  });
});

describe('what probes add', () => {
  test('health, notes and demotion are taken over, and a change is stamped', () => {
    const life = new Life().step(NODES);
    const before = life.entry('1');
    life.views = { 1: { ...DEAD, lastResort: true, notes: [reason('probe-failed', 'status 500')] } };
    life.after(5).step(NODES);
    const after = life.entry('1');
    assert.deepEqual([after?.state, after?.health, after?.lastResort], ['active', 'unhealthy', true]);
    assert.equal((after?.changedAtMs ?? 0) - (before?.changedAtMs ?? 0), 5);
  });
  test('other words for the same reason are taken over without a stamp', () => {
    const life = new Life().step(NODES);
    life.views = { 1: { ...DEAD, notes: [reason('probe-failed', 'status 500')] } };
    life.step(NODES);
    const before = life.entry('1');
    life.views = { 1: { ...DEAD, notes: [reason('probe-failed', 'status 503')] } };
    const after = life.after(5).step(NODES).entry('1');
    assert.equal(after?.changedAtMs, before?.changedAtMs);
    assert.match(after?.reasons.at(-1)?.text ?? '', /503/);
  });
  test('the weight of kube-proxy replaces the one from the slices', () => {
    const life = new Life();
    life.views = { 1: { ...PROVEN, weight: 5 } };
    assert.equal(life.step(NODES).entry('1')?.weight, 5);
  });
  test('a step in which nothing changes gives the same table', () => {
    const life = new Life().step(NODES);
    const { table } = life;
    assert.equal(life.after(1000).step(NODES).table, table);
  });
});

describe('whatever happens', () => {
  const STATES: readonly (Listed | null)[] = [
    'active',
    'active',
    'draining',
    excluded('excluded-label'),
    excluded('no-local-endpoint'),
    { state: 'draining', code: 'local-endpoints-terminating' },
    null,
  ];
  const names = ['1', '2', '3', '4'];
  const listing = fc.array(fc.constantFrom(...STATES), { minLength: 4, maxLength: 4 });
  const views = fc.array(fc.constantFrom(NEUTRAL, PROVEN, PROVEN, DEAD), { minLength: 4, maxLength: 4 });
  const step = fc.record({ listing, views, waitMs: fc.constantFrom(0, 5, 11_000, 70_000) });
  const good = ({ state, hold, proven, health }: TargetEntry): boolean =>
    state === 'active' && hold === null && proven && health !== 'unhealthy';
  const taking = ({ state, health }: TargetEntry): boolean => state !== 'draining' && health !== 'unhealthy';

  test('steps are idempotent, proven targets come first, and the last proven one is not let go for an unproven one', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
        const life = new Life();
        for (const { listing: states, views: seen, waitMs } of steps) {
          const before = life.table?.entries.list ?? [];
          const listed: Record<string, Listed> = {};
          names.forEach((name, index) => {
            const what = states[index];
            if (what !== null && what !== undefined) listed[name] = what;
            life.views[name] = seen[index] ?? NEUTRAL;
          });
          life.after(waitMs).step(listed);
          const { table } = life;
          assert.equal(life.step(listed).table, table, 'idempotent');
          const entries = table?.entries.list ?? [];
          const hasGood = entries.some(good);
          for (const entry of entries) {
            if (entry.state === 'filling')
              assert.equal(entry.lastResort, entry.lastResort || hasGood, 'proven first');
            if (entry.hold?.kind === 'replace' && entry.state === 'active' && hasGood)
              assert.ok(entry.lastResort);
          }
          const wereGood = before.filter(
            (entry) => good(entry) && life.views[entry.candidate.node ?? ''] !== DEAD,
          );
          const replaced = entries.some((entry) => entry.state === 'filling');
          if (wereGood.length > 0 && replaced) {
            assert.ok(
              entries.some((entry) => taking(entry) && entry.proven),
              'something proven is left',
            );
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
