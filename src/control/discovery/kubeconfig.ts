// Kubeconfig text, or the environment of a pod, -> how to reach one API server and with which kind of credentials.

import { isIPv6 } from 'node:net';
import { isAbsolute, join, resolve } from 'node:path';
import { parse } from 'yaml';
import { DiscoveryFailure } from './failure.ts';
import { isJsonObject, type JsonObject } from './json.ts';

/** PEM text given in place (base64 in the kubeconfig) or in a file; the text wins, as in client-go. */
export interface PemSource {
  readonly data: string | null;
  readonly file: string | null;
}

/** https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/#ExecConfig */
export interface ExecPlugin {
  readonly apiVersion: string;
  /** Absolute, or a bare name to be found on the PATH. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly installHint: string;
  readonly provideClusterInfo: boolean;
  /** The cluster's extension `client.authentication.k8s.io/exec`, handed to the plugin as it is. */
  readonly clusterConfig: unknown;
}

export interface ApiServer {
  readonly url: URL;
  readonly serverName: string | null;
  readonly skipTlsVerify: boolean;
  readonly ca: PemSource;
  readonly clientCertificate: PemSource;
  readonly clientKey: PemSource;
  readonly token: string | null;
  /** Wins over `token` whenever it can be read. */
  readonly tokenFile: string | null;
  readonly basic: { readonly username: string; readonly password: string } | null;
  readonly impersonateUser: string | null;
  readonly exec: ExecPlugin | null;
}

/** Where the kubelet puts a pod's credentials. */
export const defaultServiceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';

/** https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
export function inClusterServer(
  environment: Readonly<Record<string, string | undefined>>,
  directory: string,
): ApiServer {
  // client-node's loadFromCluster reads the process environment itself and turns to plain HTTP for some ports.
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? '';
  if (host === '' || port === '') {
    throw unusable('not in a cluster: KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is not set');
  }
  return {
    url: serverUrl(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`),
    serverName: null,
    skipTlsVerify: false,
    ca: { data: null, file: join(directory, 'ca.crt') },
    clientCertificate: { data: null, file: null },
    clientKey: { data: null, file: null },
    token: null,
    tokenFile: join(directory, 'token'),
    basic: null,
    impersonateUser: null,
    exec: null,
  };
}

/**
 * Reads the context `context` (null: the current one) of a kubeconfig. `directory` is the file's own: relative paths
 * start there. Throws a `DiscoveryFailure` whose message never quotes the file.
 */
export async function kubeconfigServer(
  text: string,
  directory: string,
  context: string | null,
): Promise<ApiServer> {
  // Loaded when first needed: the package brings the whole generated API, 0.4 s and about 90 MB of memory.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  let raw: unknown;
  try {
    config.loadFromString(text);
    raw = parse(text);
  } catch {
    // The parser's own message quotes lines of the file, and they may hold a token.
    throw unusable('the kubeconfig is not valid: no YAML, or a cluster, user or context lacks a field');
  }
  if (context !== null) config.setCurrentContext(context);
  const contextName = config.getCurrentContext() ?? '';
  if (contextName === '')
    throw unusable('the kubeconfig has no current-context and no context is configured');
  const chosen = config.getContextObject(contextName);
  if (chosen === null) throw unusable(`the kubeconfig has no context ${contextName}`);
  const cluster = config.getCluster(chosen.cluster);
  if (cluster === null) throw unusable(`the kubeconfig has no cluster ${chosen.cluster}`);
  const user = config.getCurrentUser();
  if (user === null && chosen.user) throw unusable(`the kubeconfig has no user ${chosen.user}`);
  if (cluster.proxyUrl) throw unusable(`cluster ${cluster.name}: proxy-url is not supported`);
  if (user?.authProvider) {
    throw unusable(`user ${user.name}: auth-provider is not supported, use an exec plugin`);
  }
  // KubeConfig drops these: it knows the token file only as `token-file` and reads it once, while parsing.
  const rawUser = named(raw, 'users', chosen.user, 'user');
  for (const key of ['as-uid', 'as-groups', 'as-user-extra']) {
    if (rawUser[key] !== undefined) throw unusable(`user ${chosen.user}: ${key} is not supported`);
  }
  const path = (file: unknown): string | null =>
    typeof file === 'string' && file !== '' ? resolve(directory, file) : null;
  return {
    url: serverUrl(cluster.server),
    serverName: cluster.tlsServerName || null,
    skipTlsVerify: cluster.skipTLSVerify,
    ca: { data: decodePem(cluster.caData, 'certificate-authority-data'), file: path(cluster.caFile) },
    clientCertificate: {
      data: decodePem(user?.certData, 'client-certificate-data'),
      file: path(user?.certFile),
    },
    clientKey: { data: decodePem(user?.keyData, 'client-key-data'), file: path(user?.keyFile) },
    token: user?.token || null,
    tokenFile: path(rawUser['tokenFile']),
    basic: user?.username ? { username: user.username, password: user.password ?? '' } : null,
    impersonateUser: user?.impersonateUser || null,
    exec: rawUser['exec']
      ? execPlugin(rawUser['exec'], named(raw, 'clusters', chosen.cluster, 'cluster'), directory)
      : null,
  };
}

