// Whether a certificate and a private key can be used together, and what the certificate says.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

/** Certificates are warned of this long before they end. */
export const EXPIRY_WARNING_MS = 14 * 86_400_000;

export interface CertificateFacts {
  /** DNS names and addresses of the subjectAltName, as OpenSSL writes them. */
  readonly names: readonly string[];
  /** Epoch milliseconds. */
  readonly notAfterMs: number;
  /** SHA-256 in hexadecimal. */
  readonly fingerprint: string;
}

/** Codes are labels of a counter and fields of the log. */
export type PairFault =
  | 'certificate-invalid'
  | 'certificate-key-invalid'
  | 'certificate-key-mismatch'
  | 'certificate-unusable';

export interface BrokenPair {
  readonly fault: PairFault;
  /** Without anything of the key. */
  readonly message: string;
}

export function judgePair(cert: string, key: string): CertificateFacts | BrokenPair {
  let certificate: X509Certificate;
  let privateKey: KeyObject;
  try {
    certificate = new X509Certificate(cert);
  } catch (error) {
    return { fault: 'certificate-invalid', message: `it holds no certificate (${codeOf(error)})` };
  }
  try {
    privateKey = createPrivateKey(key);
  } catch (error) {
    return { fault: 'certificate-key-invalid', message: `its key cannot be read (${codeOf(error)})` };
  }
  if (!certificate.checkPrivateKey(privateKey)) {
    return { fault: 'certificate-key-mismatch', message: 'its key belongs to another certificate' };
  }
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    return { fault: 'certificate-unusable', message: `it cannot be used for TLS (${codeOf(error)})` };
  }
  return factsOf(certificate);
}

export function factsOf(certificate: X509Certificate): CertificateFacts {
  const { subjectAltName = '', validTo, fingerprint256 } = certificate;
  return {
    names: [...subjectAltName.matchAll(/(?:DNS|IP Address):([^,\s]+)/g)].map(([, name]) => name!),
    notAfterMs: Date.parse(validTo),
    fingerprint: fingerprint256.replaceAll(':', '').toLowerCase(),
  };
}

/** OpenSSL's code: its messages may quote what they could not read. */
function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';
}
