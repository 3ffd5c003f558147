// The stand-in Kubernetes API over HTTP on loopback: discovery, get, list, watch, patch and delete.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Listening, listen } from '../listening.ts';
import { isLocal } from '../local-only.ts';
import { DISCOVERY, KINDS, type ResourceKind } from './discovery.ts';
import { isJsonObject, type Json, type JsonObject, type KubeObject } from './kube-object.ts';
import type { ObjectStore } from './object-store.ts';
import { PATCH_TYPES } from './patch.ts';
import { parseSelectors } from './selector.ts';
import { badRequest, expired, failure, notFound } from './status.ts';
import { tableOf } from './tables.ts';
import { streamWatch } from './watch-stream.ts';

export interface ApiServerOptions {
  readonly store: ObjectStore;
  /** The time, epoch milliseconds. */
  readonly now: () => number;
  /** Time between two bookmarks of a watch. Default 10 s; the real API takes about a minute. */
  readonly bookmarkMs?: number;
}

export interface ApiServer {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  close(): Promise<void>;
}

interface Target {
  readonly kind: ResourceKind;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
}

/** What is left of a list, as the cluster was at one version. */
interface PagedList {
  readonly version: number;
  readonly rest: readonly KubeObject[];
}

const BODY_LIMIT = 1024 * 1024;
/** Lists that clients are paging through; the oldest is forgotten, and its next page answered 410. */
const PAGED_LISTS_LIMIT = 64;
const WATCH_TIMEOUT_MS = 30 * 60_000;

/** Starts on a free port of 127.0.0.1. */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const handler = new ApiHandler(options);
  const server = createServer((request, response) => void handler.handle(request, response));
  const listening: Listening = await listen(server, '127.0.0.1', 0);
  return {
    url: `http://127.0.0.1:${listening.port}`,
    close: async () => {
      handler.abort();
      await closeHttp(server, listening);
    },
  };
}

async function closeHttp(server: Server, listening: Listening): Promise<void> {
  const closed = listening.close();
  server.closeAllConnections();
  await closed;
}

class ApiHandler {
  readonly #options: ApiServerOptions;
  readonly #abort = new AbortController();
  readonly #pages = new Map<string, PagedList>();
  #nextPage = 1;

  constructor(options: ApiServerOptions) {
    this.#options = options;
  }

  abort(): void {
    this.#abort.abort();
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#answer(request, response);
    } catch (error) {
      // What is thrown here is an unreadable body or a patch that cannot be applied: the client's doing.
      const message = error instanceof Error ? error.message : String(error);
      if (response.headersSent) response.destroy();
      else send(response, badRequest(message));
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (['/healthz', '/livez', '/readyz'].includes(url.pathname)) {
      response.end('ok');
      return;
    }
    // No token: kubectl sends credentials over TLS alone, and a plain server on loopback is all that is wanted here.
    if (!isLocal(request))
      return send(response, failure(403, 'Forbidden', 'for programs on this machine only'));
    const document = Object.hasOwn(DISCOVERY, url.pathname) ? DISCOVERY[url.pathname] : undefined;
    if (document !== undefined) return send(response, document);
    const target = targetOf(url.pathname);
    if (target === null)
      return send(response, failure(404, 'NotFound', 'the server could not find the requested resource'));
    if (request.method === 'GET' && target.name === undefined)
      return this.#list(target, url, request, response);
    if (target.name === undefined)
      return send(response, failure(405, 'MethodNotAllowed', 'not served by the demo'));
    return this.#one(target, target.name, request, response);
  }

  #list(target: Target, url: URL, request: IncomingMessage, response: ServerResponse): void {
    const { store } = this.#options;
    const query = url.searchParams;
    const selects = parseSelectors(query.get('labelSelector'), query.get('fieldSelector'));
    if (selects === null) {
      send(response, badRequest('this form of selector is not served by the demo'));
    } else if (isTrue(query.get('watch'))) {
      const seconds = Number(query.get('timeoutSeconds') ?? 0);
      const watch = {
        ...target,
        selects,
        resourceVersion: query.get('resourceVersion'),
        bookmarks: isTrue(query.get('allowWatchBookmarks')),
        timeoutMs: seconds > 0 ? Math.min(seconds * 1000, WATCH_TIMEOUT_MS) : WATCH_TIMEOUT_MS,
      };
      streamWatch(store, watch, response, this.#options.bookmarkMs ?? 10_000, this.#abort.signal);
    } else {
      const token = query.get('continue') ?? '';
      const whole = {
        version: store.version,
        rest: store.list(target.kind.resource, target.namespace).filter(selects),
      };
      const list = token === '' ? whole : this.#pages.get(token);
      if (list === undefined) send(response, expired('The provided continue parameter is too old'));
      else this.#page(target.kind, list, Number(query.get('limit') ?? 0), request, response);
    }
  }

