// Clients, a worker and targets, moved by a schedule; at its end everybody says what is left, and nothing may remain.

import assert from 'node:assert/strict';
import net from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import tls from 'node:tls';
import type { Secrets } from '../../../src/model/secrets.ts';
import type { Snapshot } from '../../../src/model/snapshot.ts';
import { DataPlane, eventually, RawServer } from '../../support/data-plane.ts';
import { listenerConfig, type PoolShape, route, rule, snapshotOf } from '../../support/snapshots.ts';
import { httpsListener } from '../../support/tls.ts';
import { Http1Client } from './http1-client.ts';
import { Http1Target } from './http1-target.ts';
import { at, Http2Client } from './http2-client.ts';
import { Http2Target } from './http2-target.ts';
import { Ledger, RETRIED_STATUS } from './ledger.ts';
import type { Action, Actor, Client, Size, Step } from './step.ts';

/** Two targets each. Places are few, so that requests wait for those of others. */
const POOLS: readonly Pick<PoolShape, 'protocol' | 'connections'>[] = [
  { protocol: 'http1', connections: { perTarget: 2, pending: 1000 } },
  { protocol: 'http2', connections: { perTarget: 1, pending: 1000 } },
  { protocol: 'http2', connections: { perTarget: 2, pending: 1000 } },
];
const SLOTS = [
  { name: 'one', secure: false, protocol: 'http1' },
  { name: 'two', secure: false, protocol: 'http2' },
  { name: 'three', secure: false, protocol: 'http1' },
  { name: 'four', secure: true, protocol: 'http2' },
  { name: 'five', secure: true, protocol: 'http1' },
  { name: 'six', secure: false, protocol: 'http2' },
] as const;
type Slot = (typeof SLOTS)[number];
const CLIENT_WINDOWS = [65_535, 1, 200, 5000] as const;
const MINUTE_MS = 61_000;
/** Passes after which what everybody has said has reached everybody. */
const TURNS_TO_SETTLE = 4;

export class World {
  readonly ledger = new Ledger();
  readonly #plane: DataPlane;
  readonly #secrets: Secrets;
  readonly #servers: RawServer[][] = [];
  readonly #targets: Actor[] = [];
  readonly #clients = new Map<Slot, Client>();
  /** By pool: which of its targets are known, as bits. */
  readonly #known = POOLS.map(() => 3);
  #version = 0;
  #wrong: unknown = null;

  /** @param random what the worker takes for chance */
  constructor(secrets: Secrets, random: () => number) {
    this.#secrets = secrets;
    this.#plane = new DataPlane(undefined, { random });
  }

  async open(): Promise<void> {
    for (const [pool, { protocol }] of POOLS.entries()) {
      const servers = ['a', 'b'].map((letter) =>
        new RawServer(({ socket }, index) => {
          const name = `target ${pool}${letter}.${index}`;
          const Target = protocol === 'http2' ? Http2Target : Http1Target;
          this.#targets.push(this.#watch(new Target(socket, name, pool, this.ledger)));
        }).listen(),
      );
      this.#servers.push(await Promise.all(servers));
    }
    this.#apply();
    // What takes long on a busy machine is not what this is about.
    this.#plane.freeze();
  }

