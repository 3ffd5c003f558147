// One cluster's HTTP client: connections with the cluster's TLS material, and the credentials on each request.

import { Buffer } from 'node:buffer';
import type { IncomingHttpHeaders } from 'node:http';
import { type Dispatcher, Pool } from 'undici';
import { PartialBytes } from '../../http1/partial-bytes.ts';
import type { Clock } from './clock.ts';
import type { OnCount } from './counts.ts';
import type { ApiAccess, Credentials } from './credentials.ts';
import { DiscoveryFailure, errorCode } from './failure.ts';
import { parseJsonObject, readApiStatus } from './json.ts';

const keepAliveInitialDelayMs = 15_000;
const connectTimeoutMs = 10_000;
const headerLimitBytes = 16 * 1024;
/** An error body is read for its `Status` message only. */
const errorBodyLimitBytes = 16 * 1024;
/** Credentials older than this are read again; after a failure, those older than the second. */
const credentialAgeMs = 60_000;
const credentialAgeAfterFailureMs = 1_000;

export interface ApiClientOptions {
  readonly cluster: string;
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly onCount: OnCount;
}

export type ResponseBody = Dispatcher.ResponseData['body'];

export class ApiClient {
  readonly #options: ApiClientOptions;
  #pool: Pool | null = null;
  #poolKey = '';
  /** Pools of former TLS material whose watches may still be running. */
  readonly #retired = new Set<Pool>();
  #lastFailed = false;
  #redact: ApiAccess['redact'] = (text) => text;

  constructor(options: ApiClientOptions) {
    this.#options = options;
  }

  /**
   * GETs `path` and returns the body of a 200 answer, to be read or destroyed by the caller. Everything else throws a
   * `DiscoveryFailure`. After a 401 the credentials are read again at once, and if they changed the request is made a
   * second time. Time limits are the caller's, through `signal`.
   */
  async get(path: string, signal: AbortSignal): Promise<ResponseBody> {
    const { credentials, cluster, onCount } = this.#options;
    try {
      const access = await credentials.access(
        this.#lastFailed ? credentialAgeAfterFailureMs : credentialAgeMs,
      );
      this.#redact = access.redact;
      let response = await this.#request(path, signal, access);
      if (response.statusCode === 401) {
        const refusal = await this.#refusal(response);
        const renewed = await credentials.renew(access.generation);
        if (renewed.generation === access.generation) throw refusal;
        onCount('credentials', { cluster, result: 'renewed-after-401' });
        this.#redact = renewed.redact;
        response = await this.#request(path, signal, renewed);
      }
      if (response.statusCode !== 200) throw await this.#refusal(response);
      this.#lastFailed = false;
      return response.body;
    } catch (error) {
      this.#lastFailed = true;
      throw error instanceof DiscoveryFailure
        ? error
        : new DiscoveryFailure('connection', `the API server cannot be reached (${errorCode(error)})`);
    }
  }

  /** Takes the secrets of the current credentials out of a text that a server sent. */
  redact(text: string): string {
    return this.#redact(text);
  }

  /** Closes every connection, those of running watches included. */
  async close(): Promise<void> {
    const pools = [...this.#retired];
    if (this.#pool !== null) pools.push(this.#pool);
    this.#pool = null;
    this.#poolKey = '';
    this.#retired.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  async #request(path: string, signal: AbortSignal, access: ApiAccess): Promise<Dispatcher.ResponseData> {
    return await this.#poolOf(access).request({
      method: 'GET',
      path: access.basePath + path,
      headers: { accept: 'application/json', 'user-agent': 'portico', ...access.headers },
      signal,
      // The caller's deadline rules: these timers are not ours to inject, and a quiet watch is healthy for a minute.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /** A pool for this TLS material. The former one closes once its last watch has ended: good watches are kept. */
  #poolOf(access: ApiAccess): Pool {
    if (this.#pool !== null && this.#poolKey === access.connectionKey) return this.#pool;
    const former = this.#pool;
    if (former !== null) {
      this.#retired.add(former);
      const forget = (): boolean => this.#retired.delete(former);
      // A close fails only when `close()` above destroyed the pool first, which forgets it as well.
      former.close().then(forget, forget);
    }
    this.#pool = new Pool(access.origin, {
      // A watch holds its connection for minutes, so there is one for each watch and some for lists. One HTTP/2
      // connection for all would let a single dead path silence every kind at once.
      connections: null,
      pipelining: 1,
      allowH2: false,
      maxHeaderSize: headerLimitBytes,
      connect: {
        ...access.tls,
        keepAlive: true,
        keepAliveInitialDelay: keepAliveInitialDelayMs,
        timeout: connectTimeoutMs,
      },
    });
    this.#poolKey = access.connectionKey;
    return this.#pool;
  }

  async #refusal(response: Dispatcher.ResponseData): Promise<DiscoveryFailure> {
    const { statusCode, headers, body } = response;
    const status = readApiStatus(parseJsonObject(await readUpTo(body, errorBodyLimitBytes)) ?? {});
    const said = status.message === '' ? '' : `: ${this.redact(status.message)}`;
    const message = `the API server answered ${statusCode}${said}`;
    const retryAfterMs = this.#retryAfterMs(headers);
    switch (statusCode) {
      case 401:
        return new DiscoveryFailure('unauthorized', message, retryAfterMs);
      case 403:
        return new DiscoveryFailure('forbidden', message, retryAfterMs);
      case 410:
        return new DiscoveryFailure('expired', message, retryAfterMs);
      case 429:
        return new DiscoveryFailure('throttled', message, retryAfterMs);
      default:
        return new DiscoveryFailure('http-status', message, retryAfterMs);
    }
  }

  /** RFC 9110 section 10.2.3: seconds or a date. */
  #retryAfterMs(headers: IncomingHttpHeaders): number | null {
    const value = headers['retry-after'];
    if (typeof value !== 'string') return null;
    const delayMs = /^\d{1,9}$/.test(value)
      ? Number(value) * 1000
      : Date.parse(value) - this.#options.clock.now();
    if (!Number.isFinite(delayMs)) return null;
    return delayMs;
  }
}

/** Reads a whole body; throws `bad-list` when it is longer than `limitBytes`. */
export async function readAll(body: ResponseBody, limitBytes: number): Promise<Uint8Array> {
  // Not as chunks: where they are small they take many times their length.
  const whole = new PartialBytes();
  try {
    for await (const chunk of body) {
      const bytes: Buffer = chunk;
      if (whole.length + bytes.length > limitBytes) {
        throw new DiscoveryFailure('bad-list', `a list page is longer than ${limitBytes} bytes`);
      }
      whole.append(bytes, 0, bytes.length);
    }
  } catch (error) {
    if (error instanceof DiscoveryFailure) throw error;
    throw new DiscoveryFailure('connection', `the list broke off (${errorCode(error)})`);
  }
  return whole.bytes.subarray(0, whole.length);
}

async function readUpTo(body: ResponseBody, limitBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of body) {
    const bytes: Uint8Array = chunk;
    chunks.push(bytes);
    total += bytes.length;
    // Leaving the loop destroys the body and its connection: an error page without end costs no more than this.
    if (total >= limitBytes) break;
  }
  return Buffer.concat(chunks);
}
