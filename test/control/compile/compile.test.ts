import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compile, createCompileMemo, type PoolTargets } from '../../../src/control/compile/compile.ts';
import { expandPools, type ServiceAction } from '../../../src/control/compile/expand.ts';
import type { Candidate } from '../../../src/control/targets/candidate.ts';
import { identityOf } from '../../../src/control/targets/derive.ts';
import { TargetEntries } from '../../../src/control/targets/target-entries.ts';
import type { TargetEntry, TargetTable } from '../../../src/control/targets/target-table.ts';
import type { Config } from '../../../src/model/config.ts';
import type { Snapshot } from '../../../src/model/snapshot.ts';
import { fc } from '../../support/properties.ts';
import { config, poolConfig, poolRoute, serviceRoute, WELL } from '../targets/facts.ts';

interface Placed {
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  readonly health: 'unknown' | 'healthy' | 'unhealthy';
}

function tableOf(targets: readonly Placed[]): TargetTable {
  const entries: TargetEntry[] = [];
  for (const { address, port, weight, health } of targets) {
    const candidate: Candidate = {
      cluster: 'iad',
      node: `node-${address}`,
      nodeUid: address,
      address,
      port: 0,
      weight,
      state: 'active',
      lastResort: false,
      reasons: [],
      nodeVersion: '1',
    };
    const identity = identityOf(address, port);
    entries.push({
      identity,
      port,
      candidate,
      policy: 'Cluster',
      state: 'active',
      health,
      lastResort: false,
      weight,
      reasons: [],
      proven: true,
      joinedAtMs: 0,
      hold: null,
      view: WELL,
      changedAtMs: 0,
      changedBy: '',
    });
  }
  return { entries: TargetEntries.of(entries), departures: [], lost: new Map(), calm: null };
}

const poolOf = (name: string, targets: readonly Placed[]): PoolTargets => ({
  name,
  config: poolConfig(name),
  sources: [{ table: tableOf(targets), port: 30080, priority: 0, weight: 1 }],
});

const NO_SERVICES: ReadonlyMap<ServiceAction, ReadonlyMap<string, string>> = new Map();
const configOf = (names: readonly string[]): Config =>
  config({ pools: names.map((name) => poolConfig(name)), routes: names.map((name) => poolRoute(name)) });
const snapshotOf = (pools: readonly PoolTargets[], version = 1): Snapshot =>
  compile({
    config: configOf(pools.map(({ name }) => name)),
    pools,
    services: NO_SERVICES,
    version,
    eventAtMs: 0,
  });

/** What a worker would make of a pool. */
function resolve(snapshot: Snapshot, name: string): string[] {
  const pool = snapshot.pools.find((candidate) => candidate.name === name);
  assert.ok(pool !== undefined);
  return pool.groups.flatMap(({ hostSet, port }) =>
    snapshot.hostSets[hostSet]!.members.map((member) => {
      return `${member.host.address}:${port} ${member.weight} ${member.health}`;
    }),
  );
}

const target = fc.record({
  address: fc.integer({ min: 1, max: 6 }).map((number) => `10.0.0.${number}`),
  port: fc.constantFrom(0, 30080, 30081),
  weight: fc.integer({ min: 1, max: 3 }),
  health: fc.constantFrom('unknown', 'healthy', 'unhealthy'),
});
const targets = fc.uniqueArray(target, {
  selector: ({ address, port }) => identityOf(address, port),
  maxLength: 8,
});
const fleet = fc.array(targets, { minLength: 1, maxLength: 5 });
const poolsOf = (lists: readonly (readonly Placed[])[]): PoolTargets[] =>
  lists.map((list, index) => poolOf(`pool-${index}`, list));

