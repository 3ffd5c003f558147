// The certificates of one listener: which of them a client gets, by the name that it asks for and the keys that it can verify.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { CertificatePair } from '../../model/secrets.ts';
import type { TlsContext, TlsContextOptions, TlsContexts } from '../wire/tls-context.ts';
import type { ClientHello } from './client-hello.ts';
import { nextUpdateMs } from './ocsp.ts';
import { keyTypeByCipher } from './profile.ts';

type KeyType = 'ec' | 'rsa' | 'other';

interface Certificate {
  readonly pair: CertificatePair;
  readonly names: CertificateNames;
  readonly keyType: KeyType;
  /** Signature scheme of TLS 1.3 that an EC key can make: there a curve stands for its hash (RFC 8446, section 4.2.3). */
  readonly scheme: number;
  readonly staple: Staple | null;
}

interface Staple {
  readonly response: Buffer;
  /** Epoch milliseconds. */
  readonly untilMs: number;
}

/** DNS names and addresses that a certificate is good for. */
export class CertificateNames {
  readonly exact: ReadonlySet<string>;
  /** By the suffix after `*`, with its dot. */
  readonly wildcard: ReadonlySet<string>;

  constructor(names: readonly string[]) {
    this.exact = new Set(names.filter((name) => !name.startsWith('*.')));
    this.wildcard = new Set(names.filter((name) => name.startsWith('*.')).map((name) => name.slice(1)));
  }

  /** RFC 9525, section 6.3: a wildcard stands for exactly one label. */
  cover(host: string): boolean {
    if (this.exact.has(host)) return true;
    const dot = host.indexOf('.');
    return dot > 0 && this.wildcard.has(host.slice(dot));
  }
}

/** What clients that ask for one name get: one certificate, or several of different key types. */
export class Identity {
  readonly context: TlsContext;
  readonly #certificates: readonly Certificate[];

  constructor(certificates: readonly Certificate[], context: TlsContext) {
    this.#certificates = certificates;
    this.context = context;
  }

  /** Whether every one of its certificates is good for this host: which one the client got does not matter then. */
  covers(host: string): boolean {
    return this.#certificates.every(({ names }) => names.cover(host));
  }

  /**
   * The OCSP response for the certificate that OpenSSL is going to choose for this client, while it holds.
   * @param nowMs epoch milliseconds
   */
  stapleFor(hello: ClientHello, nowMs: number): Buffer | null {
    const [first] = this.#certificates;
    const chosen = this.#certificates.length === 1 ? first : this.#chosenFor(hello);
    const staple = chosen?.staple ?? null;
    // Clients take an old response for a reason to distrust the certificate, and none for no news.
    return staple === null || staple.untilMs <= nowMs ? null : staple.response;
  }

  #chosenFor({ offersTls13, signatureAlgorithms, ciphers }: ClientHello): Certificate | undefined {
    const of = (type: KeyType): Certificate | undefined =>
      this.#certificates.find(({ keyType }) => keyType === type);
    const signs = (type: KeyType): boolean => {
      const certificate = of(type);
      if (certificate === undefined) return false;
      if (type === 'rsa') return signatureAlgorithms.some((scheme) => RSA_SCHEMES.has(scheme));
      return offersTls13
        ? signatureAlgorithms.includes(certificate.scheme)
        : signatureAlgorithms.some((scheme) => ECDSA_SCHEMES.has(scheme));
    };
    if (offersTls13) return signs('ec') ? of('ec') : of('rsa');
    const type = keyTypeByCipher(ciphers, signs);
    return type === null ? undefined : of(type);
  }
}

const ECDSA_SCHEMES: ReadonlySet<number> = new Set([0x0403, 0x0503, 0x0603]);
const RSA_SCHEMES: ReadonlySet<number> = new Set([0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806]);
const SCHEME_OF_CURVE: Readonly<Record<string, number>> = {
  prime256v1: 0x0403,
  secp384r1: 0x0503,
  secp521r1: 0x0603,
};

