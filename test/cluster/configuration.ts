// What Portico is given: a kubeconfig with a service account's token, and the configuration file of the run.

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { PROBE_PATH } from './backends.ts';
import type { Kubectl } from './kubectl.ts';
import { RUN_LABEL, type ServiceName } from './objects.ts';
import type { PortName } from './ports.ts';

const RBAC_FILE = fileURLToPath(new URL('../../deploy/rbac.yaml', import.meta.url));

/** Applies the project's own RBAC manifest and writes a kubeconfig with a token of its service account. */
export async function writePorticoKubeconfig(kubectl: Kubectl, directory: string): Promise<string> {
  const manifest = await readFile(RBAC_FILE, 'utf8');
  await kubectl.run(['apply', '-f', RBAC_FILE]);
  const account = /kind: ServiceAccount\s+metadata:\s+name: (\S+)\s+namespace: (\S+)/.exec(manifest);
  const [, name, namespace] = account ?? [];
  if (name === undefined || namespace === undefined) {
    throw new Error(`${RBAC_FILE} has no ServiceAccount with name and namespace`);
  }
  const token = await kubectl.run(['create', 'token', name, '-n', namespace, '--duration=2h'], {
    hideOutput: '(a token)',
  });
  const view = await kubectl.run(['config', 'view', '--raw', '--flatten', '--minify', '-o', 'json'], {
    quiet: true,
  });
  const { clusters } = JSON.parse(view) as { clusters: { name: string; cluster: object }[] };
  const file = path.join(directory, 'portico.kubeconfig');
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'lab', cluster: clusters[0]?.cluster }],
    users: [{ name: 'portico', user: { token: token.trim() } }],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'portico' } }],
    'current-context': 'lab',
  };
  await writeFile(file, JSON.stringify(content, null, 2), { mode: 0o600 });
  return file;
}

export interface ConfigurationInput {
  readonly kubeconfig: string;
  readonly run: string;
  readonly ports: Readonly<Record<PortName, number>>;
  /** Receives the state and the access log. */
  readonly directory: string;
  readonly services: Readonly<Record<'unicorn' | 'api' | 'ssh' | 'late', ServiceName>>;
}

/** The Host of the routes to `unicorn` and `unicorn-api`. */
export const GITHUB_HOST = 'github.lab.test';
/** The Host of the route to the service that comes and goes. */
export const REVIEW_HOST = 'review.lab.test';

/** The configuration file as data. */
export function porticoConfiguration(input: ConfigurationInput): object {
  const { ports, services, directory } = input;
  const source = (service: ServiceName, port: string): object => ({
    cluster: 'lab',
    service: `${service.namespace}/${service.name}`,
    port,
  });
  const health = { http: { path: PROBE_PATH }, interval: '1s', timeout: '500ms', rise: 1, fall: 2 };
  return {
    clusters: [
      {
        name: 'lab',
        kubeconfig: { path: input.kubeconfig },
        nodes: { selector: `${RUN_LABEL}=${input.run}` },
        kubeProxy: { port: ports.healthz, interval: '1s', timeout: '500ms' },
      },
    ],
    listeners: [
      { name: 'web', bind: `127.0.0.1:${ports.web}`, protocol: 'http' },
      { name: 'git-ssh', bind: `127.0.0.1:${ports.ssh}`, protocol: 'tcp', pool: 'git-ssh' },
    ],
    pools: [
      { name: 'unicorn', sources: [source(services.unicorn, 'http')], policy: 'least-request', health },
      { name: 'unicorn-api', sources: [source(services.api, 'http')], policy: 'round-robin', health },
      {
        name: 'git-ssh',
        sources: [source(services.ssh, 'ssh')],
        policy: { name: 'rendezvous', key: 'source-ip' },
        health: { ssh: {}, interval: '1s', timeout: '1s', rise: 1, fall: 2 },
      },
      { name: 'review-lab', sources: [source(services.late, 'http')], health },
    ],
    routes: [
      {
        name: 'github',
        hosts: [GITHUB_HOST],
        rules: [
          { matches: [{ path: { prefix: '/api' } }], pools: [{ name: 'unicorn-api' }] },
          { pools: [{ name: 'unicorn' }] },
        ],
      },
      { name: 'review-lab', hosts: [REVIEW_HOST], rules: [{ pools: [{ name: 'review-lab' }] }] },
    ],
    admin: { bind: `127.0.0.1:${ports.admin}` },
    workers: 2,
    stateDirectory: path.join(directory, 'state'),
    log: { level: 'info', access: { path: path.join(directory, 'access.log') } },
  };
}
