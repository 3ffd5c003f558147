// The API servers of the scale benchmark, one for each cluster: lists in pages, watches, bookmarks and resource versions
// over HTTP, and objects that change at the rate that was asked for.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import {
  CLUSTERS,
  nodeObject,
  nodesOf,
  type RawObject,
  type Size,
  serviceObject,
  servicesOf,
  sliceObjects,
} from './objects.ts';

export type Resource = 'nodes' | 'services' | 'endpointslices';

/** What the benchmark tells this process. */
export type ApiCommand =
  | { readonly kind: 'churn'; readonly perSecond: number }
  | { readonly kind: 'rest' }
  | { readonly kind: 'report' };

export interface SentEvent {
  /** As the object names it: `node:RV`, or `slice/NAME:RV`. */
  readonly by: string;
  readonly cluster: string;
  /** Epoch milliseconds, before the event is written. */
  readonly atMs: number;
}

export type ApiAnswer =
  | { readonly kind: 'ports'; readonly ports: readonly number[] }
  /** Since the last report. */
  | {
      readonly kind: 'report';
      readonly events: readonly SentEvent[];
      readonly bookmarks: number;
      /** Requests by `list` or `watch` and resource. */
      readonly requests: Readonly<Record<string, number>>;
    };

const BOOKMARK_MS = 10_000;
const TICK_MS = 5;
/** Of all events; the rest are endpoint slices. */
const NODE_SHARE = 0.25;
const KINDS: Readonly<Record<Resource, { readonly kind: string; readonly apiVersion: string }>> = {
  nodes: { kind: 'Node', apiVersion: 'v1' },
  services: { kind: 'Service', apiVersion: 'v1' },
  endpointslices: { kind: 'EndpointSlice', apiVersion: 'discovery.k8s.io/v1' },
};

const clockMs = (): number => performance.timeOrigin + performance.now();

