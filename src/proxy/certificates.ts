// Certificates of https listeners: one secure context each, found by the name that the client asks for (SNI).

import { X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import type { Secrets } from '../model/snapshot.ts';

interface ListenerCertificates {
  readonly first: { readonly cert: string; readonly key: string };
  readonly exact: ReadonlyMap<string, tls.SecureContext>;
  /** By the suffix after `*`, with its dot. */
  readonly wildcard: ReadonlyMap<string, tls.SecureContext>;
  readonly fallback: tls.SecureContext;
}

export class Certificates {
  readonly #byListener: ReadonlyMap<string, ListenerCertificates>;

  /** Throws when a certificate or key cannot be used; `secrets` are never part of the message. */
  constructor(secrets: Secrets) {
    this.#byListener = new Map(
      Object.entries(secrets)
        .filter(([, pairs]) => pairs.length > 0)
        .map(([listener, pairs]) => [listener, contextsOf(pairs)]),
    );
  }

  /** The context for a name; the listener's first certificate where none matches. */
  contextFor(listener: string, serverName: string): tls.SecureContext | undefined {
    const certificates = this.#byListener.get(listener);
    if (certificates === undefined) return undefined;
    const name = serverName.toLowerCase();
    const dot = name.indexOf('.');
    return (
      certificates.exact.get(name) ??
      (dot === -1 ? undefined : certificates.wildcard.get(name.slice(dot))) ??
      certificates.fallback
    );
  }

  /** The pair for clients that name no server. */
  defaultPair(listener: string): { readonly cert: string; readonly key: string } | undefined {
    return this.#byListener.get(listener)?.first;
  }
}

function contextsOf(pairs: Secrets[string]): ListenerCertificates {
  const exact = new Map<string, tls.SecureContext>();
  const wildcard = new Map<string, tls.SecureContext>();
  let fallback: tls.SecureContext | null = null;
  for (const { cert, key } of pairs) {
    const context = tls.createSecureContext({ cert, key, minVersion: 'TLSv1.2' });
    fallback ??= context;
    for (const name of namesOf(cert)) {
      const [table, entry] = name.startsWith('*.') ? [wildcard, name.slice(1)] : [exact, name];
      if (!table.has(entry)) table.set(entry, context);
    }
  }
  return { first: pairs[0]!, exact, wildcard, fallback: fallback! };
}

/** DNS names of the subjectAltName (RFC 6125, section 6.4.4: the common name does not count when there is one). */
function namesOf(cert: string): readonly string[] {
  const { subjectAltName, subject } = new X509Certificate(cert);
  if (subjectAltName !== undefined) {
    return [...subjectAltName.matchAll(/DNS:([^,\s]+)/g)].map(([, name]) => name!.toLowerCase());
  }
  const common = /^CN=(.+)$/m.exec(subject)?.[1];
  return common === undefined ? [] : [common.toLowerCase()];
}
