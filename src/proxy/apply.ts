// From a snapshot to a runtime: builds everything that is derived, keeping live targets and unchanged pools.

import { HashTables } from '../balance/hash-tables.ts';
import { createPoolPicker } from '../balance/pool-picker.ts';
import type { Member } from '../model/picker.ts';
import type { Snapshot, SnapshotPool } from '../model/snapshot.ts';
import type { MetricsBoard } from '../telemetry/metrics-board.ts';
import type { Deadlines } from './deadlines.ts';
import { TrustedProxies } from './http/forwarded.ts';
import { PoolMeters } from './meters.ts';
import { createRouter, type Router } from './router/router.ts';
import { compileRules } from './router/rules.ts';
import type { Runtime } from './runtime.ts';
import { Pool, type PoolContext } from './upstream/pool.ts';
import { type EjectionLedger, Target } from './upstream/target.ts';

export interface ApplyContext {
  readonly board: MetricsBoard;
  readonly deadlines: Deadlines;
  readonly pools: PoolContext;
  readonly random: () => number;
  readonly now: () => number;
}

/** Stands in until the pool that a new target belongs to is complete. */
const NO_LEDGER: EjectionLedger = {
  mayEject: () => false,
  onEjected: () => {},
  onReturned: () => {},
  countConnect: () => 0,
};

/** Targets of one pool by identity; shared by all versions of the pool. */
type TargetsOfPool = Map<string, Target>;

/** Keeps live targets across snapshots; one for each worker. */
export class Applier {
  readonly #context: ApplyContext;
  /** Hash tables outlive snapshots: a change of health moves no row. */
  readonly #tables = new HashTables();
  #targets = new Map<string, TargetsOfPool>();
  #pools = new Map<string, Pool>();
  /** Left the configuration with flows on them. */
  readonly #leaving = new Set<{ readonly pool: string; readonly target: Target }>();

  constructor(context: ApplyContext) {
    this.#context = context;
  }

  /**
   * Builds the runtime of a snapshot completely, then commits to it. Throws, having changed nothing, when the
   * snapshot can't be honoured.
   */
  apply(snapshot: Snapshot): Runtime {
    const rules = compileRules(snapshot.routes);
    const routers = new Map<string, Router>();
    for (const listener of snapshot.listeners) {
      if (listener.protocol === 'tcp') continue;
      routers.set(listener.name, createRouter(snapshot.routes, listener.name, rules));
    }
    const trustedProxies = new TrustedProxies(snapshot.trustedProxies);
    const built = snapshot.pools.map((config) => this.#build(config, snapshot));
    this.#commit(built);
    return {
      snapshot,
      routers,
      pools: built.map(({ pool }) => pool),
      poolsByName: new Map(built.map(({ pool }) => [pool.name, pool])),
      trustedProxies,
    };
  }

  /**
   * Requests, tunnels and tcp connections on a node, or a whole cluster with node null, those on targets that are no
   * longer configured included.
   */
  flows(cluster: string, node: string | null): number {
    let flows = 0;
    const add = (target: Target): void => {
      if (target.cluster === cluster && (node === null || target.node === node)) flows += target.inFlight;
    };
    for (const targets of this.#targets.values()) for (const target of targets.values()) add(target);
    for (const { target } of this.#leaving) add(target);
    return flows;
  }

  /** Closes every idle upstream connection; those in use close when their exchange ends. */
  close(): void {
    for (const targets of this.#targets.values()) for (const target of targets.values()) target.retire();
  }

  #build(config: SnapshotPool, snapshot: Snapshot): { pool: Pool; targets: TargetsOfPool; kept: boolean } {
    const known = this.#targets.get(config.name);
    const before = this.#pools.get(config.name);
    if (before !== undefined && known !== undefined && before.config.checksum === config.checksum) {
      return { pool: before, targets: known, kept: true };
    }
    const { board, random, now, pools, deadlines } = this.#context;
    const targets: TargetsOfPool = new Map();
    const members = membersOf(config, snapshot, (facts) => {
      const target =
        targets.get(facts.identity) ??
        known?.get(facts.identity) ??
        new Target(facts, config.ejection, NO_LEDGER, deadlines);
      targets.set(facts.identity, target);
      return target;
    });
    const picker = createPoolPicker(members, config, random, now, this.#tables);
    return {
      pool: new Pool(config, members, picker, new PoolMeters(board, config.name), pools),
      targets,
      kept: false,
    };
  }

  #commit(built: readonly { pool: Pool; targets: TargetsOfPool; kept: boolean }[]): void {
    const before = this.#targets;
    this.#targets = new Map();
    this.#pools = new Map();
    for (const { pool, targets, kept } of built) {
      this.#targets.set(pool.name, targets);
      this.#pools.set(pool.name, pool);
      if (!kept) {
        pool.adopt(targets.values());
        for (const member of pool.members) {
          const target = member.live as Target;
          target.retired = member.state === 'draining';
          if (target.retired) target.closeIdle();
          target.doubt(target.retired || member.health === 'unhealthy' || member.lastResort);
          target.rest(target.retired || member.health === 'unhealthy');
          // A target that has to be proven anew has lost what its former life had proven.
          if (member.state === 'filling' && member.health === 'unknown') target.proven = false;
        }
      }
    }
    for (const [name, targets] of before) {
      const now = this.#targets.get(name);
      if (now === targets) continue;
      for (const [identity, target] of targets) {
        if (now?.get(identity) === target) continue;
        target.retire();
        target.doubt(true);
        if (target.inFlight > 0) this.#leaving.add({ pool: name, target });
      }
    }
    for (const leaving of this.#leaving) {
      const { pool, target } = leaving;
      if (this.#pools.get(pool)?.config.lost.includes(target.identity)) target.lose();
      if (target.inFlight === 0) this.#leaving.delete(leaving);
    }
  }
}

type MemberFacts = Pick<Member, 'identity' | 'address' | 'port' | 'cluster' | 'node'>;

/** One member for each address and port; a target that two groups name counts once, where it is used first. */
function membersOf(
  config: SnapshotPool,
  snapshot: Snapshot,
  liveOf: (facts: MemberFacts) => Target,
): readonly Member[] {
  const members = new Map<string, Member>();
  for (const group of config.groups) {
    for (const entry of snapshot.hostSets[group.hostSet]!.members) {
      const host = snapshot.hosts[entry.host]!;
      const identity = host.address.includes(':')
        ? `[${host.address}]:${group.port}`
        : `${host.address}:${group.port}`;
      const known = members.get(identity);
      if (known !== undefined && known.priority <= group.priority) continue;
      const facts = {
        identity,
        address: host.address,
        port: group.port,
        cluster: host.cluster,
        node: host.node,
      };
      members.set(identity, {
        ...facts,
        weight: entry.weight * group.weight,
        priority: group.priority,
        state: entry.state,
        health: entry.health,
        lastResort: entry.lastResort,
        live: liveOf(facts),
      });
    }
  }
  return [...members.values()];
}
