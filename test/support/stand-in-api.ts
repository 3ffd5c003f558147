// A stand-in Kubernetes API server for tests: real HTTP or HTTPS with list, paging, watch and bookmarks, and a script
// of faults. It behaves until a test tells it not to.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

export type StandInResource = 'nodes' | 'services' | 'endpointslices' | 'secrets';

// biome-ignore lint/suspicious/noExplicitAny: tests build API objects of every shape, broken ones most of all.
export type RawObject = Record<string, any>;

export interface StandInRequest {
  readonly resource: StandInResource;
  readonly namespace: string | null;
  readonly watch: boolean;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly socket: Socket;
}

/** Answers a request in place of the stand-in; returns false to let it answer as usual. */
export type Fault = (request: StandInRequest, response: ServerResponse, api: StandInApi) => boolean;

export interface StandInOptions {
  readonly tls?: {
    readonly cert: string;
    readonly key: string;
    /** Given, a client certificate of this authority is required. */
    readonly clientCa?: string;
  };
  /** Given, other bearer tokens get 401. May be changed while running. */
  readonly token?: string;
  /** A path before `/api`, as some proxies have. */
  readonly basePath?: string;
}

interface StoredEvent {
  readonly version: number;
  readonly resource: StandInResource;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: RawObject;
}

interface Watcher {
  readonly request: StandInRequest;
  readonly response: ServerResponse;
}

interface Scripted {
  readonly match: (request: StandInRequest) => boolean;
  readonly fault: Fault;
  left: number;
}

const shapes: Record<StandInResource, { kind: string; apiVersion: string }> = {
  nodes: { kind: 'Node', apiVersion: 'v1' },
  services: { kind: 'Service', apiVersion: 'v1' },
  endpointslices: { kind: 'EndpointSlice', apiVersion: 'discovery.k8s.io/v1' },
  secrets: { kind: 'Secret', apiVersion: 'v1' },
};

export class StandInApi {
  token: string | undefined;
  /** Every request that came, in order. */
  readonly requests: StandInRequest[] = [];
  readonly sockets = new Set<Socket>();
  readonly #server: Server;
  readonly #options: StandInOptions;
  readonly #objects = new Map<string, { resource: StandInResource; object: RawObject }>();
  readonly #events: StoredEvent[] = [];
  readonly #watchers = new Set<Watcher>();
  readonly #scripts: Scripted[] = [];
  readonly #waiting = new Set<() => void>();
  #version = 1000;
  #compacted = 0;
  #expiredTokens = false;

