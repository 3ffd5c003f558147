// The state of a run in namespaces: machines, pods, clients, and what a step can do and assert.

import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../child.ts';
import type { Client, Edge } from '../clients.ts';
import type { SshEdge } from '../clients-ssh.ts';
import { EventWatch, isSlice, type WatchedEvent } from '../events.ts';
import type { Kubectl } from '../kubectl.ts';
import type { ServiceName } from '../objects.ts';
import type { ExpectedTarget, Portico } from '../portico.ts';
import type { Report } from '../report.ts';
import type { ArrivalLog } from './arrivals.ts';
import type { ApiFront } from './front-control.ts';
import type { Machine } from './machine.ts';
import type { NetWorldOptions } from './net-world-options.ts';
import {
  type Mark,
  outcomeOf,
  poolOf,
  portsOf,
  type Seen,
  type ServiceKey,
  wordsOf,
} from './observations.ts';
import { PEERS, type RunningPeers } from './peers.ts';
import { Pod } from './pod.ts';
import { PromiseTable, spread } from './promises.ts';
import { TimedLedger } from './timed-ledger.ts';

/** The promise for propagation over all events of a run. */
export const PROPAGATION_P99_MS = 100;
/** For one event, which on a shared machine needs room for the scheduler. */
export const LEAVE_LIMIT_MS = 250;
/** After an outage of the API server the endpoint slice controller needs its time, too. */
const EVENT_LIMIT_MS = 60_000;
const SETTLE_LIMIT_MS = 30_000;

export class NetWorld {
  readonly options: NetWorldOptions;
  readonly ledger = new TimedLedger();
  readonly events: EventWatch;
  readonly table: PromiseTable;
  /** Null without `--peers`. */
  peers: RunningPeers | null = null;
  /** What the peers' clients saw in the stretch that was last asked about. */
  #peersSaw: readonly string[] = [];
  readonly services: Readonly<Record<ServiceKey, ServiceName>> = {
    unicorn: { namespace: 'github-production', name: 'unicorn' },
    api: { namespace: 'github-production', name: 'unicorn-api' },
    ssh: { namespace: 'git-production', name: 'ssh' },
    late: { namespace: 'github-production', name: 'review-lab' },
    shares: { namespace: 'github-production', name: 'shares' },
  };
  readonly machines = new Map<string, Machine>();
  readonly pods: Record<ServiceKey, Pod[]> = { unicorn: [], api: [], ssh: [], late: [], shares: [] };
  /** From each event to the last new request at a node that had to be left. */
  readonly leavingMs: number[] = [];
  /** Set by `setUp`. */
  portico!: Portico;
  edge!: Edge;
  front!: ApiFront;
  sshEdge!: SshEdge;
  kubeconfigFile = '';
  /** Portico's token, and the account that it belongs to. */
  tokenFile = '';
  account = { name: '', namespace: '' };
  readonly #everyPod: Pod[] = [];
  readonly #clients: Client[] = [];

  constructor(options: NetWorldOptions) {
    this.options = options;
    this.events = new EventWatch(options.kubectl);
    this.table = new PromiseTable(options.peers ? PEERS.map(({ name }) => name) : []);
  }

  get kubectl(): Kubectl {
    return this.options.kubectl;
  }

  get report(): Report {
    return this.options.report;
  }

  get arrivals(): ArrivalLog {
    return this.options.kubelet.arrivals;
  }

  get porticoDirectory(): string {
    return path.join(this.options.directory, 'portico');
  }

  machine(name: string): Machine {
    const machine = this.machines.get(name);
    if (machine === undefined) throw new Error(`no machine ${name}`);
    return machine;
  }

  addClients(...clients: readonly Client[]): void {
    this.#clients.push(...clients);
  }

