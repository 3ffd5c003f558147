// The state of the run, what a step can do in it, and what it can assert.

import { setTimeout as delay } from 'node:timers/promises';
import { requirePeers } from '../support/peers.ts';
import { ArrivalLog, HttpPod, type NodePorts } from './backends.ts';
import { type Client, type Edge, Ledger } from './clients.ts';
import type { SshEdge } from './clients-ssh.ts';
import type { ControlPlane } from './control-plane.ts';
import { EventWatch, type WatchedEvent } from './events.ts';
import { type Kubectl, runCommand, type Transcript } from './kubectl.ts';
import {
  podObject,
  podReadyStatus,
  type ServiceName,
  type SliceEndpoint,
  sliceEndpoint,
  sliceName,
} from './objects.ts';
import type { ExpectedTarget, Portico } from './portico.ts';
import type { PortName } from './ports.ts';
import type { Report } from './report.ts';
import { type HealthCheckNodePort, SshPod } from './sshd.ts';

/** The promise: an event of the cluster is in force within a second. */
export const EFFECT_LIMIT_MS = 1000;
/**
 * After the event and this time a node that left gets no new request. The aim is 100 ms for 99 of 100 events;
 * a bound for each single event on a shared machine needs room for its scheduler.
 */
export const PROPAGATION_MS = 250;
/** How long kube-proxy takes here to follow the API; real ones take up to a second. */
export const KUBE_PROXY_LAG_MS = 400;

export interface WorldOptions {
  readonly directory: string;
  readonly kubectl: Kubectl;
  /** Null when KUBECONFIG names a cluster that is not ours to stop. */
  readonly controlPlane: ControlPlane | null;
  readonly transcript: Transcript;
  readonly report: Report;
  /** Marks the objects of this run in a cluster that others use. */
  readonly run: string;
}

export const HTTP_PORT = { name: 'http', number: 80 } as const;
export const SSH_PORT = { name: 'ssh', number: 22 } as const;

/** A service whose endpoint slice the steps write by hand. */
export interface HandMade {
  readonly service: ServiceName;
  readonly port: { readonly name: string; readonly number: number };
  endpoints: SliceEndpoint[];
}

export class World {
  readonly kubectl: Kubectl;
  readonly controlPlane: ControlPlane | null;
  readonly transcript: Transcript;
  readonly report: Report;
  readonly directory: string;
  readonly run: string;
  readonly arrivals = new ArrivalLog();
  readonly ledger = new Ledger();
  readonly events: EventWatch;
  readonly unicorn: ServiceName;
  readonly api: HandMade;
  readonly ssh: HandMade;
  readonly late: ServiceName;
  /** Set by `setUp`, as the five below. */
  nodePorts!: NodePorts;
  healthCheck!: HealthCheckNodePort;
  portico!: Portico;
  edge!: Edge;
  sshEdge!: SshEdge;
  ports!: Readonly<Record<PortName, number>>;
  /** HTTP pods that run now, by service name. */
  readonly pods = new Map<string, HttpPod[]>();
  readonly sshPods = new Map<string, SshPod>();
  /** What the Ready condition of each node is meant to be. */
  readonly readiness = new Map<string, 'True' | 'Unknown'>();
  readonly #everySshPod: SshPod[] = [];
  readonly #clients: Client[] = [];
  #addresses = 10;

  constructor(options: WorldOptions) {
    this.kubectl = options.kubectl;
    this.controlPlane = options.controlPlane;
    this.transcript = options.transcript;
    this.report = options.report;
    this.directory = options.directory;
    this.run = options.run;
    this.events = new EventWatch(options.kubectl);
    const namespace = (name: string): string =>
      options.controlPlane === null ? `${name}-${options.run}` : name;
    this.unicorn = { namespace: namespace('github-production'), name: 'unicorn' };
    this.late = { namespace: namespace('github-production'), name: 'review-lab' };
    const api = { namespace: namespace('github-production'), name: 'unicorn-api' };
    const ssh = { namespace: namespace('git-production'), name: 'ssh' };
    this.api = { service: api, port: HTTP_PORT, endpoints: [] };
    this.ssh = { service: ssh, port: SSH_PORT, endpoints: [] };
  }

  /** One request by the real curl, into the transcript; returns what it printed, headers first. */
  async curl(host: string, pathname: string): Promise<string> {
    const { curl } = requirePeers(['curl']);
    const url = `http://${this.edge.address}:${this.edge.port}${pathname}`;
    const parameters = ['-sS', '-i', '--max-time', '5', '-H', `Host: ${host}`, url];
    const result = await runCommand(this.transcript, curl, parameters, ['curl', ...parameters]);
    return result.stdout || result.stderr;
  }

  /** Adds clients that run until `stopClients`. */
  addClients(...clients: readonly Client[]): void {
    this.#clients.push(...clients);
  }

