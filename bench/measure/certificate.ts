// The certificate of the https cases: ECDSA P-256, signed by itself, made anew for each round.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Writes tls.crt, tls.key and both in tls.pem. */
export function makeCertificate(directory: string): void {
  const cert = path.join(directory, 'tls.crt');
  const key = path.join(directory, 'tls.key');
  execFileSync(
    'openssl',
    [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '30',
      ],
      ...['-subj', '/CN=bench.example', '-addext', 'subjectAltName=DNS:bench.example,IP:127.0.0.1'],
      ...['-keyout', key, '-out', cert],
    ],
    { stdio: 'pipe' },
  );
  writeFileSync(path.join(directory, 'tls.pem'), readFileSync(cert, 'utf8') + readFileSync(key, 'utf8'));
}