  #page(
    kind: ResourceKind,
    list: PagedList,
    limit: number,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const items = limit > 0 ? list.rest.slice(0, limit) : list.rest;
    const rest = list.rest.slice(items.length);
    const metadata = {
      resourceVersion: String(list.version),
      ...(rest.length > 0
        ? { continue: this.#hold({ version: list.version, rest }), remainingItemCount: rest.length }
        : {}),
    };
    const plain = { kind: `${kind.kind}List`, apiVersion: kind.apiVersion, metadata, items };
    this.#sendObjects(kind, items, metadata, request, response, plain);
  }

  async #one(
    target: Target,
    name: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { store } = this.#options;
    const { resource, kind } = target.kind;
    const old = store.get(resource, target.namespace, name);
    if (old === undefined) return send(response, notFound(`${resource} "${name}"`));
    if (request.method === 'GET') {
      const metadata = { resourceVersion: old.metadata.resourceVersion ?? '' };
      return this.#sendObjects(target.kind, [old], metadata, request, response, old);
    }
    if (request.method === 'DELETE') {
      store.remove(resource, target.namespace, name);
      return send(response, {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Success',
        details: { name, kind },
      });
    }
    if (request.method !== 'PATCH')
      return send(response, failure(405, 'MethodNotAllowed', 'not served by the demo'));
    const type = (request.headers['content-type'] ?? '').split(';')[0] as keyof typeof PATCH_TYPES;
    if (!Object.hasOwn(PATCH_TYPES, type)) {
      return send(response, failure(415, 'UnsupportedMediaType', 'not a patch type that the demo serves'));
    }
    const patched = PATCH_TYPES[type](old, JSON.parse(await bodyOf(request)) as Json);
    if (!isJsonObject(patched) || !isJsonObject(patched['metadata']))
      return send(response, badRequest('not an object'));
    // What identifies an object is not the client's to change.
    const { uid, creationTimestamp, resourceVersion } = old.metadata;
    const identity = { name, uid, creationTimestamp, resourceVersion };
    const namespace = target.namespace === undefined ? {} : { namespace: target.namespace };
    const { apiVersion } = old;
    const metadata = { ...patched['metadata'], ...namespace, ...identity } as KubeObject['metadata'];
    return send(response, store.put(resource, { ...patched, apiVersion, kind, metadata }));
  }

  /** Keeps the rest of a list, so that all its pages show the cluster at one version. */
  #hold(list: PagedList): string {
    const token = `page-${this.#nextPage++}`;
    this.#pages.set(token, list);
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size <= PAGED_LISTS_LIMIT) break;
      this.#pages.delete(oldest);
    }
    return token;
  }

  #sendObjects(
    kind: ResourceKind,
    objects: readonly KubeObject[],
    metadata: JsonObject,
    request: IncomingMessage,
    response: ServerResponse,
    plain: JsonObject,
  ): void {
    const wantsTable = /;as=Table;v=v1;g=meta\.k8s\.io/.test(request.headers.accept ?? '');
    send(response, wantsTable ? tableOf(kind.resource, objects, metadata, this.#options.now()) : plain);
  }
}

const isTrue = (value: string | null): boolean => value === 'true' || value === '1';

function targetOf(path: string): Target | null {
  for (const kind of KINDS) {
    if (!path.startsWith(`${kind.root}/`)) continue;
    const rest = path
      .slice(kind.root.length + 1)
      .split('/')
      .map(decodeURIComponent);
    const inNamespace = kind.namespaced && rest[0] === 'namespaces' && rest.length >= 3;
    const namespace = inNamespace ? rest[1] : undefined;
    const [resource, name, ...more] = inNamespace ? rest.slice(2) : rest;
    if (resource !== kind.resource || more.length > 0) continue;
    return { kind, namespace, name };
  }
  return null;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_LIMIT) throw new Error('the body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, document: JsonObject): void {
  const failed = document['kind'] === 'Status' && typeof document['code'] === 'number';
  response.writeHead(failed ? (document['code'] as number) : 200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(document));
}
