// The scene of the run: cluster, nodes, services with their backends, Portico in front and clients outside.

import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { requirePeers } from '../support/peers.ts';
import { ArrivalLog, HttpPod, NODES, NodePorts } from './backends.ts';
import {
  type Client,
  curlClient,
  type Edge,
  keepAliveClient,
  Ledger,
  streamClient,
  webSocketClient,
} from './clients.ts';
import { cloneClient, greetingClient, type SshEdge, writeKnownHosts } from './clients-ssh.ts';
import { GITHUB_HOST, porticoConfiguration, writePorticoKubeconfig } from './configuration.ts';
import type { ControlPlane } from './control-plane.ts';
import { EventWatch, type WatchedEvent } from './events.ts';
import type { Kubectl, Transcript } from './kubectl.ts';
import {
  nodeObject,
  podObject,
  podReadyStatus,
  RUN_LABEL,
  type ServiceName,
  type SliceEndpoint,
  serviceObject,
  sliceObject,
} from './objects.ts';
import { type ExpectedTarget, Portico } from './portico.ts';
import { choosePorts, type PortName } from './ports.ts';
import type { Report } from './report.ts';
import { createSshFixture, HealthCheckNodePort, SshPod } from './sshd.ts';

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
interface HandMade {
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
  /** Set by `start`. */
  nodePorts!: NodePorts;
  healthCheck!: HealthCheckNodePort;
  portico!: Portico;
  edge!: Edge;
  sshEdge!: SshEdge;
  ports!: Readonly<Record<PortName, number>>;
  /** HTTP pods that run now, by service name. */
  readonly pods = new Map<string, HttpPod[]>();
  readonly sshPods = new Map<string, SshPod>();
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

  /** Nodes, services, endpoints and their backends; then Portico, ready; then the clients. */
  async start(): Promise<void> {
    const programs = requirePeers(['sshd', 'ssh', 'ssh-keygen', 'git', 'curl']);
    this.ports = await choosePorts();
    this.events.start();
    this.nodePorts = new NodePorts(this.ports.healthz);
    await this.nodePorts.start();
    this.healthCheck = new HealthCheckNodePort(this.ssh.service);
    await this.healthCheck.start(this.ports.healthCheck);
    const fixture = await createSshFixture(path.join(this.directory, 'ssh'), programs);
    this.sshEdge = {
      address: '127.0.0.1',
      port: this.ports.ssh,
      ssh: programs.ssh,
      git: programs.git,
      user: os.userInfo().username,
      fixture,
      directory: path.join(this.directory, 'clones'),
    };
    this.edge = { address: '127.0.0.1', port: this.ports.web, host: GITHUB_HOST };
    await writeKnownHosts(this.sshEdge);
    await this.#createObjects();
    await this.#startPortico();
    this.#startClients(programs.curl);
  }

