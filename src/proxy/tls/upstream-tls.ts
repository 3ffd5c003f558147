// TLS towards the targets of a pool: what is verified, what is shown, and the sessions that are resumed.

import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import tls, { type SecureContext, type TLSSocket } from 'node:tls';
import type { PoolTls } from '../../model/pool-config.ts';
import { certificateKey, type Secrets } from '../../model/secrets.ts';
import type { Target } from '../upstream/target.ts';
import { profileOptions } from './profile.ts';

/** Sessions kept for one pool: one for each target and name; the oldest goes first. */
const SESSIONS_AT_MOST = 4096;

export class UpstreamTls {
  readonly config: PoolTls;
  /** Equal text, equal TLS. */
  readonly key: string;
  /** Offered by ALPN (RFC 7301), most wanted first. */
  readonly alpn: readonly string[];
  readonly #context: SecureContext;
  readonly #sessions = new Map<string, Buffer>();

  /** Throws when a certificate, key or authority cannot be used. */
  constructor(config: PoolTls, secrets: Secrets, alpn: readonly string[] = ['http/1.1']) {
    this.config = config;
    this.key = UpstreamTls.keyOf(config, secrets);
    this.alpn = alpn;
    const { ca, certificate } = config;
    const pair = certificate === null ? undefined : secrets.pairs[certificateKey(certificate)];
    if (certificate !== null && pair === undefined) throw new Error(`${certificate.cert} has not been read`);
    this.#context = tls.createSecureContext({
      ...profileOptions('intermediate'),
      ...(ca === null ? {} : { ca: textOf(secrets, ca) }),
      ...(pair === undefined ? {} : { cert: pair.cert, key: pair.key }),
    });
  }

  static keyOf(config: PoolTls, secrets: Secrets): string {
    const { ca, certificate } = config;
    const pair = certificate === null ? null : (secrets.pairs[certificateKey(certificate)] ?? null);
    return createHash('sha256')
      .update(JSON.stringify([config, ca === null ? null : secrets.files[ca], pair]))
      .digest('hex');
  }

  /**
   * The name that the target is asked for and must prove: '' when it is only known by an address, which its certificate
   * must then be good for.
   * @param host of the request as it is sent on, without port; '' for a tcp connection
   */
  serverName(target: Target, host: string): string {
    const { serverName, serverNameFromHost } = this.config;
    if (serverNameFromHost && isName(host)) return host;
    if (serverName !== null) return serverName;
    return isIP(target.address) === 0 ? target.address : '';
  }

  /**
   * What `tls.connect` is given for one connection.
   * @param alpn offered, most wanted first
   */
  options(target: Target, serverName: string, alpn: readonly string[]): tls.ConnectionOptions {
    const session = this.#sessions.get(keyOf(target, serverName));
    return {
      secureContext: this.#context,
      ALPNProtocols: [...alpn],
      rejectUnauthorized: this.config.verify,
      // Without a name Node would send none, and verify the address that it connects to.
      ...(serverName === '' ? {} : { servername: serverName }),
      ...(session === undefined ? {} : { session }),
    };
  }

  /** The client has asked for a host that the target is not: that says nothing of the target. */
  blamesClient({ code = '' }: NodeJS.ErrnoException): boolean {
    return this.config.serverNameFromHost && NAME_FAILURES.has(code);
  }

  /** Keeps what the target offers for the next connection. */
  keepSessionsOf(socket: TLSSocket, target: Target, serverName: string): void {
    const key = keyOf(target, serverName);
    socket.on('session', (session: Buffer) => {
      this.#sessions.delete(key);
      this.#sessions.set(key, session);
      if (this.#sessions.size <= SESSIONS_AT_MOST) return;
      const [oldest] = this.#sessions.keys();
      this.#sessions.delete(oldest!);
    });
  }
}

/** Its certificate does not name the host, or it refuses the name (RFC 6066, section 3). */
const NAME_FAILURES: ReadonlySet<string> = new Set([
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'ERR_SSL_TLSV1_UNRECOGNIZED_NAME',
]);

/** Addresses are no server names (RFC 6066, section 3). */
const isName = (host: string): boolean => host !== '' && !host.startsWith('[') && isIP(host) === 0;

const keyOf = (target: Target, serverName: string): string => `${target.identity} ${serverName}`;

function textOf(secrets: Secrets, path: string): string {
  const text = secrets.files[path];
  if (text === undefined) throw new Error(`${path} has not been read`);
  return text;
}
