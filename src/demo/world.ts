// The demo's machines: nodes with their ports, pods behind them, and the ways to change both.

import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { at, type Json, type KubeObject } from './api/kube-object.ts';
import type { ObjectStore } from './api/object-store.ts';
import { type Arrival, HttpPods } from './http-pods.ts';
import { type NodePort, openEverywhere } from './node-ports.ts';
import {
  AUTOSCALER_TAINT,
  type DemoPod,
  type DemoService,
  EXCLUDE_LABEL,
  namespaceObject,
  nodeObject,
  readyCondition,
  SERVICES,
  serviceName,
  serviceObject,
  sliceObject,
} from './objects.ts';
import type { SshPods } from './ssh-pods.ts';

export interface WorldOptions {
  readonly store: ObjectStore;
  readonly sshPods: SshPods;
  /** One node for each loopback address. */
  readonly addresses: readonly string[];
  readonly random: () => number;
  /** Waits between the steps of a roll; rejects or resolves at once when the world ends. */
  readonly sleep: (ms: number) => Promise<void>;
}

interface DemoNode {
  readonly name: string;
  readonly address: string;
  readonly ports: NodePort[];
  alive: boolean;
}

const KUBE_PROXY_PORT = 10_256;
/** Between the steps of a roll: long enough to watch, short enough to wait for. */
const ROLL_STEP_MS = 500;

export class World {
  readonly #options: WorldOptions;
  readonly #nodes: DemoNode[];
  readonly #pods = new Map<DemoService, DemoPod[]>();
  readonly #connections = new Map<Socket, Arrival>();
  readonly #httpPods = new HttpPods();
  readonly #rolling = new Set<DemoService>();
  #turn = 0;
  #podsMade = 0;
  #kubeProxyPort = KUBE_PROXY_PORT;

