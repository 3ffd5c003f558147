// Checks the files that a configuration names: certificates, keys, the admin token, kubeconfigs.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { access, constants, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createSecureContext } from 'node:tls';
import { readRegularFile } from '../files/regular-file.ts';
import type { ClusterConfig, Config } from '../model/config.ts';
import type { ClientAuthConfig } from '../model/listener-config.ts';
import type { PoolTls } from '../model/pool-config.ts';
import { EXPIRY_WARNING_MS, factsOf } from './certificate-pair.ts';
import { isSuccessfulOcsp } from './ocsp-response.ts';
import type { Finding, Path } from './problem.ts';
import { quote } from './refusal.ts';
import type { Places } from './validate.ts';

/** Revocation lists of public authorities take some MiB; a file beyond this is something else. */
export const NAMED_FILE_LIMIT_BYTES = 64 * 1024 * 1024;

export interface FileFindings {
  readonly problems: readonly Finding[];
  readonly warnings: readonly Finding[];
}

/** What is wrong with a kubeconfig that can be read, as one sentence; null when nothing is. */
export type KubeconfigFault = (
  kubeconfig: NonNullable<ClusterConfig['kubeconfig']>,
) => Promise<string | null>;

/**
 * Reads every certificate and key (PEM) and checks that they belong together; checks that the token file holds
 * something. A kubeconfig that is missing or cannot be used is a warning only: it may be written later.
 * @param kubeconfigFault null looks no further than whether the file is there
 */
export async function checkNamedFiles(
  config: Config,
  places: Places,
  nowMs: number,
  kubeconfigFault: KubeconfigFault | null,
): Promise<FileFindings> {
  const problems: Finding[] = [];
  const warnings: Finding[] = [];
  for (const [index, { tls }] of config.listeners.entries()) {
    for (const [position, pair] of (tls?.certificates ?? []).entries()) {
      const place = [...places.at('listeners', index), 'tls', 'certificates', position];
      if (pair.kind === 'secret') continue;
      const found = await checkPair(pair, place);
      problems.push(...found);
      if (found.length === 0) warnings.push(...(await checkExpiry(pair.cert, [...place, 'cert'], nowMs)));
      if (pair.ocsp !== null) problems.push(...(await checkStaple(pair.ocsp, [...place, 'ocsp'])));
    }
    if (tls !== null && tls.clientAuth !== null) {
      problems.push(
        ...(await checkClientAuth(tls.clientAuth, [...places.at('listeners', index), 'tls', 'clientAuth'])),
      );
    }
  }
  for (const { tls, place } of upstreamTls(config, places)) {
    if (tls.ca !== null)
      problems.push(...(await checkPem(tls.ca, [...place, 'ca'], 'CERTIFICATE', 'authority')));
    if (tls.certificate !== null) problems.push(...(await checkPair(tls.certificate, place)));
  }
  const { tokenFile } = config.admin;
  if (tokenFile !== null) {
    const token = await readText(tokenFile, ['admin', 'tokenFile'], 'token');
    if (typeof token !== 'string') {
      problems.push(token);
    } else if (token.trim() === '') {
      const message = `the token file ${quote(tokenFile)} is empty`;
      problems.push(finding(['admin', 'tokenFile'], 'file-empty', message, 'Write a random token into it.'));
    }
  }
  warnings.push(...(await checkLogPath(config.log.access.path)));
  for (const [index, { kubeconfig }] of config.clusters.entries()) {
    if (kubeconfig !== null) {
      const place = [...places.at('clusters', index), 'kubeconfig', 'path'];
      warnings.push(...(await checkKubeconfig(kubeconfig, place, kubeconfigFault)));
    }
  }
  return { problems, warnings };
}

/** TLS to the targets of pools, and of the pools that a rule's `service` makes. */
function upstreamTls(
  config: Config,
  places: Places,
): readonly { readonly tls: PoolTls; readonly place: Path }[] {
  const found: { tls: PoolTls; place: Path }[] = [];
  for (const [index, { tls }] of config.pools.entries()) {
    if (tls !== null) found.push({ tls, place: [...places.at('pools', index), 'tls'] });
  }
  for (const [route, { rules }] of config.routes.entries()) {
    for (const [index, { action }] of rules.entries()) {
      const tls = action.kind === 'service' ? action.template.tls : null;
      if (tls !== null) found.push({ tls, place: [...places.rule(route, index), 'service', 'tls'] });
    }
  }
  return found;
}

