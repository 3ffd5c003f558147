// The admin HTTP: binds the address or UNIX socket, guards every request and answers from the table of calls.

import { chmod, lstat, unlink } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Logger } from 'pino';
import { readRegularFile } from '../../files/regular-file.ts';
import type { AdminConfig } from '../../model/config.ts';
import { ADMIN_ROUTES, type AdminAnswer, type AdminRoute, errorAnswer } from './admin-routes.ts';
import type { AdminSource } from './admin-source.ts';
import { type GuardedRequest, hasToken, isLocal, refusalOf } from './guard.ts';

export interface AdminServerOptions {
  readonly config: AdminConfig;
  readonly source: AdminSource;
  readonly logger: Logger;
}

export interface AdminServer {
  /** Binds; rejects when the address is taken. A UNIX socket that nobody serves any more is replaced. */
  listen(): Promise<void>;
  /** From the next call on: who may call, and with which token. It goes on listening where it does. */
  follow(config: AdminConfig): void;
  /** `http://host:port` with the port that was bound, or `unix:/path`; as the command line's `--admin` takes it. */
  readonly address: string;
  /** Stops accepting, lets answers under way end for at most `deadlineMs`, then cuts them. */
  close(deadlineMs: number): Promise<void>;
}

const BODY_LIMIT_BYTES = 16 * 1024;
const TOKEN_LIMIT_BYTES = 4096;
const CONNECTION_LIMIT = 256;

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

export function createAdminServer(options: AdminServerOptions): AdminServer {
  return new HttpAdmin(options);
}

class HttpAdmin implements AdminServer {
  #config: AdminConfig;
  readonly #source: AdminSource;
  readonly #logger: Logger;
  readonly #server: Server;

