// TLS of probes: what the pool's own connections are made with, so that a probe finds what a request would.

import { isIP } from 'node:net';
import tls, { type ConnectionOptions, type SecureContext } from 'node:tls';
import type { PoolTls } from '../../model/pool-config.ts';
import { certificateKey, type NamedSecrets } from '../../model/secrets.ts';

export class ProbeTls {
  readonly #secrets: () => NamedSecrets;
  /** By the text of the configuration; dropped when a certificate or authority changes. */
  readonly #contexts = new Map<string, SecureContext>();

  constructor(secrets: () => NamedSecrets) {
    this.#secrets = secrets;
  }

  /** Certificates or authorities are others than before. */
  changed(): void {
    this.#contexts.clear();
  }

  /**
   * Throws when certificate or authority cannot be used.
   * @param hostHeader host of the probe's request: asked for where a request's host would be
   */
  options(config: PoolTls, host: string, hostHeader: string | null): ConnectionOptions {
    const { serverName, serverNameFromHost, verify } = config;
    const named = (serverNameFromHost ? hostHeader : null) ?? serverName ?? (isIP(host) === 0 ? host : null);
    return {
      secureContext: this.#contextOf(config),
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: verify,
      // An empty name sends none; the address is verified then.
      servername: named ?? '',
    };
  }

  #contextOf(config: PoolTls): SecureContext {
    const key = JSON.stringify(config);
    const known = this.#contexts.get(key);
    if (known !== undefined) return known;
    const { ca, certificate } = config;
    const { files, pairs } = this.#secrets();
    const pair = certificate === null ? undefined : pairs[certificateKey(certificate)];
    const context = tls.createSecureContext({
      minVersion: 'TLSv1.2',
      ...(ca === null ? {} : { ca: files[ca] }),
      ...(pair === undefined ? {} : { cert: pair.cert, key: pair.key }),
    });
    this.#contexts.set(key, context);
    return context;
  }
}