async function checkPair(
  pair: { readonly cert: string; readonly key: string },
  place: Path,
): Promise<readonly Finding[]> {
  const certPlace = [...place, 'cert'];
  const keyPlace = [...place, 'key'];
  const [certText, keyText] = await Promise.all([
    readText(pair.cert, certPlace, 'certificate'),
    readText(pair.key, keyPlace, 'key'),
  ]);
  const certificate =
    typeof certText === 'string' ? parseCertificate(certText, pair.cert, certPlace) : certText;
  const key = typeof keyText === 'string' ? parseKey(keyText, pair.key, keyPlace) : keyText;
  if (!(certificate instanceof X509Certificate)) {
    return 'code' in key ? [certificate, key] : [certificate];
  }
  if ('code' in key) {
    return [key];
  }
  if (!certificate.checkPrivateKey(key)) {
    const message = `the key ${quote(pair.key)} does not belong to the certificate ${quote(pair.cert)}`;
    return [
      finding(
        keyPlace,
        'tls-mismatch',
        message,
        'Name the key that the certificate was made for; the certificate itself must come first in its file.',
      ),
    ];
  }
  const fault = contextFault(certText as string, keyText as string);
  if (fault === null) return [];
  const message = `${quote(pair.cert)} cannot be used for TLS: ${fault}`;
  const fix = 'Give a whole chain, of certificates with keys that OpenSSL takes: RSA of 2048 bits, or ECDSA.';
  return [finding(certPlace, 'tls-unusable', message, fix)];
}

/** A chain that is cut, or a key that is too weak, is found by OpenSSL alone. */
function contextFault(cert: string, key: string): string | null {
  try {
    createSecureContext({ cert, key });
    return null;
  } catch (error) {
    return reason(error);
  }
}

/** Authorities and revocation lists are tried where they will be used: in a TLS context. */
async function checkClientAuth({ ca, crl }: ClientAuthConfig, place: Path): Promise<readonly Finding[]> {
  const authorities = await checkPem(ca, [...place, 'ca'], 'CERTIFICATE', 'authority');
  const lists = crl === null ? [] : await checkPem(crl, [...place, 'crl'], 'X509 CRL', 'revocation list');
  return [...authorities, ...lists];
}

async function checkPem(
  path: string,
  place: Path,
  kind: 'CERTIFICATE' | 'X509 CRL',
  what: string,
): Promise<readonly Finding[]> {
  const text = await readText(path, place, what);
  if (typeof text !== 'string') return [text];
  try {
    if (!text.includes(`-----BEGIN ${kind}-----`)) throw new Error(`no PEM block ${kind}`);
    createSecureContext(kind === 'CERTIFICATE' ? { ca: text } : { crl: text });
    return [];
  } catch (error) {
    const message = `${quote(path)} holds no usable ${what}: ${reason(error)}`;
    return [finding(place, 'tls-authority', message, `Give a PEM file with blocks of ${kind}.`)];
  }
}

async function checkStaple(path: string, place: Path): Promise<readonly Finding[]> {
  const bytes = await readNamed(path, place, 'OCSP response');
  if (!Buffer.isBuffer(bytes)) return [bytes];
  if (isSuccessfulOcsp(bytes)) return [];
  const message = `${quote(path)} holds no whole OCSP response that is successful`;
  return [finding(place, 'tls-ocsp', message, 'Give a DER file, as openssl ocsp -respout writes it.')];
}