  #apply(): void {
    this.#version += 1;
    this.#plane.apply(this.#snapshot(), this.#secrets);
  }

  #snapshot(): Snapshot {
    const pools = POOLS.map((shape, pool) => ({
      ...shape,
      targets: this.#servers[pool]!.filter((_, index) => (this.#known[pool]! & (1 << index)) !== 0).map(
        (server) => server.at,
      ),
    }));
    const rules = POOLS.map((_, pool) =>
      rule(
        { kind: 'pools', pools: [{ pool, weight: 1 }] },
        {
          matches: [{ path: { kind: 'prefix', value: `/${pool}` }, method: null, headers: [], query: [] }],
          retry: { attempts: 2, statuses: [RETRIED_STATUS], budget: 1 },
        },
      ),
    );
    return snapshotOf({
      version: this.#version,
      listeners: [listenerConfig(), httpsListener(1)],
      pools,
      routes: [route(rules)],
    });
  }

  /** What an actor finds wrong when it hears something fails the schedule, not the process. */
  #watch<A extends Actor & { wrong: ((error: unknown) => void) | null }>(actor: A): A {
    actor.wrong = (error) => {
      this.#wrong ??= error;
    };
    return actor;
  }

  #check(): void {
    if (this.#wrong !== null) throw this.#wrong;
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      this.ledger.step += 1;
      await this.#take(step);
      for (let turns = 0; turns < step.turns; turns += 1) await turn();
      this.#check();
    }
    await this.#conclude();
  }

  async #take(step: Step): Promise<void> {
    const { who } = step;
    if (who % 64 === 63) return this.#reload(step);
    const actor = who % 2 === 1 && this.#targets.length > 0 ? at(this.#targets, who >> 1) : null;
    if (actor !== null) return this.#act(actor, step);
    const slot = at(SLOTS, who >> 1);
    const client = this.#clients.get(slot);
    if (client === undefined || client.over) this.#clients.set(slot, await this.#connect(slot, step));
    else this.#act(client, step);
  }

  #act(actor: Actor, step: Step): void {
    const { actions } = actor;
    if (actions.length === 0) return;
    const [name, , act] = chosen(actions, step.what);
    this.ledger.tell(`${actor.name}: ${name}, ${step.share} of it`);
    act({ ...step, pool: step.pool % POOLS.length });
    actor.write(step.share);
  }

  /** Targets go and come back: what they have begun goes on. */
  #reload({ pool, kind }: Size): void {
    const index = pool % POOLS.length;
    this.#known[index] = 1 + (kind % 3);
    this.ledger.tell(`pool ${index} has targets ${this.#known[index]}`);
    this.#apply();
  }

  async #connect({ name, secure, protocol }: Slot, { kind }: Size): Promise<Client> {
    const raw = net.connect({
      host: '127.0.0.1',
      port: this.#plane.port(secure ? 'tls' : 'web'),
      allowHalfOpen: true,
    });
    await comes(raw, 'connect');
    const alpn = protocol === 'http2' ? 'h2' : 'http/1.1';
    const socket = secure
      ? tls.connect({ socket: raw, ALPNProtocols: [alpn], rejectUnauthorized: false })
      : raw;
    if (secure) await comes(socket, 'secureConnect');
    const full = `client ${name}.${this.ledger.step}`;
    this.ledger.tell(`${full} connects`);
    if (protocol === 'http1') return this.#watch(new Http1Client(socket, raw, full, this.ledger));
    return this.#watch(new Http2Client(socket, raw, full, this.ledger, at(CLIENT_WINDOWS, kind)));
  }

  /** Everybody says what is left: all that was asked ends, and nothing is held for it. */
  async #conclude(): Promise<void> {
    this.ledger.tell('everybody concludes');
    const conclude = (): void => {
      for (const actor of [...this.#clients.values(), ...this.#targets]) actor.conclude();
      this.#check();
    };
    for (let turns = 0; this.ledger.open.length > 0 && turns < 200; turns += 1) {
      conclude();
      await turn();
    }
    await eventually('all exchanges to end', () => {
      conclude();
      return this.ledger.open.length === 0;
    }).catch((error: Error) => {
      const left = this.ledger.open.map(({ tag, who }) => `${tag} of ${who}`);
      throw new Error(`${error.message}: ${left.join(', ')}`);
    });
    await this.#expectNone('portico_requests_active');
    await this.#expectNone('portico_upstream_pending');
    await this.#expectNone((series) => /^portico_upstream_connections\{.*active/.test(series));
    for (const client of this.#clients.values()) client.leave();
    await this.#expectNone('portico_connections_active');
    this.#check();
  }

  /** A client that left in the midst of something may be waited for, but not for long. */
  async #expectNone(which: string | ((series: string) => boolean)): Promise<void> {
    const isNone = (): boolean => {
      for (const target of this.#targets) target.conclude();
      return this.#plane.metric(which) === 0;
    };
    for (let turns = 0; turns < 50 && !isNone(); turns += 1) await turn();
    for (let minutes = 0; minutes < 3 && !isNone(); minutes += 1) await this.#plane.skip(MINUTE_MS);
    await eventually(`${which} to be 0`, isNone);
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values()) client.leave();
    await this.#plane.close();
    for (const server of this.#servers.flat()) await server.close();
    for (let turns = 0; turns < TURNS_TO_SETTLE; turns += 1) await turn();
  }

  /** What happened, for whoever has to find out why. */
  get story(): string {
    return this.ledger.story.join('\n');
  }
}

/** Rejects where the socket is closed, or nothing comes of it. */
async function comes(socket: net.Socket, event: string): Promise<void> {
  let state = 'waits';
  socket.once(event, () => {
    state = 'came';
  });
  socket.once('close', () => {
    if (state === 'waits') state = 'closed';
  });
  await eventually(event, () => state !== 'waits');
  assert.equal(state, 'came', `${event} does not come`);
}

function chosen(actions: readonly Action[], what: number): Action {
  let left = what % actions.reduce((sum, [, weight]) => sum + weight, 0);
  for (const action of actions) {
    left -= action[1];
    if (left < 0) return action;
  }
  return assert.fail('weights add up');
}
