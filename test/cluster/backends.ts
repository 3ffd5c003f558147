// The nodes' side: pods that answer HTTP, and on each node's address the ports that kube-proxy would open for them.

import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocketServer } from 'ws';

export interface NodeAddress {
  readonly name: string;
  /** A loopback address, one for each node. */
  readonly address: string;
}

/** Every 127.0.0.0/8 address answers on Linux, so three nodes need no interface of their own. */
export const NODES: readonly NodeAddress[] = [
  { name: 'node-1', address: '127.0.0.11' },
  { name: 'node-2', address: '127.0.0.12' },
  { name: 'node-3', address: '127.0.0.13' },
];

/** Health checks of Portico ask for it; nothing else does. */
export const PROBE_PATH = '/_ping';
const STREAM_STEP_MS = 100;
/** A pod that is told to end gives what it has in flight this long. */
const END_LIMIT_MS = 10_000;

/** A request as a pod saw it: which node's address it came in by. */
export interface Arrival {
  /** `performance.now()` of this process. */
  readonly atMs: number;
  readonly service: string;
  readonly node: string;
  readonly pod: string;
  readonly what: string;
}

/** All arrivals but probes, in order. */
export class ArrivalLog {
  readonly #arrivals: Arrival[] = [];
  /** Health checks, counted apart: they may go where no traffic may. */
  probes = 0;

  add(arrival: Arrival): void {
    this.#arrivals.push(arrival);
  }

  get total(): number {
    return this.#arrivals.length;
  }

  /** Arrivals of the service at the node at or after the instant. */
  since(service: string, node: string, atMs: number): readonly Arrival[] {
    return this.#arrivals.filter((a) => a.service === service && a.node === node && a.atMs >= atMs);
  }
}

/** One HTTP server with a life like a pod's: it serves, it terminates (still serving), it ends. */
export class HttpPod {
  readonly name: string;
  readonly service: string;
  readonly node: string;
  readonly #server: http.Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly #arrivals: ArrivalLog;
  /** Handed over by nodes: the server itself counts only those that it accepted. */
  readonly #connections = new Set<net.Socket>();
  #terminating = false;

  constructor(service: string, name: string, node: string, arrivals: ArrivalLog) {
    this.service = service;
    this.name = name;
    this.node = node;
    this.#arrivals = arrivals;
    // Longer than any pooled connection of a balancer idles, as application servers are set behind one.
    this.#server = http.createServer({ keepAliveTimeout: 65_000, requestTimeout: 0 }, (request, response) => {
      void this.#answer(request, response);
    });
    this.#server.on('upgrade', (request, socket, head) => {
      this.#arrived(request);
      this.#sockets.handleUpgrade(request, socket, head, (socket) => {
        socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
        // A client that vanished is the client's own business; its ledger has the failure.
        socket.on('error', () => {});
      });
    });
  }

  /** Listens on a port of its own: connections come through the nodes, this only makes the server a live one. */
  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /** Takes over a connection that a node accepted. */
  accept(socket: net.Socket): void {
    this.#connections.add(socket);
    socket.once('close', () => this.#connections.delete(socket));
    this.#server.emit('connection', socket);
  }

  /** The kubelet has sent SIGTERM: it goes on serving and asks its connections to go. */
  terminate(): void {
    this.#terminating = true;
  }

  /** The end of the grace period: WebSockets are told, requests in flight finish, idle connections close. */
  async end(): Promise<void> {
    this.#terminating = true;
    this.#server.close();
    for (const socket of this.#sockets.clients) {
      socket.close(1001, 'the pod ends');
    }
    const deadline = performance.now() + END_LIMIT_MS;
    while (this.#connections.size > 0 && performance.now() < deadline) {
      this.#server.closeIdleConnections();
      await delay(50);
    }
    for (const socket of this.#connections) {
      socket.destroy();
    }
  }

  #arrived(request: http.IncomingMessage): void {
    const node = NODES.find((n) => n.address === request.socket.localAddress)?.name ?? 'direct';
    const what = `${request.method} ${request.url}`;
    this.#arrivals.add({ atMs: performance.now(), service: this.service, node, pod: this.name, what });
  }

  async #answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    if (request.url === PROBE_PATH) {
      this.#arrivals.probes++;
      response.end('ok\n');
      return;
    }
    this.#arrived(request);
    if (this.#terminating) {
      response.setHeader('connection', 'close');
    }
    response.setHeader('x-pod', this.name);
    const url = new URL(request.url ?? '/', 'http://pod');
    if (url.pathname.endsWith('/stream')) {
      await stream(response, Number(url.searchParams.get('seconds') ?? '3'));
      return;
    }
    let bytes = 0;
    for await (const chunk of request) {
      bytes += (chunk as Buffer).length;
    }
    response.setHeader('content-type', 'application/json');
    response.end(`${JSON.stringify({ service: this.service, pod: this.name, node: this.node, bytes })}\n`);
  }
}

