// Certificates, keys, authorities and revocation lists that a configuration names, read beside it and never printed.

import { NAMED_FILE_LIMIT_BYTES } from '../../config/named-files.ts';
import { readRegularFile } from '../../files/regular-file.ts';
import type { Config } from '../../model/config.ts';
import type { CertificateSource } from '../../model/listener-config.ts';
import type { PoolTls } from '../../model/pool-config.ts';
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
    [...authorityPaths(config)].map(async (path) => [path, await readNamed(path)] as const),
  );
  return { pairs: Object.fromEntries(pairs), files: Object.fromEntries(files) };
}

/** Every certificate that is named, once, by `certificateKey`. */
export function certificateSources(config: Config): ReadonlyMap<string, CertificateSource> {
  const sources = new Map<string, CertificateSource>();
  const add = (source: CertificateSource): void => void sources.set(certificateKey(source), source);
  for (const { tls } of config.listeners) tls?.certificates.forEach(add);
  for (const { certificate } of upstreamTls(config)) if (certificate !== null) add(certificate);
  return sources;
}

/** Files of authorities and revocation lists. */
export function authorityPaths(config: Config): ReadonlySet<string> {
  const paths = new Set<string>();
  const add = (path: string | null): void => {
    if (path !== null) paths.add(path);
  };
  for (const { tls } of config.listeners) {
    add(tls?.clientAuth?.ca ?? null);
    add(tls?.clientAuth?.crl ?? null);
  }
  for (const { ca } of upstreamTls(config)) add(ca);
  return paths;
}

/** TLS of the pools, those included that a rule's `service` makes. */
function upstreamTls({ pools, routes }: Config): readonly PoolTls[] {
  const templates = routes.flatMap(({ rules }) =>
    rules.flatMap(({ action }) => (action.kind === 'service' ? [action.template] : [])),
  );
  return [...pools, ...templates].flatMap(({ tls }) => tls ?? []);
}

export async function readPair({ cert, key, ocsp }: FileSource): Promise<CertificatePair> {
  const [certText, keyText, staple] = await Promise.all([
    readNamed(cert),
    readNamed(key),
    ocsp === null ? null : readNamed(ocsp, 'base64'),
  ]);
  return { cert: certText, key: keyText, staple };
}

/** A file that the configuration names, as text. */
export async function readNamed(path: string, encoding: 'utf8' | 'base64' = 'utf8'): Promise<string> {
  return (await readRegularFile(path, NAMED_FILE_LIMIT_BYTES)).toString(encoding);
}
