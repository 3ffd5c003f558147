// A difference is only an encoding: whatever two snapshots are, a worker that reads it has exactly the second.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CompileMemo, compile, createCompileMemo } from '../../src/control/compile/compile.ts';
import { expandPools } from '../../src/control/compile/expand.ts';
import { TargetEntries } from '../../src/control/targets/target-entries.ts';
import type { TargetEntry, TargetTable } from '../../src/control/targets/target-table.ts';
import type { Config } from '../../src/model/config.ts';
import { NO_SECRETS } from '../../src/model/secrets.ts';
import type { Snapshot } from '../../src/model/snapshot.ts';
import type { HealthState, TargetState } from '../../src/model/targets.ts';
import { decodePublication, OtherBase } from '../../src/snapshot/decode.ts';
import { encodeDifference, encodeWhole } from '../../src/snapshot/encode.ts';
import { config, poolConfig, poolRoute, WELL } from '../control/targets/facts.ts';
import { fc } from '../support/properties.ts';
import { snapshotOf } from '../support/snapshots.ts';

interface Facts {
  readonly state: TargetState;
  readonly health: HealthState;
  readonly weight: number;
}

/** Pool name -> node number -> facts, and which pools share the table of the pool before. */
interface World {
  readonly pools: readonly { readonly name: string; readonly shares: boolean; readonly slow: number }[];
  readonly nodes: ReadonlyMap<string, ReadonlyMap<number, Facts>>;
  readonly lost: readonly number[];
}

/** Entries that did not change are the same objects from one world to the next, as in the controller. */
class Controller {
  readonly #memo: CompileMemo = createCompileMemo();
  readonly #entries = new Map<string, TargetEntry>();
  #version = 0;

  compile({ pools, nodes, lost }: World): Snapshot {
    const given: Config = config({
      pools: pools.map(({ name, slow }) => poolConfig(name, { slowStartMs: slow })),
      routes: pools.map(({ name }) => poolRoute(name)),
    });
    let table: TargetTable | null = null;
    const expansion = expandPools(given, () => []);
    this.#version += 1;
    return compile(
      {
        config: given,
        services: expansion.services,
        version: this.#version,
        eventAtMs: this.#version,
        pools: expansion.pools.map(({ name, config: pool }, index) => {
          if (!pools[index]!.shares || table === null)
            table = this.#table(name, nodes.get(name) ?? new Map(), lost);
          return { name, config: pool, sources: [{ table, port: 30000 + index, priority: 0, weight: 1 }] };
        }),
      },
      this.#memo,
    );
  }

  #table(pool: string, nodes: ReadonlyMap<number, Facts>, lost: readonly number[]): TargetTable {
    const entries: TargetEntry[] = [];
    for (const [node, facts] of nodes) {
      const key = `${pool} ${node} ${JSON.stringify(facts)}`;
      const entry = this.#entries.get(key) ?? entryOf(node, facts);
      this.#entries.set(key, entry);
      entries.push(entry);
    }
    const gone = lost.map(
      (node) => [`10.9.0.${node}:0`, { address: `10.9.0.${node}`, port: 0, sinceMs: 0 }] as const,
    );
    return { entries: TargetEntries.of(entries), departures: [], lost: new Map(gone), calm: null };
  }
}

function entryOf(node: number, { state, health, weight }: Facts): TargetEntry {
  const address = node % 7 === 0 ? `fd00::${node}` : `10.0.0.${node}`;
  return {
    identity: `${address}:0`,
    port: 0,
    candidate: {
      cluster: 'iad',
      node: `node-${node}`,
      nodeUid: `uid-${node}`,
      address,
      port: 0,
      weight,
      state: 'active',
      lastResort: false,
      reasons: [],
      nodeVersion: '1',
    },
    policy: 'Cluster',
    state: state === 'excluded' ? 'active' : state,
    health,
    lastResort: weight === 3,
    weight,
    reasons: [],
    proven: true,
    joinedAtMs: 0,
    hold: null,
    view: WELL,
    changedAtMs: 0,
    changedBy: '',
  };
}

const facts = fc.record({
  state: fc.constantFrom<TargetState>('filling', 'active', 'draining'),
  health: fc.constantFrom<HealthState>('unknown', 'healthy', 'unhealthy'),
  weight: fc.integer({ min: 1, max: 3 }),
});
const nodes = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 1, max: 24 }), facts), {
    selector: ([node]) => node,
    maxLength: 16,
  })
  .map((list) => new Map(list));