  async stopClients(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.stop()));
  }

  /** Starts a pod and waits for its slice. */
  async startPod(key: ServiceKey, node: string): Promise<Pod> {
    const service = this.services[key];
    const kind = key === 'ssh' ? 'ssh' : key === 'shares' ? 'counting' : 'http';
    const pod = new Pod(this.options.kubelet, service, this.machine(node), kind);
    this.#everyPod.push(pod);
    this.pods[key].push(pod);
    await Promise.all([
      this.events.next(`${pod.name} ready`, isSlice(service, node, 'ready'), EVENT_LIMIT_MS),
      pod.start(),
    ]);
    return pod;
  }

  podOn(key: ServiceKey, node: string): Pod {
    const pod = this.pods[key].find((candidate) => candidate.machine.name === node);
    if (pod === undefined) throw new Error(`no pod of ${key} on ${node}`);
    return pod;
  }

  forget(key: ServiceKey, pod: Pod): void {
    this.pods[key] = this.pods[key].filter((other) => other !== pod);
  }

  /** Runs something and returns when the API server told of the change. */
  async change(
    what: string,
    fits: (event: WatchedEvent) => boolean,
    command: () => Promise<unknown>,
  ): Promise<number> {
    const [event] = await Promise.all([this.events.next(what, fits, EVENT_LIMIT_MS), command()]);
    return event.atMs;
  }

  /**
   * The pod's grace period begins; resolves with the moment at which its slice said so.
   * `last` when no other ready pod of the service is on the node.
   */
  async terminate(key: ServiceKey, pod: Pod): Promise<number> {
    const node = pod.machine.name;
    return await this.change(
      `${pod.name} terminating`,
      isSlice(this.services[key], node, 'terminating'),
      () => pod.terminate(),
    );
  }

  mark(): Mark {
    return {
      atMs: performance.now(),
      failures: this.ledger.failures.length,
      successes: this.ledger.successes(),
    };
  }

  /** "0 failed of 812", or an error with the first reasons; clients that `counts` leaves out are told apart. */
  servedSince(mark: Mark, counts: (client: string) => boolean = () => true): string {
    this.#peersSaw = (this.peers?.ledgers ?? []).map((ledger) => outcomeOf(ledger, mark.atMs, counts).text);
    const { failed, text } = outcomeOf(this.ledger, mark.atMs, counts);
    if (failed.length === 0) return text;
    const words = failed
      .slice(0, 4)
      .map((f) => `+${Math.round(f.atMs - mark.atMs)} ms ${f.client}: ${f.reason}`);
    throw new Error(`${text}: ${words.join('; ')}`);
  }

  /** How long the answers to the clients took since the mark, failed ones left out. */
  durationsSince(mark: Mark, counts: (client: string) => boolean, untilMs = Infinity): string {
    return spread(this.ledger.between(mark.atMs, untilMs, counts));
  }

  /** Asserts a promise, and adds its row to the table. */
  async promise(event: string, promise: string, measure: () => string | Promise<string>): Promise<void> {
    let measured = '';
    let held = false;
    this.#peersSaw = [];
    await this.report.check(`${event}: ${promise}`, async () => {
      try {
        measured = await measure();
        held = true;
        this.report.say(`        ${measured}`);
      } catch (error) {
        measured = (error as Error).message;
        throw error;
      }
    });
    const peers = this.table.peers.map((_, index) => this.#peersSaw[index] ?? '');
    this.table.add({ event, promise, measured, held, peers });
  }

  /** Waits until the pool's rows are as expected; answers with the time since the event. */
  async shown(
    pool: string,
    expected: Readonly<Record<string, ExpectedTarget>>,
    eventAtMs: number,
    limitMs = 1000,
  ): Promise<number> {
    const tookMs = (await this.portico.awaitTargets(pool, expected, limitMs + 2000)) - eventAtMs;
    this.report.measured({
      event: `${pool}: ${Object.keys(expected).join(', ')}`,
      shownMs: tookMs,
      lastRequestMs: null,
    });
    if (tookMs > limitMs) throw new Error(`${pool} shows it after ${Math.round(tookMs)} ms`);
    return Math.max(0, tookMs);
  }

  /**
   * When the last new request came to the node after the event, and how many connections were begun to its node port
   * from 100 ms after it on, health checks included; throws when a request was too late, or there were more
   * connections than probes.
   */
  async left(
    key: 'unicorn' | 'api' | 'ssh',
    node: string,
    eventAtMs: number,
    watchMs = 1500,
  ): Promise<string> {
    await delay(Math.max(0, eventAtMs + watchMs - performance.now()));
    const { address } = this.machine(node).place;
    const untilMs = eventAtMs + watchMs;
    const seen = (by: string, mark: number): Seen => {
      const requests = this.arrivals.since(this.services[key].name, node, eventAtMs, by);
      const from = eventAtMs + PROPAGATION_P99_MS;
      const lastMs = requests.reduce((last, arrival) => Math.max(last, arrival.atMs - eventAtMs), 0);
      return {
        lastMs: Math.min(lastMs, watchMs),
        connections: this.options.syns.between(address, portsOf(key), from, untilMs, mark).length,
      };
    };
    this.#peersSaw = this.peers === null ? [] : PEERS.map(({ name, uid }) => wordsOf(seen(name, uid)));
    const own = seen('portico', 0);
    this.leavingMs.push(own.lastMs);
    const probes = Math.ceil(watchMs / 1000) + 1;
    if (own.lastMs > LEAVE_LIMIT_MS || own.connections > probes) throw new Error(wordsOf(own));
    return wordsOf(own);
  }

  /** Connections that were begun to a machine's node ports in a time, health checks included: by Portico and by each peer. */
  connectionsTo(
    node: string,
    fromMs: number,
    untilMs: number,
  ): { readonly count: number; readonly byPort: string } {
    const { address } = this.machine(node).place;
    const ports = (['unicorn', 'api', 'ssh'] as const).flatMap(portsOf);
    const count = (mark: number, wanted = ports): number =>
      this.options.syns.between(address, wanted, fromMs, untilMs, mark).length;
    this.#peersSaw = this.peers === null ? [] : PEERS.map(({ uid }) => `${count(uid)} connections`);
    const byPort = ports.map((port) => `${port}: ${count(0, [port])}`).join(', ');
    return { count: count(0), byPort };
  }

  /** The same question about the peers' durations as about Portico's. */
  askPeers(words: (ledger: TimedLedger) => string): void {
    this.#peersSaw = (this.peers?.ledgers ?? []).map(words);
  }

  /** Waits until the service gets requests by the node. */
  async used(key: ServiceKey, node: string, limitMs = 5000): Promise<void> {
    const since = performance.now();
    await until(`${key} is sent to ${node}`, limitMs, () =>
      this.arrivals.since(this.services[key].name, node, since).length > 0 ? true : undefined,
    );
  }

  /** Everything is as at the start: every machine active and healthy wherever it should be. */
  async settled(): Promise<void> {
    const machines = [...this.machines.keys()];
    for (const key of ['unicorn', 'api', 'ssh'] as const) {
      const nodes = key === 'unicorn' ? machines : this.pods[key].map((pod) => pod.machine.name);
      const well = { state: 'active', lastResort: false, health: 'healthy' } as const;
      const rows = Object.fromEntries(nodes.map((name) => [name, well]));
      await this.portico.awaitTargets(poolOf(key), rows, SETTLE_LIMIT_MS);
    }
  }

  /** Ends everything that runs. */
  async close(): Promise<void> {
    await this.stopClients();
    await this.peers?.close();
    if (this.portico !== undefined && this.portico.ended() === null) {
      await this.portico.drain(10_000);
    }
    await this.events.close();
    await this.options.syns.close();
    for (const pod of this.#everyPod) pod.kill();
    for (const machine of this.machines.values()) await machine.stopProxy();
    this.front?.close();
    this.options.kubelet.api.close();
    await this.options.controlPlane.close();
  }
}
