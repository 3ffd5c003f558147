// What a client's certificate says, as header lines for the target that no client can write itself.

import type { X509Certificate } from 'node:crypto';

export type ClientVerdict =
  | { readonly kind: 'none' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'verified'; readonly certificate: X509Certificate };

/** A longer subject is cut off at a whole attribute: header fields are bounded everywhere. */
const SUBJECT_LIMIT = 2048;

/**
 * Subject and fingerprint stand only beside a certificate that verified: a target that looks at nothing else cannot be
 * told a name that somebody made up. Values are ASCII.
 */
export function clientCertificateLines(verdict: ClientVerdict): string {
  switch (verdict.kind) {
    case 'none':
      return 'X-Client-Cert-Verify: none\r\n';
    case 'failed':
      return `X-Client-Cert-Verify: failed; reason=${verdict.reason}\r\n`;
    case 'verified': {
      const { fingerprint256 } = verdict.certificate;
      // Undefined, against its type, where it is empty: who it is for is said by alternative names alone (RFC 5280, section 4.1.2.6).
      const subject = verdict.certificate.subject as string | undefined;
      return (
        'X-Client-Cert-Verify: success\r\n' +
        (subject ? `X-Client-Cert-Subject: ${subjectText(subject)}\r\n` : '') +
        `X-Client-Cert-Fingerprint: ${fingerprint256.replaceAll(':', '').toLowerCase()}\r\n`
      );
    }
  }
}

/** As a distinguished name is written (RFC 4514): the most specific part first, other than ASCII as escaped UTF-8 bytes. */
export function subjectText(subject: string): string {
  let text = '';
  for (const part of subject.split('\n').reverse()) {
    const escaped = [...Buffer.from(part, 'utf8')]
      .map((byte) =>
        byte < 0x20 || byte > 0x7e
          ? `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`
          : String.fromCharCode(byte),
      )
      .join('');
    if (text.length + escaped.length + 1 > SUBJECT_LIMIT) break;
    text += text === '' ? escaped : `,${escaped}`;
  }
  return text;
}