  private constructor(options: WorldOptions) {
    this.#options = options;
    this.#nodes = options.addresses.map((address, i) => ({
      name: `node-${i + 1}`,
      address,
      ports: [],
      alive: true,
    }));
  }

  /** Opens every port and puts every object into the store. */
  static async create(options: WorldOptions): Promise<World> {
    const world = new World(options);
    try {
      await world.#build();
    } catch (error) {
      await world.close();
      throw error;
    }
    return world;
  }

  get nodeNames(): readonly string[] {
    return this.#nodes.map(({ name }) => name);
  }

  /** Where every node answers kube-proxy's `/healthz`; 10256 when that was free. */
  get kubeProxyPort(): number {
    return this.#kubeProxyPort;
  }

  /** Cuts the power: every port closes, connections are reset, the node turns NotReady and its pods unready. */
  async kill(name: string): Promise<void> {
    const node = this.#node(name);
    node.alive = false;
    await Promise.all(node.ports.map((port) => port.close()));
    for (const [socket, { pod }] of this.#connections) if (pod.node === name) socket.resetAndDestroy();
    this.#report(node);
  }

  /** Switches a killed node on again. */
  async revive(name: string): Promise<void> {
    const node = this.#node(name);
    for (const port of node.ports) await port.reopen();
    node.alive = true;
    this.#report(node);
  }

  /** Sets or takes away the label that keeps a node out of external load balancers. */
  exclude(name: string, excluded: boolean): void {
    this.#changeNode(name, (node) => {
      const labels = new Map(Object.entries(node.metadata.labels ?? {}));
      if (excluded) labels.set(EXCLUDE_LABEL, 'true');
      else labels.delete(EXCLUDE_LABEL);
      return { ...node, metadata: { ...node.metadata, labels: Object.fromEntries(labels) } };
    });
  }

  /** Sets or takes away the taint by which the cluster autoscaler announces a node's end. */
  taint(name: string, tainted: boolean): void {
    this.#changeNode(name, (node) => {
      const old = at(node, 'spec', 'taints');
      const others = (Array.isArray(old) ? (old as readonly Json[]) : []).filter(
        (taint) => at(taint, 'key') !== AUTOSCALER_TAINT,
      );
      const taints = tainted
        ? [...others, { key: AUTOSCALER_TAINT, value: '1', effect: 'NoSchedule' }]
        : others;
      const spec = at(node, 'spec');
      return { ...node, spec: { ...(typeof spec === 'object' ? spec : {}), taints } };
    });
  }

  /** Replaces the pods of a service one by one: the new one is ready before the old one ends. */
  async roll(name: string): Promise<void> {
    const service = SERVICES.find((candidate) => serviceName(candidate) === name);
    if (service === undefined) throw new UnknownNameError(`service ${name}`);
    if (this.#rolling.has(service)) return;
    this.#rolling.add(service);
    try {
      for (const old of [...(this.#pods.get(service) ?? [])]) {
        this.#addPod(service, old.node);
        this.#publish(service);
        await this.#options.sleep(ROLL_STEP_MS);
        old.state = 'terminating';
        this.#publish(service);
        await this.#options.sleep(ROLL_STEP_MS);
        this.#removePod(old);
        this.#publish(service);
      }
    } finally {
      this.#rolling.delete(service);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.flatMap((node) => node.ports.map((port) => port.close())));
  }

  async #build(): Promise<void> {
    const { store } = this.#options;
    for (const name of new Set(SERVICES.map(({ namespace }) => namespace))) {
      store.put('namespaces', namespaceObject(name));
    }
    for (const node of this.#nodes) store.put('nodes', nodeObject(node.name, node.address));
    const healthz = createServer((request, response) => {
      response.statusCode = request.url === '/healthz' ? 200 : 404;
      response.end();
    });
    this.#kubeProxyPort = await this.#openPorts(KUBE_PROXY_PORT, (_node, socket) =>
      healthz.emit('connection', socket),
    );
    for (const [index, service] of SERVICES.entries()) {
      const nodePort = await this.#openPorts(null, (node, socket) => this.#accept(node, service, socket));
      store.put('services', serviceObject(service, nodePort, index));
      for (const [n, node] of this.#nodes.entries()) {
        for (let pod = 0; pod < (service.podsByNode[n] ?? 0); pod++) this.#addPod(service, node.name);
      }
      this.#publish(service);
    }
  }

  async #openPorts(
    wanted: number | null,
    onSocket: (node: DemoNode, socket: Socket) => void,
  ): Promise<number> {
    const { addresses, random } = this.#options;
    const ports = await openEverywhere(addresses, wanted, random, (address, socket) => {
      onSocket(this.#nodes.find((node) => node.address === address) as DemoNode, socket);
    });
    for (const [n, port] of ports.entries()) this.#nodes[n]?.ports.push(port);
    return (ports[0] as NodePort).port;
  }

  /** What kube-proxy does with a connection: it picks a pod, on this node only when the policy is Local. */
  #accept(node: DemoNode, service: DemoService, socket: Socket): void {
    const pods = (this.#pods.get(service) ?? []).filter((pod) => this.#node(pod.node).alive);
    const local = pods.filter((pod) => pod.node === node.name);
    const object = this.#options.store.get('services', service.namespace, service.name);
    const eligible = at(object, 'spec', 'externalTrafficPolicy') === 'Local' ? local : pods;
    const ready = eligible.filter(({ state }) => state === 'ready');
    const candidates = ready.length > 0 ? ready : eligible;
    const pod = candidates[this.#turn++ % Math.max(1, candidates.length)];
    if (pod === undefined) {
      socket.resetAndDestroy();
      return;
    }
    const arrival = { node: node.name, address: node.address, pod };
    this.#connections.set(socket, arrival);
    socket.once('close', () => this.#connections.delete(socket));
    if (service.protocol === 'ssh') this.#options.sshPods.serve(socket, arrival);
    else this.#httpPods.serve(socket, arrival);
  }

  #addPod(service: DemoService, node: string): void {
    const n = ++this.#podsMade;
    const pods = this.#pods.get(service) ?? [];
    const name = `${service.name}-${n.toString(36).padStart(4, '0')}`;
    pods.push({ name, service, node, address: `10.244.${n >> 8}.${n & 255}`, state: 'ready' });
    this.#pods.set(service, pods);
  }

  #removePod(pod: DemoPod): void {
    const pods = this.#pods.get(pod.service) ?? [];
    this.#pods.set(
      pod.service,
      pods.filter((other) => other !== pod),
    );
    // HTTP answers are written in one go, so ending a connection cuts none short; SSH sessions finish by themselves.
    for (const [socket, arrival] of this.#connections) {
      if (arrival.pod === pod && pod.service.protocol === 'http') socket.end();
    }
  }

  #publish(service: DemoService): void {
    const pods = this.#pods.get(service) ?? [];
    this.#options.store.put(
      'endpointslices',
      sliceObject(service, pods, (name) => this.#node(name).alive),
    );
  }

  /** What the control plane learns of a node that went or came back. */
  #report(node: DemoNode): void {
    this.#changeNode(node.name, (object) => {
      const status = at(object, 'status');
      return {
        ...object,
        status: { ...(typeof status === 'object' ? status : {}), conditions: [readyCondition(node.alive)] },
      };
    });
    for (const service of SERVICES) this.#publish(service);
  }

  #changeNode(name: string, change: (node: KubeObject) => KubeObject): void {
    const { store } = this.#options;
    // A node whose object was deleted through the API is registered anew, as a kubelet does.
    const object = store.get('nodes', undefined, name) ?? nodeObject(name, this.#node(name).address);
    store.put('nodes', change(object));
  }

  #node(name: string): DemoNode {
    const node = this.#nodes.find((candidate) => candidate.name === name);
    if (node === undefined) throw new UnknownNameError(`node ${name}`);
    return node;
  }
}

/** Someone named a node or service that the demo does not have. */
export class UnknownNameError extends Error {
  constructor(what: string) {
    super(`the demo has no ${what}`);
    this.name = 'UnknownNameError';
  }
}
