// Runs a kubeconfig's exec plugin and reads the credential that it prints.
//
// client-node's own ExecAuth is not used: it has no time limit and no bound on output, gives the plugin no
// KUBERNETES_EXEC_INFO, keeps a credential without an expiry for ever (also after a 401), and its error message is
// the plugin's whole stderr.

import { spawn } from 'node:child_process';
import type { Clock } from './clock.ts';
import { DiscoveryFailure, errorCode } from './failure.ts';
import { isJsonObject, parseJsonObject } from './json.ts';
import type { ApiServer, ExecPlugin } from './kubeconfig.ts';

/** https://kubernetes.io/docs/reference/config-api/client-authentication.v1/#client-authentication-k8s-io-v1-ExecCredentialStatus */
export interface ExecCredential {
  readonly token: string | null;
  /** PEM. */
  readonly clientCertificate: string | null;
  readonly clientKey: string | null;
  /** Epoch milliseconds; null: good until the server answers 401. */
  readonly expiresAtMs: number | null;
}

export interface ExecOptions {
  readonly plugin: ExecPlugin;
  readonly server: ApiServer;
  /** PEM of the cluster's CA for plugins that ask for it. */
  readonly ca: string | null;
  /** The variables that the plugin inherits. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const timeoutMs = 30_000;
const outputLimitBytes = 1024 * 1024;

/** Runs the plugin once. Neither its stdout nor its stderr ever enters an error message: both may hold secrets. */
export async function runExecPlugin(options: ExecOptions): Promise<ExecCredential> {
  const { plugin } = options;
  const output = await capture(options);
  const credential = parseJsonObject(output);
  if (credential?.['kind'] !== 'ExecCredential' || credential['apiVersion'] !== plugin.apiVersion) {
    throw failed(plugin, `did not print an ExecCredential of ${plugin.apiVersion}`);
  }
  const status = credential['status'];
  if (!isJsonObject(status)) throw failed(plugin, 'printed no status');
  const token = text(status['token']);
  const clientCertificate = text(status['clientCertificateData']);
  const clientKey = text(status['clientKeyData']);
  if (token === null && clientCertificate === null) {
    throw failed(plugin, 'printed neither a token nor a client certificate');
  }
  if ((clientCertificate === null) !== (clientKey === null)) {
    throw failed(plugin, 'printed only one of client certificate and key');
  }
  const expiry = text(status['expirationTimestamp']);
  const expiresAtMs = expiry === null ? null : Date.parse(expiry);
  if (Number.isNaN(expiresAtMs)) throw failed(plugin, 'printed an expirationTimestamp that is no date');
  return { token, clientCertificate, clientKey, expiresAtMs };
}

function capture(options: ExecOptions): Promise<Uint8Array> {
  const { plugin, environment, clock, signal } = options;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let problem = '';
    const child = spawn(plugin.command, [...plugin.args], {
      env: { ...environment, ...plugin.env, KUBERNETES_EXEC_INFO: execInfo(options) },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const kill = (why: string): void => {
      problem = why;
      child.kill('SIGKILL');
      // A grandchild that holds the pipe open must not hold us as well.
      child.stdout.destroy();
    };
    const aborted = (): void => kill('was stopped');
    const cancel = clock.after(timeoutMs, () => kill(`did not end within ${timeoutMs} ms`));
    const settle = (): void => {
      cancel();
      signal.removeEventListener('abort', aborted);
    };
    child.on('error', (error) => {
      settle();
      const hint = plugin.installHint === '' ? '' : ` (hint: ${plugin.installHint})`;
      reject(failed(plugin, `could not be started: ${errorCode(error)}${hint}`));
    });
    // It could not be started, as will be told: where no descriptor was left it has no stdout.
    if (child.pid === undefined) return;
    if (signal.aborted) aborted();
    else signal.addEventListener('abort', aborted);
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > outputLimitBytes) kill(`printed more than ${outputLimitBytes} bytes`);
      else chunks.push(chunk);
    });
    child.on('close', (code) => {
      settle();
      if (problem !== '') reject(failed(plugin, problem));
      else if (code !== 0) reject(failed(plugin, `ended with code ${code}; run it by hand to see why`));
      else resolve(Buffer.concat(chunks));
    });
  });
}

/** https://kubernetes.io/docs/reference/access-authn-authz/authentication/#input-and-output-formats */
function execInfo({ plugin, server, ca }: ExecOptions): string {
  const cluster = {
    server: server.url.href.replace(/\/$/, ''),
    ...(server.serverName === null ? {} : { 'tls-server-name': server.serverName }),
    ...(server.skipTlsVerify ? { 'insecure-skip-tls-verify': true } : {}),
    ...(ca === null ? {} : { 'certificate-authority-data': Buffer.from(ca, 'latin1').toString('base64') }),
    ...(plugin.clusterConfig === null ? {} : { config: plugin.clusterConfig }),
  };
  return JSON.stringify({
    kind: 'ExecCredential',
    apiVersion: plugin.apiVersion,
    spec: { interactive: false, ...(plugin.provideClusterInfo ? { cluster } : {}) },
  });
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function failed(plugin: ExecPlugin, what: string): DiscoveryFailure {
  return new DiscoveryFailure('credentials', `exec plugin ${plugin.command} ${what}`);
}