const NAMES = ['a', 'b', 'c', 'd', 'e'];
const world: fc.Arbitrary<World> = fc.record({
  pools: fc.uniqueArray(
    fc.record({ name: fc.constantFrom(...NAMES), shares: fc.boolean(), slow: fc.constantFrom(0, 1000) }),
    { selector: ({ name }) => name, minLength: 1 },
  ),
  nodes: fc
    .array(nodes, { minLength: 5, maxLength: 5 })
    .map((lists) => new Map(NAMES.map((name, index) => [name, lists[index]!]))),
  lost: fc.uniqueArray(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
});

/** Most steps change a little, some change everything. */
const steps: fc.Arbitrary<readonly World[]> = fc
  .tuple(world, fc.array(fc.tuple(world, fc.constantFrom(...NAMES, '*')), { minLength: 1, maxLength: 6 }))
  .map(([first, rest]) => {
    const worlds = [first];
    for (const [next, only] of rest) {
      const before = worlds.at(-1)!;
      const changed = new Map([...before.nodes, [only, next.nodes.get(only) ?? new Map()]]);
      worlds.push(only === '*' ? next : { ...before, nodes: changed, lost: next.lost });
    }
    return worlds;
  });

describe('publications', () => {
  it('a whole text and any number of differences give exactly the snapshots that were compiled', () => {
    fc.assert(
      fc.property(steps, (worlds) => {
        const controller = new Controller();
        let sent: Snapshot | null = null;
        let had: Snapshot | null = null;
        for (const given of worlds) {
          const snapshot = controller.compile(given);
          const text: string =
            sent === null ? encodeWhole(snapshot, NO_SECRETS) : encodeDifference(sent, snapshot, null);
          const decoded = decodePublication(text, had);
          assert.deepEqual(decoded.snapshot, snapshot);
          assert.equal(decoded.secrets === null, sent !== null);
          sent = snapshot;
          had = decoded.snapshot;
        }
      }),
      { numRuns: 300 },
    );
  });

  it('between any two snapshots, whoever made them', () => {
    fc.assert(
      fc.property(world, world, (one, other) => {
        const before = new Controller().compile(one);
        const after = { ...new Controller().compile(other), version: 2 };
        const had = decodePublication(encodeWhole(before, NO_SECRETS), null).snapshot;
        assert.deepEqual(decodePublication(encodeDifference(before, after, null), had).snapshot, after);
      }),
    );
  });

  it('what did not change keeps its objects, so that nobody looks at it again', () => {
    const shape = (health: HealthState): Snapshot =>
      snapshotOf({ pools: [{ targets: ['10.0.0.1:80'] }, { targets: [{ at: '10.0.0.2:80', health }] }] });
    const before = shape('healthy');
    const changed = shape('unhealthy');
    const after = {
      ...changed,
      version: 2,
      routes: before.routes,
      listeners: before.listeners,
      hostSets: [before.hostSets[0]!, changed.hostSets[1]!],
      pools: [before.pools[0]!, changed.pools[1]!],
    };
    const had = decodePublication(encodeWhole(before, NO_SECRETS), null).snapshot;
    const now = decodePublication(encodeDifference(before, after, null), had).snapshot;
    assert.equal(now.routes, had.routes);
    assert.equal(now.listeners, had.listeners);
    assert.equal(now.hostSets[0], had.hostSets[0]);
    assert.equal(now.pools[0], had.pools[0]);
    assert.notEqual(now.hostSets[1], had.hostSets[1]);
    assert.equal(now.pools, had.pools, 'a pool names its sets and does not say what is in them');
  });

  it('secrets travel when they are new, and only then', () => {
    const snapshot = snapshotOf({ pools: [] });
    const secrets = { ...NO_SECRETS, pairs: { web: { cert: 'C', key: 'K', staple: null } } };
    assert.deepEqual(decodePublication(encodeWhole(snapshot, secrets), null).secrets, secrets);
    assert.deepEqual(
      decodePublication(encodeDifference(snapshot, snapshot, secrets), snapshot).secrets,
      secrets,
    );
    assert.equal(decodePublication(encodeDifference(snapshot, snapshot, null), snapshot).secrets, null);
  });

  it('a difference from another version is refused, and so is one without anything before it', () => {
    const [first, second] = [1, 2].map((version) => snapshotOf({ version, pools: [] }));
    const text = encodeDifference(second!, { ...second!, version: 3 }, null);
    assert.throws(() => decodePublication(text, first!), OtherBase);
    assert.throws(() => decodePublication(text, null), OtherBase);
    assert.throws(() => decodePublication('{"kind":', null), SyntaxError);
  });
});
