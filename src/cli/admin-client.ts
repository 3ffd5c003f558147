// Calls the admin HTTP of a running Portico over TCP or a UNIX socket.

import { Agent, request } from 'undici';

export const DEFAULT_ADMIN = 'http://127.0.0.1:9901';

const TIMEOUT_MS = 10_000;
/** A table of 500 pools with 5,000 nodes each does not fit; it is asked for by pool. */
const ANSWER_LIMIT_BYTES = 256 * 1024 * 1024;

export interface AdminClientOptions {
  /** `http://host:port`, `https://host:port` or `unix:/path`. */
  readonly address: string;
  /** Sent as a bearer token; null sends none. */
  readonly token: string | null;
}

export interface AdminReply {
  readonly status: number;
  /** The parsed body; null when it is not JSON. */
  readonly value: unknown;
}

/** What went wrong before there was an answer, as one sentence. */
export class AdminUnreachable extends Error {}

/** An address that could never be that of an admin HTTP. */
export class NoAdminAddress extends Error {}

export class AdminClient {
  readonly #address: string;
  readonly #origin: string;
  readonly #token: string | null;
  readonly #agent: Agent;

  /** Throws `NoAdminAddress` for an address that is none. */
  constructor({ address, token }: AdminClientOptions) {
    this.#address = address;
    this.#token = token;
    const socketPath = address.startsWith('unix:') ? address.slice('unix:'.length) : null;
    if (socketPath === '' || (socketPath === null && !isHttp(address))) {
      throw new NoAdminAddress(
        `${JSON.stringify(address)} is not an admin address: http://HOST:PORT or unix:PATH`,
      );
    }
    this.#origin = socketPath === null ? new URL(address).origin : 'http://localhost';
    this.#agent = new Agent({
      connections: 1,
      maxResponseSize: ANSWER_LIMIT_BYTES,
      connect: socketPath === null ? { timeout: TIMEOUT_MS } : { socketPath, timeout: TIMEOUT_MS },
    });
  }

  get(path: string): Promise<AdminReply> {
    return this.#send('GET', path, null);
  }

  /** @param body sent as JSON; null sends none */
  post(path: string, body: unknown): Promise<AdminReply> {
    return this.#send('POST', path, body);
  }

  close(): Promise<void> {
    return this.#agent.close();
  }

  async #send(method: 'GET' | 'POST', path: string, body: unknown): Promise<AdminReply> {
    const headers: Record<string, string> = { accept: 'application/json' };
    if (this.#token !== null) headers['authorization'] = `Bearer ${this.#token}`;
    if (body !== null) headers['content-type'] = 'application/json';
    let text: string;
    let status: number;
    try {
      const response = await request(`${this.#origin}${path}`, {
        method,
        headers,
        body: body === null ? null : JSON.stringify(body),
        dispatcher: this.#agent,
        headersTimeout: TIMEOUT_MS,
        bodyTimeout: TIMEOUT_MS,
      });
      status = response.statusCode;
      text = await response.body.text();
    } catch (error) {
      const reason = error instanceof Error ? describe(error) : String(error);
      throw new AdminUnreachable(`no answer from ${this.#address}: ${reason}`, { cause: error });
    }
    try {
      return { status, value: JSON.parse(text) };
    } catch {
      // Something else than Portico answers there; the caller says so by the missing value.
      return { status, value: null };
    }
  }
}

function isHttp(address: string): boolean {
  return /^https?:\/\//i.test(address) && URL.canParse(address);
}

function describe(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code === 'ECONNREFUSED' || code === 'ENOENT') return 'nobody listens there; is Portico running?';
  if (code === 'EACCES') return 'no permission for the socket';
  return error.message === '' ? code : error.message;
}