  /** Ends the clients, each after its last request. */
  async stopClients(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.stop()));
    this.#clients.length = 0;
  }

  /** Ends everything that runs; objects in the cluster are left. */
  async close(): Promise<void> {
    await this.stopClients();
    if (this.portico?.ended() === null) {
      await this.portico.drain(10_000);
    }
    await this.events.close();
    for (const pod of this.#everySshPod) {
      pod.close();
    }
    this.nodePorts?.close();
    this.healthCheck?.close();
    await Promise.all([...this.pods.values()].flat().map((pod) => pod.end()));
  }

  /** Runs kubectl and returns when the API server told of the change. */
  async change(
    what: string,
    fits: (event: WatchedEvent) => boolean,
    command: () => Promise<unknown>,
  ): Promise<number> {
    const [event] = await Promise.all([this.events.next(what, fits), command()]);
    return event.atMs;
  }

  /** Asserts that the pools show the expected rows within a second of the event, and notes how long it took. */
  async shows(
    event: string,
    eventAtMs: number,
    pools: readonly string[],
    expected: Readonly<Record<string, ExpectedTarget>>,
    limitMs = EFFECT_LIMIT_MS,
  ): Promise<void> {
    for (const pool of pools) {
      const words = Object.entries(expected).map(
        ([node, want]) => `${node} ${[want.state, ...(want.reasons ?? [])].join(' ')}`,
      );
      await this.report.check(`${event}: ${pool} shows ${words.join(', ')}`, async () => {
        const seenAt = await this.portico.awaitTargets(pool, expected, limitMs + 2000);
        const shownMs = seenAt - eventAtMs;
        this.report.measured({ event: `${event} (${pool})`, shownMs, lastRequestMs: null });
        if (shownMs > limitMs) {
          throw new Error(`took ${Math.round(shownMs)} ms`);
        }
      });
    }
  }

  /** Watches for a while and asserts that the service got no new request at the node after the propagation time. */
  async isLeftAlone(
    event: string,
    eventAtMs: number,
    service: string,
    node: string,
    watchMs = 1500,
  ): Promise<void> {
    await delay(Math.max(0, eventAtMs + watchMs - performance.now()));
    await this.report.check(`${event}: no new request of ${service} at ${node}`, () => {
      const after = this.arrivals.since(service, node, eventAtMs);
      const last = after.at(-1);
      const lastRequestMs = last === undefined ? 0 : last.atMs - eventAtMs;
      this.report.measured({ event: `${event} (${service}, leaving ${node})`, shownMs: null, lastRequestMs });
      if (last !== undefined && lastRequestMs > PROPAGATION_MS) {
        const late = after.filter((arrival) => arrival.atMs > eventAtMs + PROPAGATION_MS);
        throw new Error(
          `${late.length} late, the last ${Math.round(lastRequestMs)} ms after the event: ${last.what}`,
        );
      }
    });
  }

  /** Asserts that the node is used again. */
  async isUsed(event: string, service: string, node: string, limitMs = 4000): Promise<void> {
    const since = performance.now();
    await this.report.check(`${event}: ${service} sends to ${node}`, async () => {
      while (this.arrivals.since(service, node, since).length === 0) {
        if (performance.now() - since > limitMs) {
          throw new Error(`no request within ${limitMs} ms`);
        }
        await delay(20);
      }
    });
  }

  /** `portico targets` as a table, for the transcript. */
  async showTargets(pool?: string): Promise<void> {
    await this.portico.command([
      'targets',
      ...(pool === undefined ? [] : [pool]),
      ...this.portico.adminFlags,
    ]);
  }

  /** A pod object and its server; the endpoint slice controller makes it an endpoint once it is ready. */
  async startPod(service: ServiceName, node: string, quiet = false): Promise<HttpPod> {
    const index = this.#addresses++;
    const name = `${service.name}-${index}`;
    const pod = await this.startServer(service.name, name, node);
    await this.kubectl.apply([podObject(service, name, node)], { quiet });
    const status = JSON.stringify(podReadyStatus(`10.244.${Number(node.at(-1))}.${index}`));
    const parameters = ['patch', 'pod', name, '-n', service.namespace, '--subresource=status'];
    await this.kubectl.run([...parameters, '-p', status], { quiet });
    return pod;
  }

  /** A pod's server without a pod object, for services whose slices are written by hand. */
  async startServer(service: string, name: string, node: string): Promise<HttpPod> {
    const pod = new HttpPod(service, name, node, this.arrivals);
    await pod.start();
    this.pods.set(service, [...(this.pods.get(service) ?? []), pod]);
    return pod;
  }

  /** The kubelet's last word on a pod: the object goes. */
  async endPodObject(service: ServiceName, pod: string): Promise<void> {
    const now = ['--force', '--grace-period=0', '--ignore-not-found'];
    await this.kubectl.run(['delete', 'pod', pod, '-n', service.namespace, ...now], { quiet: true });
  }

  async startSshd(node: string): Promise<void> {
    const pod = new SshPod(this.sshEdge.fixture, node, this.ports.sshNodePort, 'ssh', this.arrivals);
    this.#everySshPod.push(pod);
    this.sshPods.set(node, pod);
    await pod.start();
  }

  forget(pod: HttpPod): void {
    this.pods.set(
      pod.service,
      (this.pods.get(pod.service) ?? []).filter((other) => other !== pod),
    );
  }

  /** Tells the stand-in kube-proxies what the endpoints of an HTTP service are now. */
  async syncNodePorts(
    service: string,
    nodePort: number,
    policy: 'Cluster' | 'Local',
    terminating: readonly HttpPod[] = [],
  ): Promise<void> {
    const endpoints = (this.pods.get(service) ?? []).map((pod) => ({
      pod,
      terminating: terminating.includes(pod),
    }));
    await this.nodePorts.apply({ service, nodePort, policy, endpoints });
  }

  /** Writes the endpoints of a hand-made service as `endpoints` says now. */
  async writeSlice(made: HandMade): Promise<void> {
    const { namespace } = made.service;
    const patch = JSON.stringify({ endpoints: made.endpoints.map(sliceEndpoint) });
    const slice = ['endpointslice', sliceName(made.service), '-n', namespace];
    await this.kubectl.run(['patch', ...slice, '--type=merge', '-p', patch]);
  }

  handMadeEndpoint(node: string): SliceEndpoint {
    return { node, address: `10.244.${node.at(-1)}.${this.#addresses++}`, terminating: false };
  }
}