describe('compile', () => {
  test('names lost targets at their port, and their naming is a change', () => {
    const before = poolOf('web', [{ address: '10.0.0.1', port: 0, weight: 1, health: 'healthy' }]);
    const [source] = before.sources;
    const lost = new Map([
      ['10.0.0.9:0', { address: '10.0.0.9', port: 0, sinceMs: 5 }],
      ['[fd00::9]:31000', { address: 'fd00::9', port: 31000, sinceMs: 5 }],
    ]);
    const after = { ...before, sources: [{ ...source!, table: { ...source!.table, lost } }] };
    const [one, other] = [snapshotOf([before]), snapshotOf([after])];
    assert.deepEqual(one.pools[0]!.lost, []);
    assert.deepEqual(other.pools[0]!.lost, ['10.0.0.9:30080', '[fd00::9]:31000']);
    assert.notEqual(one.checksum, other.checksum);
  });

  test('the order in which targets came changes nothing', () => {
    fc.assert(
      fc.property(fleet, fc.infiniteStream(fc.nat()), (lists, order) => {
        const shuffled = lists.map((list) =>
          list
            .map((item) => ({ item, key: order.next().value as number }))
            .sort((a, b) => a.key - b.key)
            .map(({ item }) => item),
        );
        assert.deepEqual(snapshotOf(poolsOf(shuffled)), snapshotOf(poolsOf(lists)));
      }),
    );
  });
  test('equal content has an equal checksum whatever the version, and any change another one', () => {
    fc.assert(
      fc.property(fleet, fleet, (one, other) => {
        const a = snapshotOf(poolsOf(one), 1);
        const b = snapshotOf(poolsOf(other), 2);
        const content = ({ version, eventAtMs, checksum, ...rest }: Snapshot): string => {
          void [version, eventAtMs, checksum];
          return JSON.stringify(rest);
        };
        assert.equal(a.checksum === b.checksum, content(a) === content(b));
      }),
    );
  });
  test('host sets stand once, and every pool resolves to its own targets', () => {
    fc.assert(
      fc.property(fleet, (lists) => {
        const snapshot = snapshotOf(poolsOf(lists));
        const sets = snapshot.hostSets.map((set) => JSON.stringify(set));
        assert.equal(new Set(sets).size, sets.length);
        lists.forEach((list, index) => {
          const expected = list.map(
            ({ address, port, weight, health }) => `${address}:${port || 30080} ${weight} ${health}`,
          );
          assert.deepEqual(resolve(snapshot, `pool-${index}`).sort(), expected.sort());
        });
      }),
    );
  });
  test('a memo changes nothing', () => {
    fc.assert(
      fc.property(fleet, (lists) => {
        const pools = poolsOf(lists);
        const input = {
          config: configOf(pools.map(({ name }) => name)),
          pools,
          services: NO_SERVICES,
          version: 1,
          eventAtMs: 0,
        };
        const memo = createCompileMemo();
        const first = compile(input, memo);
        assert.deepEqual(compile(input, memo), first);
        assert.deepEqual(compile(input), first);
      }),
    );
  });
  test('settings of a pool are part of the checksum, its probe is not part of the snapshot', () => {
    const pool = poolOf('a', []);
    const slow = { ...pool, config: { ...pool.config, slowStartMs: 1000 } };
    assert.notEqual(snapshotOf([pool]).checksum, snapshotOf([slow]).checksum);
    assert.ok(!('health' in snapshotOf([pool]).pools[0]!));
  });
  test('a rule that names an unknown pool is refused', () => {
    const input = { config: configOf(['a']), pools: [], services: NO_SERVICES, version: 1, eventAtMs: 0 };
    assert.throws(() => compile(input), /no pool is named a/);
  });
  test('a frozen input is enough', () => {
    const pools = Object.freeze([
      Object.freeze(poolOf('a', [{ address: '10.0.0.1', port: 0, weight: 1, health: 'unknown' }])),
    ]);
    assert.equal(snapshotOf(pools).hostSets[0]?.members.length, 1);
  });

  test('keeps the members of targets of which workers are told nothing new, also when other members change', () => {
    const memo = createCompileMemo();
    const list = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map(
      (address): Placed => ({ address, port: 0, weight: 1, health: 'unknown' }),
    );
    const first = tableOf(list);
    const settings = configOf(['web']);
    const compiled = (entries: TargetEntries, version: number): Snapshot => {
      const sources = [{ table: { ...first, entries }, port: 30080, priority: 0, weight: 1 }];
      const pools = [{ name: 'web', config: settings.pools[0]!, sources }];
      return compile({ config: settings, pools, services: NO_SERVICES, version, eventAtMs: 0 }, memo);
    };
    const before = compiled(first.entries, 1);
    const renewed = first.entries.with(
      first.entries.list.map((entry) => ({ ...entry, changedBy: 'node:7' })),
    );
    assert.equal(compiled(renewed, 2).checksum, before.checksum);
    const [one, ...others] = renewed.list;
    const after = compiled(renewed.with([{ ...one!, health: 'unhealthy' }, ...others]), 3);
    const [was, is] = [before, after].map(({ hostSets }) => hostSets[0]!.members);
    assert.equal(is![0]!.health, 'unhealthy');
    assert.deepEqual(
      is!.map((member, place) => member === was![place]),
      [false, true, true],
    );
  });
});