/** Numbered lines at a steady pace; a client can tell a stream that was cut. */
async function stream(response: http.ServerResponse, seconds: number): Promise<void> {
  const lines = Math.round((seconds * 1000) / STREAM_STEP_MS);
  response.setHeader('content-type', 'text/plain');
  for (let line = 0; line < lines && !response.destroyed; line++) {
    response.write(`${line}\n`);
    await delay(STREAM_STEP_MS);
  }
  response.end('end\n');
}

export interface Endpoint {
  readonly pod: HttpPod;
  readonly terminating: boolean;
}

/** What the kube-proxies of all nodes have been told about one service port. */
export interface NodePortRule {
  readonly service: string;
  readonly nodePort: number;
  readonly policy: 'Cluster' | 'Local';
  readonly endpoints: readonly Endpoint[];
}

/** kube-proxy's part for HTTP services on every node, and its `/healthz`. */
export class NodePorts {
  /** Of kube-proxy on every node; 10256 on real ones, which another program on this machine may hold. */
  readonly healthzPort: number;
  readonly #rules = new Map<string, NodePortRule>();
  readonly #listeners = new Map<string, net.Server>();
  readonly #healthz: http.Server[] = [];
  readonly #unhealthyNodes = new Set<string>();
  /** Connections accepted on a node that had nowhere to go; a real node would drop or refuse them. */
  strays = 0;

  constructor(healthzPort: number) {
    this.healthzPort = healthzPort;
  }

  async start(): Promise<void> {
    for (const node of NODES) {
      const server = http.createServer((_, response) => {
        const healthy = !this.#unhealthyNodes.has(node.name);
        response.writeHead(healthy ? 200 : 503, { 'content-type': 'application/json' });
        response.end(`${JSON.stringify({ lastUpdated: new Date().toISOString(), nodeEligible: healthy })}\n`);
      });
      server.listen(this.healthzPort, node.address);
      await once(server, 'listening');
      this.#healthz.push(server);
    }
  }

  /** kube-proxy says 503 while its node carries the autoscaler's taint or is being deleted. */
  setNodeEligible(node: string, eligible: boolean): void {
    if (eligible) {
      this.#unhealthyNodes.delete(node);
    } else {
      this.#unhealthyNodes.add(node);
    }
  }

  /** The kube-proxies have synced: ports open and close, new connections follow the rule, old ones stay. */
  async apply(rule: NodePortRule): Promise<void> {
    this.#rules.set(rule.service, rule);
    for (const node of NODES) {
      const key = `${rule.service} ${node.name}`;
      const listener = this.#listeners.get(key);
      const isOpen = eligible(rule, node.name).length > 0;
      const isMoved = listener !== undefined && (listener.address() as AddressInfo).port !== rule.nodePort;
      if (listener !== undefined && (!isOpen || isMoved)) {
        this.#listeners.delete(key);
        listener.close();
      }
      if (isOpen && !this.#listeners.has(key)) {
        const server = net.createServer((socket) => this.#accept(rule.service, node.name, socket));
        server.listen(rule.nodePort, node.address);
        await once(server, 'listening');
        this.#listeners.set(key, server);
      }
    }
  }

  async remove(service: string): Promise<void> {
    const rule = this.#rules.get(service);
    if (rule !== undefined) {
      await this.apply({ ...rule, endpoints: [] });
      this.#rules.delete(service);
    }
  }

  close(): void {
    for (const server of [...this.#listeners.values(), ...this.#healthz]) {
      server.close();
    }
    for (const server of this.#healthz) {
      server.closeAllConnections();
    }
  }

  #accept(service: string, node: string, socket: net.Socket): void {
    const rule = this.#rules.get(service);
    const candidates = rule === undefined ? [] : eligible(rule, node);
    // At random, as kube-proxy does: taking turns would fall into step with clients that take turns themselves.
    const endpoint = candidates[Math.floor(Math.random() * candidates.length)];
    if (endpoint === undefined) {
      this.strays++;
      socket.resetAndDestroy();
      return;
    }
    endpoint.pod.accept(socket);
  }
}

/** Ready endpoints, or those that terminate and still serve when there is no other (KEP-1669), on the node for Local. */
function eligible(rule: NodePortRule, node: string): readonly Endpoint[] {
  const inScope =
    rule.policy === 'Local' ? rule.endpoints.filter((e) => e.pod.node === node) : rule.endpoints;
  const ready = inScope.filter((e) => !e.terminating);
  return ready.length > 0 ? ready : inScope;
}
