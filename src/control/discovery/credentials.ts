// A cluster's credentials as they are right now: read from files or an exec plugin, cached, and read again in time.

import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import type { ClusterConfig } from '../../model/config.ts';
import type { Clock } from './clock.ts';
import type { OnCount } from './counts.ts';
import { readKubeconfig, readPem, readTls, readToken, type TlsMaterial } from './credential-files.ts';
import { type ExecCredential, runExecPlugin } from './exec-credential.ts';
import { DiscoveryFailure, errorCode } from './failure.ts';
import { type ApiServer, defaultServiceAccountDirectory, inClusterServer } from './kubeconfig.ts';

/** Everything one request needs. Holds secrets: never to be logged or serialised. */
export interface ApiAccess {
  readonly origin: string;
  /** The path that the server URL itself has, without a slash at its end. */
  readonly basePath: string;
  readonly tls: TlsMaterial;
  readonly headers: Readonly<Record<string, string>>;
  /** Goes up whenever anything above changes. */
  readonly generation: number;
  /** Equal exactly when connections may be shared: a digest of origin and TLS material. */
  readonly connectionKey: string;
  /** Takes the secrets out of a text. */
  readonly redact: (text: string) => string;
}

export interface Credentials {
  /** What is known, read again first when it is older than `maxAgeMs` or has expired. */
  access(maxAgeMs: number): Promise<ApiAccess>;
  /**
   * Reads everything again, the exec plugin included, because the server refused `usedGeneration`; returns at once
   * when a newer generation is already there. Calls at the same time share one reading.
   */
  renew(usedGeneration: number): Promise<ApiAccess>;
  /** Stops a running exec plugin. */
  close(): void;
}

export interface CredentialsOptions {
  readonly cluster: Pick<ClusterConfig, 'name' | 'kubeconfig' | 'inCluster'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onCount: OnCount;
  /** Process environment: read for in-cluster addresses and inherited by exec plugins. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Default `/var/run/secrets/kubernetes.io/serviceaccount`. */
  readonly serviceAccountDirectory?: string;
}

/** A server that refuses every credential, or a plugin that prints expired ones, must not start one for each try. */
const execPauseMs = 5_000;

export function createCredentials(options: CredentialsOptions): Credentials {
  return new CachedCredentials(options);
}

class CachedCredentials implements Credentials {
  readonly #options: CredentialsOptions;
  readonly #closing = new AbortController();
  #access: ApiAccess | null = null;
  #readAtMs = 0;
  #reading: Promise<ApiAccess> | null = null;
  #renewing = false;
  #exec: ExecCredential | null = null;
  #execRunAtMs = 0;
  #execKey = '';
  /** Why the last run brought nothing; null when it did. */
  #execFailure: unknown = null;
  #failing = false;

  constructor(options: CredentialsOptions) {
    this.#options = options;
  }

