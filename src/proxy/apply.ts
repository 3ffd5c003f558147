// From a snapshot to a runtime: builds everything that is derived, keeping live targets and unchanged pools.

import { checkPolicy } from '../balance/check-policy.ts';
import { HashTables } from '../balance/hash-tables.ts';
import { createPoolPicker } from '../balance/pool-picker.ts';
import { NO_SECRETS, type Secrets } from '../model/secrets.ts';
import type { HostSet, Snapshot, SnapshotPool } from '../model/snapshot.ts';
import { isSameShape } from '../snapshot/pool-shape.ts';
import type { Deadlines } from './deadlines.ts';
import { TrustedProxies } from './http/forwarded.ts';
import { routesOn } from './router/https.ts';
import { createRouter, type Router } from './router/router.ts';
import { compileRules } from './router/rules.ts';
import type { Runtime } from './runtime.ts';
import { UpstreamTls } from './tls/upstream-tls.ts';
import { type Before, membersOf, replaceMembers } from './upstream/members.ts';
import { Pool, type PoolContext } from './upstream/pool.ts';
import type { BuiltPool, PoolLife } from './upstream/pool-life.ts';
import { SetChanges, settleTargets } from './upstream/settle.ts';
import type { Target } from './upstream/target.ts';

export interface ApplyContext {
  readonly deadlines: Deadlines;
  readonly pools: PoolContext;
  readonly random: () => number;
  readonly now: () => number;
}

/** What is derived from the parts of a snapshot that are not about targets. */
interface Frame {
  readonly snapshot: Snapshot;
  readonly routers: ReadonlyMap<string, Router>;
  readonly trustedProxies: TrustedProxies;
}

/** A pool of which nothing has changed but what is in its sets. */
interface Renewal {
  readonly pool: Pool;
  readonly sets: readonly HostSet[];
}

/** What a pool's targets are asked to speak over TLS (RFC 7301). */
const HTTP_1: readonly string[] = ['http/1.1'];
const HTTP_2: readonly string[] = ['h2', ...HTTP_1];

/** Keeps live targets across snapshots; one for each worker. */
export class Applier {
  readonly #context: ApplyContext;
  /** Hash tables outlive snapshots: a change of health moves no row. */
  readonly #tables = new HashTables();
  /** Of the runtime in force. */
  #snapshot: Snapshot | null = null;
  #secrets: Secrets = NO_SECRETS;
  #frame: Frame | null = null;
  #pools: readonly Pool[] = [];
  /** Places of the pools that have a set among theirs, by the set's; null until a snapshot has the pools of the one before. */
  #users: readonly (readonly number[])[] | null = null;
  /** Name -> place in `#pools`. */
  #places: ReadonlyMap<string, number> = new Map();
  /** Of pools that are not configured any more, with flows on their targets. */
  readonly #leaving = new Set<PoolLife>();
  /** What was built last of each pool. */
  readonly #built = new WeakMap<PoolLife, Before>();

  constructor(context: ApplyContext) {
    this.#context = context;
  }

