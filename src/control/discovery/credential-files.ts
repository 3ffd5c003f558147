// The files that hold a cluster's credentials: the kubeconfig, and the certificates, keys and tokens that it names.

import { dirname } from 'node:path';
import { createSecureContext } from 'node:tls';
import { readRegularFile } from '../../files/regular-file.ts';
import type { ClusterConfig } from '../../model/config.ts';
import type { ExecCredential } from './exec-credential.ts';
import { DiscoveryFailure, errorCode } from './failure.ts';
import { type ApiServer, kubeconfigServer, type PemSource } from './kubeconfig.ts';

type Kubeconfig = NonNullable<ClusterConfig['kubeconfig']>;

export interface TlsMaterial {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized: boolean;
}

const fileLimitBytes = 4 * 1024 * 1024;

export async function readKubeconfig({ path, context }: Kubeconfig): Promise<ApiServer> {
  return await kubeconfigServer(await readText(path), dirname(path), context);
}

/**
 * What is wrong with a kubeconfig and the files that it names, as one sentence; null when nothing is. Nothing is asked of
 * the API server, and no exec plugin runs.
 */
export async function kubeconfigFault(kubeconfig: Kubeconfig): Promise<string | null> {
  try {
    const server = await readKubeconfig(kubeconfig);
    await readTls(server, await readPem(server.ca), null);
    await readToken(server, null);
    return null;
  } catch (error) {
    if (error instanceof DiscoveryFailure) return error.message;
    throw error;
  }
}

/** Those of the exec plugin come first. */
export async function readTls(
  server: ApiServer,
  ca: string | null,
  exec: ExecCredential | null,
): Promise<TlsMaterial> {
  const cert = exec?.clientCertificate ?? (await readPem(server.clientCertificate));
  const key = exec?.clientKey ?? (await readPem(server.clientKey));
  const tls: TlsMaterial = {
    ...(ca === null ? {} : { ca }),
    ...(cert === null ? {} : { cert }),
    ...(key === null ? {} : { key }),
    ...(server.serverName === null ? {} : { servername: server.serverName }),
    rejectUnauthorized: !server.skipTlsVerify,
  };
  checkTls(tls);
  return tls;
}

/** A token file comes first, the exec plugin's token last. */
export async function readToken(server: ApiServer, exec: ExecCredential | null): Promise<string | null> {
  const token =
    server.tokenFile === null
      ? (server.token ?? exec?.token ?? null)
      : (await readText(server.tokenFile)).trim();
  return token === null ? null : checkedToken(token);
}

/** Throws a `DiscoveryFailure` that names the file and the system's code. */
async function readText(path: string): Promise<string> {
  try {
    return (await readRegularFile(path, fileLimitBytes)).toString();
  } catch (error) {
    throw new DiscoveryFailure('credentials', `${path} cannot be read (${errorCode(error)})`);
  }
}

export async function readPem(source: PemSource): Promise<string | null> {
  if (source.data !== null) return source.data;
  return source.file === null ? null : await readText(source.file);
}

/** A bad certificate, or one whose key has not been replaced yet, is found here and not in a running connection. */
function checkTls(tls: TlsMaterial): void {
  try {
    createSecureContext(tls);
  } catch (error) {
    throw new DiscoveryFailure('credentials', `certificates cannot be used (${errorCode(error)})`);
  }
}

/** RFC 6750 section 2.1; anything else could break out of the header. */
function checkedToken(token: string): string {
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new DiscoveryFailure('credentials', 'the token is empty or malformed');
  return token;
}
