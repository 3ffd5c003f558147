// What travels beside a snapshot and is never printed, written to disk or shown: certificates with their keys, and ticket keys.

import type { CertificateSource } from './listener-config.ts';

/** One certificate with its chain and its private key, both PEM. */
export interface CertificatePair {
  readonly cert: string;
  readonly key: string;
  /** OCSP response to staple (RFC 6066, section 8), DER in base64; null when there is none. */
  readonly staple: string | null;
}

export interface Secrets {
  /** By `certificateKey`. A source whose pair has never been good has no entry. */
  readonly pairs: Readonly<Record<string, CertificatePair>>;
  /** PEM text of certificate authorities and revocation lists, by absolute path. */
  readonly files: Readonly<Record<string, string>>;
  /**
   * Session ticket keys, 48 bytes each in base64 (name, HMAC key, AES key), the same for all workers. The first one
   * encrypts, all of them decrypt.
   */
  readonly ticketKeys: readonly string[];
}

/** What the configuration names; ticket keys are made by the controller. */
export type NamedSecrets = Omit<Secrets, 'ticketKeys'>;

export const NO_SECRETS: Secrets = { pairs: {}, files: {}, ticketKeys: [] };

/** Names the pair of a source; a source that is named twice is read once. */
export function certificateKey(source: CertificateSource): string {
  return source.kind === 'files' ? `${source.cert}\n${source.key}` : `secret ${certificateLabel(source)}`;
}

/** Names a source to people: in the log, as a metric label. */
export function certificateLabel(source: CertificateSource): string {
  return source.kind === 'files' ? source.cert : `${source.cluster}/${source.namespace}/${source.name}`;
}
