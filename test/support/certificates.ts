// Certificates for tests, made by openssl when they are needed: nothing secret and nothing that expires is kept.

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

export interface CertificatePair {
  readonly cert: string;
  readonly key: string;
}

/** A self-signed certificate for these DNS names, valid for a day. */
export async function certificateFor(...names: readonly string[]): Promise<CertificatePair> {
  const directory = await mkdtemp(path.join(tmpdir(), 'portico-cert-'));
  try {
    const [cert, key] = [path.join(directory, 'cert.pem'), path.join(directory, 'key.pem')];
    await promisify(execFile)('openssl', [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '1',
      ],
      ...[
        '-subj',
        '/CN=portico test',
        '-addext',
        `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}`,
      ],
      ...['-out', cert, '-keyout', key],
    ]);
    return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
  } finally {
    await rm(directory, { recursive: true });
  }
}