export class Certificates {
  readonly #exact = new Map<string, Identity>();
  readonly #wildcard = new Map<string, Identity>();
  /** For clients that name no server, or one that no certificate has; null without any certificate. */
  readonly fallback: Identity | null;

  /**
   * @param pairs in configured order: the first one with a name and a key type is used for them
   * @param options of every context
   * Throws when a certificate or key cannot be used; keys are never part of the message.
   */
  constructor(pairs: readonly CertificatePair[], options: TlsContextOptions, contexts: TlsContexts) {
    const all = pairs.map(readCertificate);
    const identities = new Map<string, Identity>();
    const identityOf = (certificates: readonly Certificate[]): Identity => {
      const key = certificates.map((certificate) => all.indexOf(certificate)).join();
      const known = identities.get(key);
      if (known !== undefined) return known;
      const context = contexts.create({
        ...options,
        cert: certificates.map(({ pair }) => pair.cert),
        key: certificates.map(({ pair }) => pair.key),
      });
      const identity = new Identity(certificates, context);
      identities.set(key, identity);
      return identity;
    };
    for (const [table, namesOf] of [
      [this.#exact, ({ names }: Certificate) => names.exact],
      [this.#wildcard, ({ names }: Certificate) => names.wildcard],
    ] as const) {
      const byName = new Map<string, Certificate[]>();
      for (const certificate of all) {
        for (const name of namesOf(certificate)) {
          const others = byName.get(name) ?? [];
          if (others.some(({ keyType }) => keyType === certificate.keyType)) continue;
          byName.set(name, [...others, certificate]);
        }
      }
      for (const [name, certificates] of byName) table.set(name, identityOf(certificates));
    }
    const [first] = all;
    this.fallback = first === undefined ? null : (this.#ofAnyName(first.names) ?? identityOf([first]));
  }

  /** The identity for a name; undefined when no certificate has it. */
  find(serverName: string): Identity | undefined {
    const exact = this.#exact.get(serverName);
    if (exact !== undefined) return exact;
    const dot = serverName.indexOf('.');
    return dot > 0 ? this.#wildcard.get(serverName.slice(dot)) : undefined;
  }

  /** Clients without a name get what those get that name the first certificate: its other key type too. */
  #ofAnyName(names: CertificateNames): Identity | undefined {
    const [exact] = names.exact;
    if (exact !== undefined) return this.#exact.get(exact);
    const [wildcard] = names.wildcard;
    return wildcard === undefined ? undefined : this.#wildcard.get(wildcard);
  }
}

function readCertificate(pair: CertificatePair): Certificate {
  const { asymmetricKeyType, asymmetricKeyDetails } = createPrivateKey(pair.key);
  const keyType = asymmetricKeyType === 'ec' || asymmetricKeyType === 'rsa' ? asymmetricKeyType : 'other';
  return {
    pair,
    names: new CertificateNames(namesOf(pair.cert)),
    keyType,
    scheme: SCHEME_OF_CURVE[asymmetricKeyDetails?.namedCurve ?? ''] ?? 0,
    staple: pair.staple === null ? null : stapleOf(Buffer.from(pair.staple, 'base64')),
  };
}

const stapleOf = (response: Buffer): Staple => ({ response, untilMs: nextUpdateMs(response) });

/** DNS names of the subjectAltName; the common name does not count when there is one (RFC 9525, section 2). */
function namesOf(cert: string): readonly string[] {
  const { subjectAltName, subject } = new X509Certificate(cert);
  if (subjectAltName !== undefined) {
    return [...subjectAltName.matchAll(/DNS:([^,\s]+)/g)].map(([, name]) => name!.toLowerCase());
  }
  const common = /^CN=(.+)$/m.exec(subject)?.[1];
  return common === undefined ? [] : [common.toLowerCase()];
}