function execPlugin(raw: unknown, cluster: JsonObject, directory: string): ExecPlugin {
  if (!isJsonObject(raw)) throw unusable('the exec plugin is not a mapping');
  const { apiVersion, command, args, env, installHint, provideClusterInfo, interactiveMode } = raw;
  if (typeof command !== 'string' || command === '') throw unusable('the exec plugin names no command');
  if (
    apiVersion !== 'client.authentication.k8s.io/v1' &&
    apiVersion !== 'client.authentication.k8s.io/v1beta1'
  ) {
    throw unusable('the exec plugin needs apiVersion client.authentication.k8s.io/v1 or v1beta1');
  }
  if (interactiveMode === 'Always')
    throw unusable('the exec plugin wants a terminal (interactiveMode Always)');
  const words: unknown[] = Array.isArray(args) ? args : [];
  const variables: unknown[] = Array.isArray(env) ? env : [];
  const extensions: unknown[] = Array.isArray(cluster['extensions']) ? cluster['extensions'] : [];
  const extension = extensions.find(
    (entry) => isJsonObject(entry) && entry['name'] === 'client.authentication.k8s.io/exec',
  );
  return {
    apiVersion,
    // As client-go does: a path is relative to the kubeconfig, a bare name is looked up.
    command: command.includes('/') && !isAbsolute(command) ? resolve(directory, command) : command,
    args: words.map((word) => String(word)),
    env: Object.fromEntries(
      variables.filter(isJsonObject).map((entry) => [String(entry['name']), String(entry['value'] ?? '')]),
    ),
    installHint: typeof installHint === 'string' ? installHint.slice(0, 500) : '',
    provideClusterInfo: provideClusterInfo === true,
    clusterConfig: isJsonObject(extension) ? (extension['extension'] ?? null) : null,
  };
}

function named(raw: unknown, list: string, name: string | undefined, key: string): JsonObject {
  const entries: unknown = isJsonObject(raw) ? raw[list] : undefined;
  if (!Array.isArray(entries)) return {};
  const entry: unknown = entries.find((candidate) => isJsonObject(candidate) && candidate['name'] === name);
  const value = isJsonObject(entry) ? entry[key] : undefined;
  return isJsonObject(value) ? value : {};
}

function serverUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw unusable('the API server is not an http or https URL');
  }
  if (url.username !== '' || url.password !== '') throw unusable('the API server URL holds credentials');
  return url;
}

function decodePem(base64: string | undefined, key: string): string | null {
  if (!base64) return null;
  const text = Buffer.from(base64, 'base64').toString('latin1');
  if (!text.includes('-----BEGIN ')) throw unusable(`${key} is not PEM in base64`);
  return text;
}

function unusable(message: string): DiscoveryFailure {
  return new DiscoveryFailure('credentials', message);
}