class ClusterApi {
  readonly #size: Size;
  readonly #cluster: number;
  readonly #objects: Readonly<Record<Resource, Map<string, RawObject>>>;
  readonly #watchers: Readonly<Record<Resource, Set<ServerResponse>>> = {
    nodes: new Set(),
    services: new Set(),
    endpointslices: new Set(),
  };
  readonly #moved = new Map<number, number>();
  readonly #notReady = new Set<number>();
  #version = 1;
  bookmarks = 0;
  requests: Record<string, number> = {};

  constructor(size: Size, cluster: number) {
    this.#size = size;
    this.#cluster = cluster;
    const nodes = Array.from({ length: nodesOf(size, cluster) }, (_, node) =>
      nodeObject(cluster, node, true),
    );
    const services = Array.from({ length: servicesOf(size, cluster) }, (_, service) => service);
    this.#objects = {
      nodes: byName(nodes),
      services: byName(services.map((service) => serviceObject(cluster, service))),
      endpointslices: byName(services.flatMap((service) => sliceObjects(size, cluster, service, 0))),
    };
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://api');
    const resource = url.pathname.split('/').at(-1) as Resource;
    if (!(resource in KINDS)) {
      response.writeHead(404).end();
      return;
    }
    const watch = url.searchParams.get('watch') === 'true';
    const counted = `${watch ? 'watch' : 'list'} ${resource}`;
    this.requests[counted] = (this.requests[counted] ?? 0) + 1;
    response.setHeader('content-type', 'application/json');
    if (watch) this.#watch(resource, response);
    else this.#list(resource, url.searchParams, response);
  }

  /** A page; the continue token is where the next one begins. Nothing changes while the lists are read. */
  #list(resource: Resource, query: URLSearchParams, response: ServerResponse): void {
    const all = [...this.#objects[resource].values()];
    const from = Number(query.get('continue') ?? 0);
    const limit = Number(query.get('limit') ?? 0) || all.length;
    const items = all.slice(from, from + limit);
    const next = from + items.length;
    const more = next < all.length ? { continue: String(next), remainingItemCount: all.length - next } : {};
    const { kind, apiVersion } = KINDS[resource];
    response.end(
      JSON.stringify({
        kind: `${kind}List`,
        apiVersion,
        metadata: { resourceVersion: String(this.#version), ...more },
        items,
      }),
    );
  }

  #watch(resource: Resource, response: ServerResponse): void {
    const watchers = this.#watchers[resource];
    watchers.add(response);
    response.flushHeaders();
    response.on('close', () => watchers.delete(response));
  }

  bookmark(): void {
    for (const resource of Object.keys(KINDS) as Resource[]) {
      const { kind, apiVersion } = KINDS[resource];
      const object = { kind, apiVersion, metadata: { resourceVersion: String(this.#version) } };
      for (const watcher of this.#watchers[resource]) {
        watcher.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
        this.bookmarks += 1;
      }
    }
  }

  /** A node goes NotReady or comes back: it is used last or as before, in every pool of the cluster. */
  changeNode(random: () => number): SentEvent {
    const node = Math.floor(random() * nodesOf(this.#size, this.#cluster));
    const ready = this.#notReady.has(node);
    if (ready) this.#notReady.delete(node);
    else this.#notReady.add(node);
    return this.#put('nodes', 'node', nodeObject(this.#cluster, node, ready));
  }

  /** A pod is replaced on another node. */
  moveEndpoint(random: () => number): SentEvent {
    const service = Math.floor(random() * servicesOf(this.#size, this.#cluster));
    const moved = (this.#moved.get(service) ?? 0) + 1;
    this.#moved.set(service, moved);
    const [slice] = sliceObjects(this.#size, this.#cluster, service, moved);
    return this.#put('endpointslices', `slice/${slice!.metadata.name}`, slice!);
  }

  #put(resource: Resource, name: string, object: RawObject): SentEvent {
    this.#version += 1;
    object.metadata.resourceVersion = String(this.#version);
    this.#objects[resource].set(object.metadata.name, object);
    const line = `${JSON.stringify({ type: 'MODIFIED', object })}\n`;
    const atMs = clockMs();
    for (const watcher of this.#watchers[resource]) watcher.write(line);
    return { by: `${name}:${this.#version}`, cluster: CLUSTERS[this.#cluster]!, atMs };
  }
}

function byName(objects: readonly RawObject[]): Map<string, RawObject> {
  return new Map(objects.map((object) => [object.metadata.name, object]));
}

/** Park and Miller's generator: the same events in every run. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

async function serve(size: Size): Promise<void> {
  const apis = CLUSTERS.map((_, cluster) => new ClusterApi(size, cluster));
  const ports = await Promise.all(
    apis.map(
      (api) =>
        new Promise<number>((resolve) => {
          const server = createServer((request, response) => api.answer(request, response));
          server.keepAliveTimeout = 120_000;
          server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
        }),
    ),
  );
  const random = createRandom(7);
  let events: SentEvent[] = [];
  let perSecond = 0;
  let owed = 0;
  let lastMs = performance.now();
  setInterval(() => {
    const nowMs = performance.now();
    owed = Math.min(owed + ((nowMs - lastMs) * perSecond) / 1000, perSecond);
    lastMs = nowMs;
    for (; owed >= 1; owed -= 1) {
      const api = apis[Math.floor(random() * apis.length)]!;
      events.push(random() < NODE_SHARE ? api.changeNode(random) : api.moveEndpoint(random));
    }
  }, TICK_MS);
  setInterval(() => {
    for (const api of apis) api.bookmark();
  }, BOOKMARK_MS);
  const tell = (answer: ApiAnswer): void => void process.send?.(answer);
  process.on('message', (command: ApiCommand) => {
    if (command.kind === 'churn') perSecond = command.perSecond;
    else if (command.kind === 'rest') perSecond = 0;
    else {
      const requests: Record<string, number> = {};
      let bookmarks = 0;
      for (const api of apis) {
        for (const [name, count] of Object.entries(api.requests))
          requests[name] = (requests[name] ?? 0) + count;
        bookmarks += api.bookmarks;
        api.requests = {};
        api.bookmarks = 0;
      }
      tell({ kind: 'report', events, bookmarks, requests });
      events = [];
    }
  });
  process.on('disconnect', () => process.exit(0));
  tell({ kind: 'ports', ports });
}

await serve(JSON.parse(process.argv[2] ?? '') as Size);