  async access(maxAgeMs: number): Promise<ApiAccess> {
    // A clock that was set back gives a negative age, which counts as too old.
    const ageMs = this.#options.clock.now() - this.#readAtMs;
    const fresh = ageMs >= 0 && ageMs < maxAgeMs && !this.#execExpired();
    if (this.#access !== null && fresh) return this.#access;
    return await this.#read(false);
  }

  async renew(usedGeneration: number): Promise<ApiAccess> {
    // A reading that began for its age alone may leave the plugin's credential as it is; wait it out, then ask again.
    if (this.#reading !== null && !this.#renewing) await this.#reading.catch(() => null);
    if (this.#access !== null && this.#access.generation > usedGeneration) return this.#access;
    return await this.#read(true);
  }

  close(): void {
    this.#closing.abort();
  }

  #read(refused: boolean): Promise<ApiAccess> {
    if (this.#reading !== null) return this.#reading;
    this.#renewing = refused;
    this.#reading = this.#readNow(refused).finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #readNow(refused: boolean): Promise<ApiAccess> {
    const { cluster, clock, log, onCount } = this.#options;
    try {
      const next = await this.#build(refused);
      this.#readAtMs = clock.now();
      if (this.#failing) log.info({ code: 'credentials-read' }, 'credentials can be read again');
      this.#failing = false;
      if (this.#access !== null && sameAccess(this.#access, next)) return this.#access;
      if (this.#access !== null) {
        onCount('credentials', { cluster: cluster.name, result: 'changed' });
        log.info({ code: 'credentials-changed' }, 'credentials changed');
      }
      this.#access = { ...next, generation: (this.#access?.generation ?? 0) + 1 };
      return this.#access;
    } catch (error) {
      const failure =
        error instanceof DiscoveryFailure
          ? error
          : new DiscoveryFailure('credentials', `credentials cannot be read (${errorCode(error)})`);
      onCount('credentials', { cluster: cluster.name, result: 'failed' });
      if (!this.#failing) log.warn({ code: failure.reason }, failure.message);
      this.#failing = true;
      // Files are replaced one after another: a certificate without its key yet must not stop what works.
      if (this.#access === null) throw failure;
      this.#readAtMs = clock.now();
      return this.#access;
    }
  }

  async #build(refused: boolean): Promise<ApiAccess> {
    const server = await this.#server();
    const ca = await readPem(server.ca);
    const exec = await this.#execCredential(server, ca, refused);
    const tls = await readTls(server, ca, exec);
    const token = await readToken(server, exec);
    const headers: Record<string, string> = {};
    if (token !== null) headers['authorization'] = `Bearer ${token}`;
    else if (server.basic !== null) headers['authorization'] = basicAuthorization(server.basic);
    if (server.impersonateUser !== null) headers['impersonate-user'] = server.impersonateUser;
    const secrets = [token, server.basic?.password ?? null].filter(
      (secret) => secret !== null && secret !== '',
    );
    return {
      origin: server.url.origin,
      basePath: server.url.pathname.replace(/\/+$/, ''),
      tls,
      headers,
      generation: 0,
      connectionKey: createHash('sha256')
        .update(JSON.stringify([server.url.origin, tls]))
        .digest('hex'),
      redact: (text) =>
        secrets.reduce<string>((cut, secret) => cut.replaceAll(secret ?? '', '[redacted]'), text),
    };
  }

  async #server(): Promise<ApiServer> {
    const { cluster, environment, serviceAccountDirectory } = this.#options;
    if (cluster.kubeconfig === null) {
      return inClusterServer(environment, serviceAccountDirectory ?? defaultServiceAccountDirectory);
    }
    // The file itself is read each time as well: tools rewrite it to rotate what it holds.
    return await readKubeconfig(cluster.kubeconfig);
  }

  async #execCredential(
    server: ApiServer,
    ca: string | null,
    refused: boolean,
  ): Promise<ExecCredential | null> {
    const { clock, environment } = this.#options;
    const plugin = server.exec;
    if (plugin === null) {
      this.#exec = null;
      return null;
    }
    const key = JSON.stringify([plugin, server.url.href]);
    if (this.#execKey === key) {
      const justRun = Math.abs(clock.now() - this.#execRunAtMs) < execPauseMs;
      // What an earlier run brought is no answer to this one, which was made because it was refused or has expired.
      if (justRun && this.#execFailure !== null) throw this.#execFailure;
      const isGood = this.#execFailure === null && !refused && !this.#execExpired();
      if (this.#exec !== null && (justRun || isGood)) return this.#exec;
    }
    this.#execRunAtMs = clock.now();
    this.#execKey = key;
    try {
      const { signal } = this.#closing;
      this.#exec = await runExecPlugin({ plugin, server, ca, environment, clock, signal });
      this.#execFailure = null;
    } catch (error) {
      this.#execFailure = error;
      throw error;
    }
    return this.#exec;
  }

  #execExpired(): boolean {
    const expiresAtMs = this.#exec?.expiresAtMs ?? null;
    return expiresAtMs !== null && this.#options.clock.now() >= expiresAtMs;
  }
}

function basicAuthorization({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function sameAccess(left: ApiAccess, right: ApiAccess): boolean {
  return (
    left.connectionKey === right.connectionKey &&
    left.basePath === right.basePath &&
    JSON.stringify(left.headers) === JSON.stringify(right.headers)
  );
}