  private constructor(options: StandInOptions) {
    this.#options = options;
    this.token = options.token;
    const { tls } = options;
    const answer = (request: IncomingMessage, response: ServerResponse): void =>
      this.#answer(request, response);
    this.#server =
      tls === undefined
        ? createServer(answer)
        : createTlsServer(
            {
              cert: tls.cert,
              key: tls.key,
              ...(tls.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true }),
            },
            answer,
          );
    this.#server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.on('close', () => {
        this.sockets.delete(socket);
        this.#wake();
      });
      socket.on('error', () => {
        // A client that aborts resets its connection: that is what many tests make it do.
      });
    });
  }

  /** Listens on a free port of 127.0.0.1, or on `port` to come back where it was. */
  static async start(options: StandInOptions = {}, port = 0): Promise<StandInApi> {
    const api = new StandInApi(options);
    await new Promise<void>((resolve, reject) => {
      api.#server.once('error', reject);
      api.#server.listen(port, '127.0.0.1', resolve);
    });
    return api;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    const scheme = this.#options.tls === undefined ? 'http' : 'https';
    return `${scheme}://127.0.0.1:${this.port}${this.#options.basePath ?? ''}`;
  }

  get version(): string {
    return String(this.#version);
  }

  /** Stops listening and cuts every connection. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  /** Creates or changes an object and tells the watchers; the stored copy gets a uid and a resourceVersion. */
  put(resource: StandInResource, raw: RawObject): RawObject {
    this.#version += 1;
    const object: RawObject = {
      ...shapes[resource],
      ...raw,
      metadata: { uid: `uid-${raw['metadata'].name}`, ...raw['metadata'], resourceVersion: this.version },
    };
    const key = keyOf(resource, object);
    const type = this.#objects.has(key) ? 'MODIFIED' : 'ADDED';
    this.#objects.set(key, { resource, object });
    this.#publish({ version: this.#version, resource, type, object });
    return object;
  }

  delete(resource: StandInResource, name: string, namespace: string | null = null): void {
    const key = `${resource} ${namespace ?? ''}/${name}`;
    const found = this.#objects.get(key);
    if (found === undefined) throw new Error(`stand-in has no ${key}`);
    this.#version += 1;
    this.#objects.delete(key);
    const metadata = { ...found.object['metadata'], resourceVersion: this.version };
    const object = { ...found.object, metadata };
    this.#publish({ version: this.#version, resource, type: 'DELETED', object });
  }

  /** Forgets the past: a watch from before now gets 410. */
  compact(): void {
    this.#version += 1;
    this.#compacted = this.#version;
  }

  /** Every continue token given out so far, and those given out by the next first page, get 410. */
  expireContinueTokens(): void {
    this.#expiredTokens = true;
  }

  /** Watches that are open now, for one resource or all. */
  watches(resource?: StandInResource): number {
    return [...this.#watchers].filter((watcher) => fits(watcher, resource)).length;
  }

  sendBookmark(resource?: StandInResource): void {
    for (const watcher of this.#watchers) {
      if (!fits(watcher, resource) || watcher.request.query.get('allowWatchBookmarks') !== 'true') continue;
      const object = { ...shapes[watcher.request.resource], metadata: { resourceVersion: this.version } };
      watcher.response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
    }
  }

  /** Sends bytes as they are, without a newline, to the open watches. */
  sendRaw(bytes: string | Uint8Array, resource?: StandInResource): void {
    for (const watcher of this.#watchers) if (fits(watcher, resource)) watcher.response.write(bytes);
  }

  /** Ends the open watches in order, as the server does when `timeoutSeconds` have passed. */
  endWatches(resource?: StandInResource): void {
    for (const watcher of this.#watchers) if (fits(watcher, resource)) watcher.response.end();
  }

  /** Cuts the connections of the open watches. */
  cutWatches(resource?: StandInResource): void {
    for (const watcher of this.#watchers) if (fits(watcher, resource)) watcher.request.socket.destroy();
  }

  /** The next `times` requests that match get `fault`; the first script that matches is used. */
  script(match: (request: StandInRequest) => boolean, fault: Fault, times = 1): void {
    this.#scripts.push({ match, fault, left: times });
  }

  /** Drops all scripted faults that are still waiting. */
  behave(): void {
    this.#scripts.length = 0;
  }

  /** Resolves as soon as `condition` holds; it is looked at whenever a request or a connection changes. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  lists(resource: StandInResource): StandInRequest[] {
    return this.requests.filter((request) => request.resource === resource && !request.watch);
  }

  watchRequests(resource: StandInResource): StandInRequest[] {
    return this.requests.filter((request) => request.resource === resource && request.watch);
  }

  /** The body of a well-behaved list: for faults that send most of it. */
  listBody(request: StandInRequest): string {
    const items = [...this.#objects.values()]
      .filter(({ resource, object }) => resource === request.resource && inScope(object, request))
      .map(({ object: { kind: _kind, apiVersion: _apiVersion, ...item } }) => item);
    const { kind, apiVersion } = shapes[request.resource];
    const limit = Number(request.query.get('limit') ?? 0);
    const [pinned, offset] = (request.query.get('continue') ?? `${this.#version}:0`).split(':').map(Number);
    const page = limit > 0 ? items.slice(offset, (offset ?? 0) + limit) : items;
    const remaining = items.length - (offset ?? 0) - page.length;
    const metadata = {
      resourceVersion: String(pinned),
      ...(remaining > 0
        ? { continue: `${pinned}:${(offset ?? 0) + limit}`, remainingItemCount: remaining }
        : {}),
    };
    return JSON.stringify({ kind: `${kind}List`, apiVersion, metadata, items: page });
  }

  #answer(raw: IncomingMessage, response: ServerResponse): void {
    const request = readRequest(raw, this.#options.basePath ?? '');
    if (request === null) {
      sendStatus(response, 404, 'NotFound');
      return;
    }
    this.requests.push(request);
    try {
      const script = this.#scripts.find(({ match, left }) => left > 0 && match(request));
      if (script !== undefined) {
        script.left -= 1;
        if (script.fault(request, response, this)) return;
      }
      if (this.#unauthorized(request)) sendStatus(response, 401, 'Unauthorized');
      else if (request.watch) this.openWatch(request, response);
      else this.#list(request, response);
    } finally {
      this.#wake();
    }
  }

  #unauthorized(request: StandInRequest): boolean {
    if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`) return true;
    const { tls } = this.#options;
    return tls?.clientCa !== undefined && !(request.socket as TLSSocket).authorized;
  }

  #list(request: StandInRequest, response: ServerResponse): void {
    if (this.#expiredTokens && request.query.has('continue')) {
      this.#expiredTokens = false;
      sendStatus(response, 410, 'Expired');
      return;
    }
    response.setHeader('content-type', 'application/json');
    response.end(this.listBody(request));
  }

  /** Answers a watch as usual; faults use it to misbehave later. */
  openWatch(request: StandInRequest, response: ServerResponse): void {
    const from = Number(request.query.get('resourceVersion'));
    if (from < this.#compacted) {
      sendStatus(response, 410, 'Expired');
      return;
    }
    const watcher = { request, response };
    this.#watchers.add(watcher);
    response.on('close', () => {
      this.#watchers.delete(watcher);
      this.#wake();
    });
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const event of this.#events) if (event.version > from) sendEvent(watcher, event);
  }

  #publish(event: StoredEvent): void {
    this.#events.push(event);
    for (const watcher of this.#watchers) sendEvent(watcher, event);
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}

/** Answers with a `Status` object, as the API server refuses things. */
export function sendStatus(
  response: ServerResponse,
  code: number,
  reason: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(code, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(statusObject(code, reason)));
}

export function statusObject(code: number, reason: string, details: RawObject = {}): RawObject {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    message: `stand-in: ${reason}`,
    reason,
    code,
    details,
  };
}

/** Faults: what a broken, overloaded or hostile API server does. */
export const faults = {
  /** A status with a `Status` body. */
  status:
    (code: number, reason: string, headers: Record<string, string> = {}): Fault =>
    (_request, response) => {
      sendStatus(response, code, reason, headers);
      return true;
    },
  /** 200 with this body. */
  body:
    (body: string | Uint8Array): Fault =>
    (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(body);
      return true;
    },
  /** The first half of the right answer, ended as if it were whole. */
  halfBody: (): Fault => (request, response, api) => {
    const body = api.listBody(request);
    response.end(body.slice(0, body.length / 2));
    return true;
  },
  /** The first half of the right answer, then a reset. */
  cutBody: (): Fault => (request, response, api) => {
    const body = api.listBody(request);
    response.setHeader('content-length', Buffer.byteLength(body));
    response.write(body.slice(0, body.length / 2), () => request.socket.destroy());
    return true;
  },
  /** A well-formed list without items. */
  emptyList: (): Fault => (request, response, api) => {
    const list = JSON.parse(api.listBody(request)) as RawObject;
    response.end(JSON.stringify({ ...list, metadata: { resourceVersion: api.version }, items: [] }));
    return true;
  },
  /** A list changed by the test. */
  editedList:
    (edit: (list: RawObject) => void): Fault =>
    (request, response, api) => {
      const list = JSON.parse(api.listBody(request)) as RawObject;
      edit(list);
      response.end(JSON.stringify(list));
      return true;
    },
  /** Accepts and never answers. */
  blackHole: (): Fault => () => true,
  /** Closes the connection without an answer. */
  hangUp: (): Fault => (request) => {
    request.socket.destroy();
    return true;
  },
  /** Answers a watch with one ERROR event and ends it. */
  streamError:
    (status: RawObject): Fault =>
    (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
      return true;
    },
  /** Answers a watch with 200 and ends it at once. */
  emptyWatch: (): Fault => (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end();
    return true;
  },
};

function keyOf(resource: StandInResource, object: RawObject): string {
  return `${resource} ${object['metadata'].namespace ?? ''}/${object['metadata'].name}`;
}

function inScope(object: RawObject, { namespace, query }: StandInRequest): boolean {
  const selector = query.get('fieldSelector');
  if (selector !== null && selector !== `metadata.name=${object['metadata'].name}`) return false;
  return namespace === null || object['metadata'].namespace === namespace;
}

function fits(watcher: Watcher, resource: StandInResource | undefined): boolean {
  return resource === undefined || watcher.request.resource === resource;
}

function sendEvent({ request, response }: Watcher, { resource, type, object }: StoredEvent): void {
  if (resource !== request.resource || !inScope(object, request)) return;
  response.write(`${JSON.stringify({ type, object })}\n`);
}

function readRequest(raw: IncomingMessage, basePath: string): StandInRequest | null {
  const url = new URL(raw.url ?? '/', 'http://stand-in');
  if (!url.pathname.startsWith(basePath)) return null;
  const match =
    /^\/(?:api\/v1|apis\/discovery\.k8s\.io\/v1)(?:\/namespaces\/([^/]+))?\/(nodes|services|endpointslices|secrets)$/.exec(
      url.pathname.slice(basePath.length),
    );
  if (match === null || raw.method !== 'GET') return null;
  return {
    resource: match[2] as StandInResource,
    namespace: match[1] ?? null,
    watch: url.searchParams.get('watch') === 'true',
    query: url.searchParams,
    headers: raw.headers,
    socket: raw.socket,
  };
}