describe('rules that name services by template', () => {
  const lab = (template: string): Config => config({ routes: [serviceRoute('lab', template)] });
  const names = [
    'review-lab-a/unicorn',
    'review-lab-b-2/unicorn',
    'review-lab-a/other',
    'x/unicorn',
    'review-lab-/unicorn',
  ];
  test('every service that fits becomes a pool of its own, named under the route', () => {
    const given = lab('review-lab-{branch}/unicorn');
    const expansion = expandPools(given, () => names);
    assert.deepEqual(
      expansion.pools.map(({ name, dynamic }) => [name, dynamic]),
      [
        ['web', false],
        ['lab/review-lab-a/unicorn', true],
        ['lab/review-lab-b-2/unicorn', true],
      ],
    );
    assert.deepEqual(expansion.pools[1]?.sources[0]?.namespace, 'review-lab-a');
    const pools = expansion.pools.map(({ name, config: pool }) => ({ name, config: pool, sources: [] }));
    const snapshot = compile({
      config: given,
      pools,
      services: expansion.services,
      version: 1,
      eventAtMs: 0,
    });
    assert.deepEqual(snapshot.routes[0]?.rules[0]?.action, {
      kind: 'service',
      service: 'review-lab-{branch}/unicorn',
      pools: { 'review-lab-a/unicorn': 1, 'review-lab-b-2/unicorn': 2 },
    });
  });
  test('the order of services changes nothing', () => {
    const expand = (list: readonly string[]): string[] =>
      expandPools(lab('review-lab-{branch}/unicorn'), () => list).pools.map(({ name }) => name);
    assert.deepEqual(expand([...names].reverse()), expand(names));
  });
  test('a capture that stands twice must stand for the same text', () => {
    const expansion = expandPools(lab('{app}/{app}-web'), () => ['a/a-web', 'a/b-web']);
    assert.deepEqual(
      expansion.pools.slice(1).map(({ name }) => name),
      ['lab/a/a-web'],
    );
  });
  test('a dot in the template is only a dot', () => {
    const expansion = expandPools(lab('{app}/a.b'), () => ['x/a.b', 'x/acb']);
    assert.deepEqual(
      expansion.pools.slice(1).map(({ name }) => name),
      ['lab/x/a.b'],
    );
  });
  test('names stay unique where two rules of a route use the same service, or a pool is named so', () => {
    const route = serviceRoute('lab', '{app}/web');
    const [rule] = route.rules;
    const given = config({
      pools: [poolConfig('lab/x/web')],
      routes: [
        { ...route, rules: [rule!, { ...rule!, action: { ...(rule!.action as ServiceAction), port: 81 } }] },
      ],
    });
    const { pools } = expandPools(given, () => ['x/web']);
    assert.deepEqual(
      pools.map(({ name }) => name),
      ['lab/x/web', 'lab/x/web:http', 'lab/x/web:81'],
    );
  });
});
