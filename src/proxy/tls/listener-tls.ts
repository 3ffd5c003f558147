// TLS of one https listener in one worker: its certificates, what it negotiates and what it asks of clients.

import { createHash } from 'node:crypto';
import type { ClientAuthConfig, ListenerConfig } from '../../model/listener-config.ts';
import { certificateKey, type Secrets } from '../../model/secrets.ts';
import type { TlsContext, TlsContextOptions, TlsContexts } from '../wire/tls-context.ts';
import { Certificates, type Identity } from './certificates.ts';
import type { ClientHello } from './client-hello.ts';
import { profileOptions } from './profile.ts';

const HTTP_1: readonly string[] = ['http/1.1'];
const HTTP_2: readonly string[] = ['h2', ...HTTP_1];
const HTTP_2_ONLY: readonly string[] = ['h2'];

/** How long a session may be resumed, in seconds. The ticket keys live longer. */
const SESSION_SECONDS = 12 * 3600;
const SSL_OP_NO_TICKET = 0x4000;

/** What a connection gets; a null identity means that there is no certificate for it. */
export interface TlsChoice {
  readonly context: TlsContext;
  readonly identity: Identity | null;
}

export class ListenerTls {
  readonly config: ListenerConfig;
  readonly clientAuth: ClientAuthConfig | null;
  /** Everything that it was built from: equal text, equal TLS. */
  readonly key: string;
  readonly #certificates: Certificates;
  readonly #refusesUnknown: boolean;
  readonly #bare: TlsContext;
  readonly #wallClock: () => number;

  /**
   * Throws when a certificate, key or authority cannot be used.
   * @param wallClock epoch milliseconds
   */
  constructor(config: ListenerConfig, secrets: Secrets, contexts: TlsContexts, wallClock: () => number) {
    const { certificates, unknownNames, clientAuth } = config.tls!;
    this.config = config;
    this.#wallClock = wallClock;
    this.key = keyOf(config, secrets);
    this.clientAuth = clientAuth;
    this.#refusesUnknown = unknownNames === 'refuse';
    const options = contextOptions(config, secrets);
    const pairs = certificates.flatMap((source) => secrets.pairs[certificateKey(source)] ?? []);
    this.#certificates = new Certificates(pairs, options, contexts);
    this.#bare = contexts.create(options);
  }

  /** What the client gets; null when it must be refused for the name that it asks for. */
  choose(hello: ClientHello | null): TlsChoice | null {
    const name = hello?.serverName ?? '';
    const found = name === '' ? undefined : this.#certificates.find(name);
    if (found !== undefined) return { context: found.context, identity: found };
    if (this.#refusesUnknown) {
      // Without a name there is none to call unrecognized: the handshake fails for want of a certificate.
      return name === '' ? { context: this.#bare, identity: null } : null;
    }
    const { fallback } = this.#certificates;
    return { context: fallback?.context ?? this.#bare, identity: fallback };
  }

  /** What is stapled for this client; null when it asks for nothing or there is nothing that holds. */
  stapleFor(identity: Identity | null, hello: ClientHello | null): Buffer | null {
    if (hello === null || !hello.wantsStatus) return null;
    return identity?.stapleFor(hello, this.#wallClock()) ?? null;
  }

  static keyOf(config: ListenerConfig, secrets: Secrets): string {
    return keyOf(config, secrets);
  }
}

function protocolsOf({ http2 }: ListenerConfig): readonly string[] {
  if (http2.only) return HTTP_2_ONLY;
  return http2.enabled ? HTTP_2 : HTTP_1;
}

function contextOptions(config: ListenerConfig, secrets: Secrets): TlsContextOptions {
  const { profile, tickets, clientAuth } = config.tls!;
  const options = profileOptions(profile);
  return {
    ...options,
    secureOptions: options.secureOptions | (tickets ? 0 : SSL_OP_NO_TICKET),
    cert: [],
    key: [],
    alpn: protocolsOf(config),
    requestCert: clientAuth !== null,
    // A missing certificate ends the handshake with an alert; one that does not verify ends it in `Handshake.onSecure`.
    rejectUnauthorized: clientAuth?.mode === 'required',
    sessionTimeout: SESSION_SECONDS,
    sessionIdContext: sessionContext(config, secrets),
    ...(clientAuth === null ? {} : { ca: textOf(secrets, clientAuth.ca) }),
    ...(clientAuth === null || clientAuth.crl === null ? {} : { crl: textOf(secrets, clientAuth.crl) }),
  };
}

/**
 * A session is resumed only where it was made, and only while what was asked of the client then is what is asked now:
 * a resumed session carries the verdict on its certificate along.
 */
function sessionContext({ name, tls: config }: ListenerConfig, secrets: Secrets): string {
  const { clientAuth } = config!;
  const asked =
    clientAuth === null
      ? []
      : [clientAuth.mode, secrets.files[clientAuth.ca], secrets.files[clientAuth.crl ?? '']];
  return createHash('sha256')
    .update(JSON.stringify([name, ...asked]))
    .digest('hex')
    .slice(0, 32);
}

function textOf(secrets: Secrets, path: string): string {
  const text = secrets.files[path];
  if (text === undefined) throw new Error(`${path} has not been read`);
  return text;
}

/** Hashed, so that no key lies in a text that lives long. */
function keyOf({ name, http2, tls: config }: ListenerConfig, secrets: Secrets): string {
  const { certificates, clientAuth } = config!;
  const hash = createHash('sha256').update(JSON.stringify([name, http2.enabled, http2.only, config]));
  for (const source of certificates)
    hash.update(JSON.stringify(secrets.pairs[certificateKey(source)] ?? null));
  if (clientAuth !== null) {
    hash.update(JSON.stringify([secrets.files[clientAuth.ca], secrets.files[clientAuth.crl ?? '']]));
  }
  return hash.digest('hex');
}