/** A warning, not a problem: an expired certificate is no reason to serve nothing. */
async function checkExpiry(path: string, place: Path, nowMs: number): Promise<readonly Finding[]> {
  const bytes = await readNamed(path, place, 'certificate');
  const certificate = Buffer.isBuffer(bytes) ? parseCertificate(bytes, path, place) : bytes;
  // It has been replaced since it was checked: whoever reads it for use tells of it.
  if (!(certificate instanceof X509Certificate)) return [];
  const { notAfterMs } = factsOf(certificate);
  const leftMs = notAfterMs - nowMs;
  if (leftMs > EXPIRY_WARNING_MS) return [];
  const when = new Date(notAfterMs).toISOString().slice(0, 10);
  const message = `the certificate ${quote(path)} ${leftMs <= 0 ? 'expired' : 'expires'} on ${when}`;
  return [
    finding(place, 'certificate-expires', message, 'Renew it: a changed file is taken without a reload.'),
  ];
}

function parseCertificate(text: string | Buffer, path: string, place: Path): X509Certificate | Finding {
  try {
    return new X509Certificate(text);
  } catch (error) {
    return finding(
      place,
      'tls-certificate',
      `${quote(path)} holds no certificate: ${reason(error)}`,
      'Give a PEM file that begins with the certificate.',
    );
  }
}

function parseKey(text: string, path: string, place: Path): KeyObject | Finding {
  try {
    return createPrivateKey(text);
  } catch (error) {
    return finding(
      place,
      'tls-key',
      `${quote(path)} holds no usable private key: ${reason(error)}`,
      'Give a PEM file with an unencrypted private key.',
    );
  }
}

async function readText(path: string, place: Path, what: string): Promise<string | Finding> {
  const bytes = await readNamed(path, place, what);
  return Buffer.isBuffer(bytes) ? bytes.toString() : bytes;
}

async function readNamed(path: string, place: Path, what: string): Promise<Buffer | Finding> {
  try {
    return await readRegularFile(path, NAMED_FILE_LIMIT_BYTES);
  } catch (error) {
    return finding(
      place,
      'file-unreadable',
      `the ${what} file ${quote(path)} cannot be read: ${reason(error)}`,
      'Check the path (relative paths start at the configuration file) and the permissions.',
    );
  }
}

/** A warning: what is missing may come, and lines are held back until it does. */
async function checkLogPath(path: string): Promise<readonly Finding[]> {
  if (path === 'stdout' || path === 'off') return [];
  const refusal = await writeRefusal(path);
  if (refusal === null) return [];
  const message = `the access log ${quote(path)} cannot be written: ${refusal}`;
  const fix = 'Name a file in a directory that is there and that the user of Portico may write in.';
  return [finding(['log', 'access', 'path'], 'log-unwritable', message, fix)];
}

/** Why a file can be neither made nor appended to, as the user who asks; null when it can. */
async function writeRefusal(path: string): Promise<string | null> {
  try {
    if ((await stat(path)).isDirectory()) return 'EISDIR';
    await access(path, constants.W_OK);
    return null;
  } catch (error) {
    if (reason(error) !== 'ENOENT') return reason(error);
    const directory = dirname(path);
    return access(directory, constants.W_OK).then(
      () => null,
      (refusal: unknown) => `${reason(refusal)} in ${quote(directory)}`,
    );
  }
}

async function checkKubeconfig(
  kubeconfig: NonNullable<ClusterConfig['kubeconfig']>,
  place: Path,
  kubeconfigFault: KubeconfigFault | null,
): Promise<readonly Finding[]> {
  const name = quote(kubeconfig.path);
  try {
    await access(kubeconfig.path);
  } catch (error) {
    const message = `the kubeconfig ${name} cannot be read: ${reason(error)}`;
    const fix = 'Check the path and the permissions: without it nothing is learned from this cluster.';
    return [finding(place, 'kubeconfig-missing', message, fix)];
  }
  const fault = (await kubeconfigFault?.(kubeconfig)) ?? null;
  if (fault === null) return [];
  const message = `with the kubeconfig ${name} nothing is learned from this cluster: ${fault}`;
  const fix = 'Mend it: a changed file is read again without a reload.';
  return [finding(place, 'kubeconfig-unusable', message, fix)];
}

function finding(path: Path, code: string, message: string, fix: string): Finding {
  return { path, at: 'value', code, message, fix };
}

/** The system's or OpenSSL's code where there is one: their messages repeat the path. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}