  /**
   * Makes the runtime of a snapshot and commits to it. Throws, having changed nothing, when the snapshot can't be
   * honoured. What did not change is taken over, and members and pickers are made when a pool is used: what could
   * go wrong with them is looked at here.
   */
  apply(snapshot: Snapshot, secrets: Secrets): Runtime {
    const frame = this.#frameOf(snapshot);
    const isOfSamePools = this.#snapshot?.pools === snapshot.pools && this.#secrets === secrets;
    const renewals = isOfSamePools ? this.#renewalsOf(snapshot, this.#snapshot!.hostSets) : [];
    const pools = isOfSamePools
      ? this.#pools
      : snapshot.pools.map((config, place) =>
          this.#poolOf(config, this.#before(config.name, place), snapshot, secrets, renewals),
        );
    if (!isOfSamePools) this.#users = null;
    this.#snapshot = snapshot;
    this.#secrets = secrets;
    this.#frame = frame;
    this.#commit(pools, renewals);
    const { routers, trustedProxies } = frame;
    return { snapshot, routers, pools, poolPlaces: this.#places, trustedProxies };
  }

  /** Most events change a few sets, and no pool as such: of hundreds only those that have one of them are looked at. */
  #renewalsOf(snapshot: Snapshot, before: readonly HostSet[]): Renewal[] {
    this.#users ??= usersOf(snapshot.pools);
    const renewed = new Set<Pool>();
    for (let index = 0; index < snapshot.hostSets.length; index += 1) {
      if (snapshot.hostSets[index] === before[index]) continue;
      for (const place of this.#users[index] ?? []) renewed.add(this.#pools[place]!);
    }
    const renewals: Renewal[] = [];
    for (const pool of renewed)
      if (!hasSameSets(pool, snapshot)) renewals.push({ pool, sets: setsOf(pool.config, snapshot) });
    return renewals;
  }

  /** Pools most often stand where they stood. */
  #before(name: string, place: number): Pool | undefined {
    const known = this.#pools[place];
    return known?.name === name ? known : this.#pools[this.#places.get(name) ?? -1];
  }