  constructor(options: AdminServerOptions) {
    this.#config = options.config;
    this.#source = options.source;
    this.#logger = options.logger;
    this.#server = createServer(
      {
        maxHeaderSize: 16 * 1024,
        headersTimeout: 5000,
        requestTimeout: 10_000,
        keepAliveTimeout: 15_000,
        connectionsCheckingInterval: 1000,
      },
      (request, response) => {
        void this.#serve(request, response);
      },
    );
    this.#server.maxConnections = CONNECTION_LIMIT;
    // Node answers a request that it cannot read with 400, 408 or 431 and closes; a client error is no news for the log.
    this.#server.on('error', (error) =>
      this.#logger.error({ code: 'admin-server', error }, 'admin HTTP failed'),
    );
  }

  follow(config: AdminConfig): void {
    this.#config = config;
  }

  get address(): string {
    if (this.#config.unixPath !== null) return `unix:${this.#config.unixPath}`;
    const bound = this.#server.address() as AddressInfo | null;
    if (bound === null) return '';
    return `http://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`;
  }

  async listen(): Promise<void> {
    const { host, port, unixPath } = this.#config;
    if (unixPath !== null) await removeDeadSocket(unixPath);
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      const listening = (): void => {
        this.#server.off('error', reject);
        resolve();
      };
      // `exclusive`: a child of node:cluster would otherwise ask the supervisor for the handle.
      if (unixPath !== null) this.#server.listen({ path: unixPath, exclusive: true }, listening);
      else this.#server.listen({ host, port, exclusive: true }, listening);
    });
    if (unixPath !== null) await chmod(unixPath, 0o600);
    this.#logger.info({ code: 'admin-listens', address: this.address }, 'admin HTTP listens');
  }

  async close(deadlineMs: number): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const deadline = setTimeout(() => this.#server.closeAllConnections(), deadlineMs);
    await closed;
    clearTimeout(deadline);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: AdminAnswer;
    try {
      answer = await this.#answer(request, response);
    } catch (error) {
      if (response.destroyed) {
        this.#logger.debug({ code: 'admin-client-left', path: pathOf(request) }, 'admin client left');
        return;
      }
      this.#logger.error({ code: 'admin-internal', error, path: pathOf(request) }, 'admin call failed');
      answer = errorAnswer(500, 'internal', 'The call failed; the log says why.');
    }
    if (response.destroyed) return;
    // A body that was not read to its end cannot be followed by another request.
    if (!request.complete) response.setHeader('connection', 'close');
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    const body = Buffer.from(answer.body);
    response.writeHead(answer.status, { 'content-type': answer.contentType, 'content-length': body.length });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<AdminAnswer> {
    const guarded = this.#guarded(request);
    const refusal = refusalOf(guarded, this.#config);
    if (refusal !== null) {
      this.#logger.warn(
        { code: refusal, host: request.headers.host, origin: request.headers.origin },
        'admin call refused',
      );
      return refusal === 'foreign-host'
        ? errorAnswer(
            403,
            refusal,
            'The Host is not one of this admin address; add it to admin.hosts if it should be.',
          )
        : errorAnswer(403, refusal, 'Requests of other origins are refused.');
    }
    const path = pathOf(request);
    if (path === '/') return this.#index();
    const routes = ADMIN_ROUTES.filter((route) => route.path === path);
    if (routes.length === 0)
      return errorAnswer(404, 'unknown-path', 'There is no such call; GET / lists them.');
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const route = routes.find((candidate) => candidate.method === method);
    if (route === undefined) {
      response.setHeader(
        'allow',
        routes.map(({ method: one }) => (one === 'GET' ? 'GET, HEAD' : one)).join(', '),
      );
      return errorAnswer(405, 'method-not-allowed', `This call is made with ${routes[0]!.method}.`);
    }
    if (route.changes) {
      const denied = await this.#denied(guarded, response);
      if (denied !== null) return denied;
    }
    return this.#call(route, request, response);
  }

  async #call(route: AdminRoute, request: IncomingMessage, response: ServerResponse): Promise<AdminAnswer> {
    let body: unknown = null;
    if (route.changes) {
      const text = await readBody(request);
      if (text === null) return errorAnswer(413, 'body-too-large', 'The body may have 16 KiB.');
      if (text !== '') {
        // Only a page of this origin can send this type without the browser asking first.
        if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
          return errorAnswer(415, 'unsupported-media-type', 'Send the body as application/json.');
        }
        try {
          body = JSON.parse(text);
        } catch {
          return errorAnswer(400, 'bad-body', 'The body is not JSON.');
        }
      }
    }
    const left = new AbortController();
    response.once('close', () => left.abort());
    return route.answer(this.#source, { query: queryOf(request), body, left: left.signal });
  }

  /** Null when a changing call is allowed. The token file is read each time, so that a new token needs no reload. */
  async #denied(request: GuardedRequest, response: ServerResponse): Promise<AdminAnswer | null> {
    if (isLocal(request)) return null;
    const { tokenFile } = this.#config;
    if (tokenFile === null) {
      return errorAnswer(
        403,
        'local-only',
        'Without admin.tokenFile this call is only taken from this machine.',
      );
    }
    let token = '';
    try {
      token = (await readRegularFile(tokenFile, TOKEN_LIMIT_BYTES)).toString().trim();
    } catch (error) {
      // Goes on with no token, which fits nothing.
      this.#logger.error({ code: 'admin-token-file', error }, 'the admin token file cannot be read');
    }
    if (hasToken(request.headers.authorization, token)) return null;
    this.#logger.warn(
      { code: 'admin-unauthorized', client: request.remoteAddress },
      'admin call without the token',
    );
    response.setHeader('www-authenticate', 'Bearer realm="portico"');
    return errorAnswer(401, 'unauthorized', 'This call needs the header Authorization: Bearer <token>.');
  }

  #guarded(request: IncomingMessage): GuardedRequest {
    return {
      headers: request.headers,
      remoteAddress: request.socket.remoteAddress,
      localAddress: request.socket.localAddress,
      unix: this.#config.unixPath !== null,
    };
  }

  #index(): AdminAnswer {
    const text = ADMIN_ROUTES.map(
      ({ method, path, about }) => `${method.padEnd(4)} ${path.padEnd(10)} ${about}\n`,
    );
    return { status: 200, contentType: 'text/plain; charset=utf-8', body: text.join('') };
  }
}

function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '';
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

function queryOf(request: IncomingMessage): URLSearchParams {
  const url = request.url ?? '';
  const query = url.indexOf('?');
  return new URLSearchParams(query < 0 ? '' : url.slice(query + 1));
}

/** Null when there is more than the limit; the rest stays unread then, and the connection open for the answer. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_LIMIT_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Removes the socket of an earlier life; one that somebody serves stays, and binding it fails with EADDRINUSE. */
async function removeDeadSocket(path: string): Promise<void> {
  const stat = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (stat === null || !stat.isSocket()) return;
  const served = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    // Refused means nobody listens; anything else is left for the bind to report.
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
  if (!served) await unlink(path);
}
