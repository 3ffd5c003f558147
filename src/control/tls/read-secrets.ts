// Certificates, keys, authorities and revocation lists that a configuration names, read beside it and never printed.

import { readFile } from 'node:fs/promises';
import type { CertificateSource, Config } from '../../model/config.ts';
import { type CertificatePair, certificateKey, type NamedSecrets } from '../../model/secrets.ts';

type FileSource = Extract<CertificateSource, { readonly kind: 'files' }>;

/** Rejects when a file cannot be read. Secrets of clusters come by themselves. */
export async function readSecrets(config: Config): Promise<NamedSecrets> {
  const sources = certificateSources(config);
  const pairs = await Promise.all(
    [...sources].flatMap(([key, source]) =>
      source.kind === 'files' ? [readPair(source).then((pair) => [key, pair] as const)] : [],
    ),
  );
  const files = await Promise.all(
    [...authorityPaths(config)].map(async (path) => [path, await readFile(path, 'utf8')] as const),
  );
  return { pairs: Object.fromEntries(pairs), files: Object.fromEntries(files) };
}

/** Every certificate that is named, once, by `certificateKey`. */
export function certificateSources(config: Config): ReadonlyMap<string, CertificateSource> {
  const sources = new Map<string, CertificateSource>();
  for (const { tls } of config.listeners) {
    for (const source of tls?.certificates ?? []) sources.set(certificateKey(source), source);
  }
  return sources;
}

/** Files of authorities and revocation lists. */
export function authorityPaths(config: Config): ReadonlySet<string> {
  const paths = new Set<string>();
  for (const { tls } of config.listeners) {
    if (tls === null || tls.clientAuth === null) continue;
    paths.add(tls.clientAuth.ca);
    if (tls.clientAuth.crl !== null) paths.add(tls.clientAuth.crl);
  }
  return paths;
}

export async function readPair({ cert, key, ocsp }: FileSource): Promise<CertificatePair> {
  const [certText, keyText, staple] = await Promise.all([
    readFile(cert, 'utf8'),
    readFile(key, 'utf8'),
    ocsp === null ? null : readFile(ocsp, 'base64'),
  ]);
  return { cert: certText, key: keyText, staple };
}