  /**
   * Requests, tunnels and tcp connections on a node, or a whole cluster with node null, those on targets that are no
   * longer configured included.
   */
  flows(cluster: string, node: string | null): number {
    let flows = 0;
    for (const life of this.#lives())
      for (const target of life.all())
        if (target.cluster === cluster && (node === null || target.node === node)) flows += target.inFlight;
    return flows;
  }

  /** Every target that is in use or has flows left, configured or not. */
  *targets(): Generator<Target> {
    for (const life of this.#lives()) yield* life.all();
  }

  /** Closes every idle upstream connection, and keeps the targets. */
  closeIdle(): void {
    for (const life of this.#lives()) for (const target of life.all()) target.closeIdle();
  }

  /** Retires every target: idle connections are closed, those in use close when their exchange ends. */
  close(): void {
    for (const life of this.#lives()) life.retire();
  }

  *#lives(): Generator<PoolLife> {
    for (const { life } of this.#pools) yield life;
    yield* this.#leaving;
  }

  #frameOf(snapshot: Snapshot): Frame {
    const before = this.#frame;
    const isSame =
      before !== null &&
      before.snapshot.routes === snapshot.routes &&
      before.snapshot.listeners === snapshot.listeners &&
      before.snapshot.trustedProxies === snapshot.trustedProxies;
    if (isSame) return before;
    const rules = compileRules(snapshot.routes);
    const routers = new Map<string, Router>();
    for (const listener of snapshot.listeners) {
      if (listener.protocol !== 'http' && listener.protocol !== 'https') continue;
      const routes = routesOn(listener, snapshot.routes);
      const own = routes === snapshot.routes ? rules : compileRules(routes);
      routers.set(listener.name, createRouter(routes, listener.name, own));
    }
    return { snapshot, routers, trustedProxies: new TrustedProxies(snapshot.trustedProxies) };
  }

  /** The pool before where only what is in its sets has changed: it goes among the renewals then. */
  #poolOf(
    config: SnapshotPool,
    before: Pool | undefined,
    snapshot: Snapshot,
    secrets: Secrets,
    renewals: Renewal[],
  ): Pool {
    const upstreamTls = this.#upstreamTlsOf(config, before, secrets);
    if (before !== undefined && before.tls === upstreamTls && isSamePool(before.config, config)) {
      if (!hasSameSets(before, snapshot)) renewals.push({ pool: before, sets: setsOf(config, snapshot) });
      return before;
    }
    const sets = setsOf(config, snapshot);
    if (before?.config.settings !== config.settings) checkPolicy(config.policy);
    const { pools, deadlines } = this.#context;
    return new Pool(config, sets, before?.life ?? null, this.#build, upstreamTls, pools, deadlines);
  }

  /** The one before where nothing of it changed: sessions and connections that were made with it stay good. */
  #upstreamTlsOf(
    { tls, protocol, settings }: SnapshotPool,
    before: Pool | undefined,
    secrets: Secrets,
  ): UpstreamTls | null {
    if (tls === null) return null;
    const known = before?.tls ?? null;
    if (known !== null && secrets === this.#secrets && before?.config.settings === settings) return known;
    const alpn = protocol === 'http1' ? HTTP_1 : HTTP_2;
    const isSame = known?.key === UpstreamTls.keyOf(tls, secrets) && known.alpn === alpn;
    return isSame ? known : new UpstreamTls(tls, secrets, alpn);
  }

  readonly #build = (pool: Pool): BuiltPool => {
    const { random, now } = this.#context;
    const before = this.#built.get(pool.life) ?? null;
    if (before !== null && replaceMembers(pool, before)) {
      before.sets = pool.sets;
      return before.built;
    }
    const members = membersOf(pool, before);
    const picker = createPoolPicker(members, pool.config, random, now, this.#tables, before?.built.picker);
    const built = { members, picker };
    if (before !== null) letGo(before);
    const { config, sets, life } = pool;
    this.#built.set(life, { config, sets, built, departures: life.departures });
    return built;
  };

  #commit(pools: readonly Pool[], renewals: readonly Renewal[]): void {
    const before = this.#pools;
    const changes = new SetChanges();
    for (const { pool, sets } of renewals) {
      const former = { config: pool.config, sets: pool.sets };
      pool.renew(sets);
      if (pool.life.targets.size > 0) settleTargets(former, pool, changes);
    }
    if (pools !== before) this.#replace(pools, changes);
    for (const { life } of pools) life.sweep();
    for (const life of this.#leaving) if (!life.sweep()) this.#leaving.delete(life);
  }

  #replace(pools: readonly Pool[], changes: SetChanges): void {
    const before = this.#pools;
    for (const [place, pool] of pools.entries()) {
      const known = this.#before(pool.name, place);
      if (known === undefined || known === pool) continue;
      pool.life.follow(pool);
      if (pool.life.targets.size > 0) settleTargets(known, pool, changes);
      known.giveWay();
    }
    this.#pools = pools;
    if (pools.length !== before.length || pools.some(({ life }, place) => life !== before[place]!.life)) {
      this.#places = new Map(pools.map(({ name }, place) => [name, place]));
      const stay = new Set(pools.map(({ life }) => life));
      for (const { life } of before) {
        if (stay.has(life)) continue;
        for (const identity of [...life.targets.keys()]) life.settle(identity, null);
        this.#leaving.add(life);
      }
    }
  }
}

/**
 * What is over is garbage, but V8 may have put such a small object among the old ones, and there it holds lists as long as
 * the pool until those are collected: at some tens of versions a second a hundred MiB of them.
 */
function letGo(before: Before): void {
  before.built.picker.release();
  before.built.members = [];
  before.sets = [];
}

/** A snapshot that came whole has nothing of the one before but what it says. */
function isSamePool(before: SnapshotPool, config: SnapshotPool): boolean {
  return before === config || (before.settings === config.settings && isSameShape(before, config));
}

function hasSameSets({ config: { groups }, sets }: Pool, { hostSets }: Snapshot): boolean {
  for (let index = 0; index < groups.length; index += 1) {
    const set = hostSets[groups[index]!.hostSet];
    if (set !== sets[index] && set?.key !== sets[index]?.key) return false;
  }
  return true;
}

function usersOf(pools: readonly SnapshotPool[]): readonly (readonly number[])[] {
  const users: number[][] = [];
  for (const [place, { groups }] of pools.entries())
    for (const { hostSet } of groups) {
      users[hostSet] ??= [];
      users[hostSet].push(place);
    }
  return users;
}

/** @throws RangeError when the snapshot does not have one of them */
function setsOf({ name, groups }: SnapshotPool, { hostSets }: Snapshot): readonly HostSet[] {
  return groups.map(({ hostSet }) => {
    const set = hostSets[hostSet];
    if (set === undefined) throw new RangeError(`pool ${name} has no host set ${hostSet}`);
    return set;
  });
}