  /** Ends the clients, each after its last request. */
  async stopClients(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.stop()));
    this.#clients.length = 0;
  }

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
    if (this.controlPlane === null) {
      await this.#deleteObjects();
    }
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
  async startPod(service: ServiceName, node: string): Promise<HttpPod> {
    const index = this.#addresses++;
    const name = `${service.name}-${index}`;
    const pod = await this.startServer(service.name, name, node);
    await this.kubectl.apply([podObject(service, name, node)], { quiet: index < 20 });
    const status = JSON.stringify(podReadyStatus(`10.244.${Number(node.at(-1))}.${index}`));
    const parameters = ['patch', 'pod', name, '-n', service.namespace, '--subresource=status'];
    await this.kubectl.run([...parameters, '--type=merge', '-p', status], { quiet: true });
    return pod;
  }

  /** A pod's server without a pod object, for services whose slices are written by hand. */
  async startServer(service: string, name: string, node: string): Promise<HttpPod> {
    const pod = new HttpPod(service, name, node, this.arrivals);
    await pod.start();
    this.pods.set(service, [...(this.pods.get(service) ?? []), pod]);
    return pod;
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

  /** Writes the slice of a hand-made service as `endpoints` says. */
  async writeSlice(made: HandMade, quiet = false): Promise<void> {
    await this.kubectl.apply([sliceObject(made.service, made.port, made.endpoints)], { quiet });
  }

  handMadeEndpoint(node: string): SliceEndpoint {
    return { node, address: `10.244.${node.at(-1)}.${this.#addresses++}`, terminating: false };
  }

  async #createObjects(): Promise<void> {
    const { kubectl, ports } = this;
    this.transcript.sentence('Three nodes on loopback addresses, registered as a kubelet does it.');
    await kubectl.run(['create', '-f', '-'], {
      input: NODES.map((node) => JSON.stringify(nodeObject(node.name, this.run))).join('\n---\n'),
    });
    const namespaces = [...new Set([this.unicorn.namespace, this.ssh.service.namespace])];
    for (const namespace of namespaces) {
      await kubectl.run(['create', 'namespace', namespace]);
    }
    this.transcript.sentence(
      'Three services: `unicorn` with pods, whose slices the endpoint slice controller writes; `unicorn-api` and `ssh` with slices written by hand, so that each moment of a rollout can be chosen.',
    );
    await kubectl.apply([
      serviceObject(this.unicorn, {
        nodePort: ports.unicornNodePort,
        port: HTTP_PORT,
        policy: 'Cluster',
        app: this.unicorn.name,
      }),
      serviceObject(this.api.service, {
        nodePort: ports.apiNodePort,
        port: HTTP_PORT,
        policy: 'Local',
        app: null,
      }),
      serviceObject(this.ssh.service, {
        nodePort: ports.sshNodePort,
        port: SSH_PORT,
        policy: 'Local',
        app: null,
        healthCheckNodePort: ports.healthCheck,
      }),
    ]);
    for (const node of ['node-1', 'node-2']) {
      await this.startPod(this.unicorn, node);
      await this.startServer('unicorn-api', `unicorn-api-${node}`, node);
      this.api.endpoints.push(this.handMadeEndpoint(node));
      await this.startSshd(node);
      this.healthCheck.set(node, 1);
      this.ssh.endpoints.push(this.handMadeEndpoint(node));
    }
    await this.writeSlice(this.api);
    await this.writeSlice(this.ssh);
    await this.syncNodePorts('unicorn', ports.unicornNodePort, 'Cluster');
    await this.syncNodePorts('unicorn-api', ports.apiNodePort, 'Local');
    await kubectl.run(['get', 'nodes', '-l', `${RUN_LABEL}=${this.run}`, '-o', 'wide']);
    for (const namespace of namespaces) {
      await kubectl.run(['get', 'services,endpointslices', '-n', namespace]);
    }
  }

  async #startPortico(): Promise<void> {
    this.transcript.sentence(
      'Portico gets a service account with the rights of `deploy/rbac.yaml` and no other.',
    );
    const directory = path.join(this.directory, 'portico');
    await mkdir(directory, { recursive: true });
    const configuration = porticoConfiguration({
      kubeconfig: await writePorticoKubeconfig(this.kubectl, directory),
      run: this.run,
      ports: this.ports,
      directory,
      services: {
        unicorn: this.unicorn,
        api: this.api.service,
        ssh: this.ssh.service,
        late: this.late,
      },
    });
    this.portico = new Portico({
      directory,
      configuration,
      adminPort: this.ports.admin,
      transcript: this.transcript,
    });
    await this.portico.start();
    await this.portico.command(['check', this.portico.configurationFile]);
  }

  #startClients(curl: string): void {
    const { ledger, edge, sshEdge } = this;
    this.#clients.push(
      keepAliveClient(ledger, 'keep-alive GET /', edge, '/', 'GET', 40),
      keepAliveClient(ledger, 'keep-alive GET /api', edge, '/api/items', 'GET', 40),
      keepAliveClient(ledger, 'keep-alive POST /api', edge, '/api/items', 'POST', 100),
      curlClient(ledger, 'curl /', curl, edge, '/', 150),
      curlClient(ledger, 'curl /api', curl, edge, '/api/items', 150),
      streamClient(ledger, 'slow stream', edge, 4),
      webSocketClient(ledger, 'websocket', edge, 200),
      greetingClient(ledger, 'ssh session', sshEdge, 400),
      cloneClient(ledger, 'git clone', sshEdge, 'project.git', 1000),
      cloneClient(ledger, 'slow git clone', sshEdge, 'slow.git', 200),
    );
  }

  /** In a cluster of others: takes back what the run created. Its service account and role stay. */
  async #deleteObjects(): Promise<void> {
    const quiet = { quiet: true } as const;
    await this.kubectl.run(
      ['delete', 'nodes', '-l', `${RUN_LABEL}=${this.run}`, '--ignore-not-found'],
      quiet,
    );
    const namespaces = [...new Set([this.unicorn.namespace, this.ssh.service.namespace])];
    await this.kubectl.run(
      ['delete', 'pods', '--all', '-n', this.unicorn.namespace, '--force', '--grace-period=0'],
      quiet,
    );
    await this.kubectl.run(
      ['delete', 'namespace', ...namespaces, '--ignore-not-found', '--wait=false'],
      quiet,
    );
  }
}
