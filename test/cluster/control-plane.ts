// A real control plane on loopback: etcd, kube-apiserver and kube-controller-manager in a directory of its own.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import https from 'node:https';
import { setPriority } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { awaitReady, type Child, findFreePorts, startChild } from './child.ts';
import type { KubeBinary } from './kube-build.ts';

const ADDRESS = '127.0.0.1';
const READY_LIMIT_MS = 60_000;

export interface ControlPlane {
  /** A kubeconfig of a cluster administrator. */
  readonly kubeconfig: string;
  readonly server: string;
  /** Pids of what runs now, by program. */
  pids(): Readonly<Record<string, number>>;
  /** Kills the API server alone, as a power cut would; etcd keeps its data. */
  killApiServer(): Promise<void>;
  /** Starts it again on the same port with the same data and certificates; resolves when it is ready. */
  startApiServer(): Promise<void>;
  close(): Promise<void>;
}

interface Ports {
  readonly api: number;
  readonly etcdClient: number;
  readonly etcdPeer: number;
}

export interface ControlPlaneOptions {
  /** What the API server listens on. Default: loopback alone. */
  readonly bind?: string;
  /** The address in its certificate and in the administrator's kubeconfig. Default: loopback. */
  readonly address?: string;
}

/** Starts all three programs; `directory` must exist and is left behind for the reader of its logs. */
export async function startControlPlane(
  kube: KubeBinary,
  directory: string,
  options: ControlPlaneOptions = {},
): Promise<ControlPlane> {
  const address = options.address ?? ADDRESS;
  const [api, etcdClient, etcdPeer] = (await findFreePorts(3, [ADDRESS])) as [number, number, number];
  const ports = { api, etcdClient, etcdPeer };
  const kubeconfig = path.join(directory, 'admin.kubeconfig');
  const adminToken = randomBytes(24).toString('hex');
  await mkdir(path.join(directory, 'pki'), { recursive: true });
  await writeServiceAccountKey(path.join(directory, 'sa.key'));
  await writeFile(path.join(directory, 'tokens.csv'), `${adminToken},admin,admin,system:masters\n`, {
    mode: 0o600,
  });

  const children = new Map<string, Child>();
  const start = (program: string, parameters: readonly string[], words: readonly string[] = []): Child => {
    const logPath = path.join(directory, `${program}.log`);
    const [command, ...rest] = [...words, kube.path, program, ...parameters];
    const child = startChild({
      name: program,
      command: command!,
      parameters: rest,
      logPath,
      directory,
    });
    children.set(program, child);
    return child;
  };

  const startApiServer = async (): Promise<void> => {
    const flags = apiServerFlags(directory, ports, options.bind ?? ADDRESS, address);
    const child = start('kube-apiserver', flags, CAN_RENICE ? ['nice', '-n', '10'] : []);
    await awaitReady(child, READY_LIMIT_MS, () => isApiReady(directory, address, api, adminToken));
    if (CAN_RENICE) await withUsualPriority(child.pid);
  };

  const close = async (): Promise<void> => {
    // etcd last: the others would fill their logs with its absence.
    for (const program of ['kube-controller-manager', 'kube-apiserver', 'etcd']) {
      await children.get(program)?.stop(program === 'etcd' ? 'SIGTERM' : 'SIGKILL');
    }
  };

  try {
    const etcd = start('etcd', [
      `--data-dir=${path.join(directory, 'etcd')}`,
      `--listen-client=http://${ADDRESS}:${etcdClient}`,
      `--listen-peer=http://${ADDRESS}:${etcdPeer}`,
    ]);
    await awaitReady(etcd, READY_LIMIT_MS, async () =>
      (await readFile(etcd.logPath, 'utf8')).includes('etcd ready'),
    );
    await startApiServer();
    // The certificate file that the API server made for itself holds its authority as well.
    const authority = await readFile(path.join(directory, 'pki/apiserver.crt'));
    await writeKubeconfig(kubeconfig, `https://${address}:${api}`, authority, adminToken, 'admin');
    start('kube-controller-manager', [
      `--kubeconfig=${kubeconfig}`,
      '--leader-elect=false',
      '--controllers=endpointslice-controller',
      '--secure-port=0',
    ]);
  } catch (error) {
    await close();
    throw error;
  }

  return {
    kubeconfig,
    server: `https://${address}:${api}`,
    pids: () =>
      Object.fromEntries(
        [...children.values()].filter((c) => c.ended() === null).map((c) => [c.name, c.pid]),
      ),
    async killApiServer() {
      await children.get('kube-apiserver')?.stop('SIGKILL');
    },
    startApiServer,
    close,
  };
}

/**
 * In life an API server that starts does not take the processors of the edge: here its seconds of start-up would make
 * clients late that Portico has served at once.
 */
const CAN_RENICE = process.platform === 'linux' && process.getuid?.() === 0;

async function withUsualPriority(pid: number): Promise<void> {
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    try {
      setPriority(Number(thread), 0);
    } catch {
      // A thread that has ended meanwhile.
    }
  }
}

function apiServerFlags(directory: string, ports: Ports, bind: string, address: string): string[] {
  return [
    `--etcd-servers=http://${ADDRESS}:${ports.etcdClient}`,
    `--bind-address=${bind}`,
    // Given because a machine without a default route leaves nothing to guess it from.
    `--advertise-address=${address}`,
    `--secure-port=${ports.api}`,
    `--cert-dir=${path.join(directory, 'pki')}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${path.join(directory, 'sa.key')}`,
    `--service-account-signing-key-file=${path.join(directory, 'sa.key')}`,
    '--authorization-mode=RBAC',
    `--token-auth-file=${path.join(directory, 'tokens.csv')}`,
    // ServiceAccount: no controller makes the default account that pods would need. TaintNodesByCondition: no
    // node controller would ever take the not-ready taint away.
    '--disable-admission-plugins=ServiceAccount,TaintNodesByCondition',
    '--enable-priority-and-fairness=false',
  ];
}

async function writeServiceAccountKey(file: string): Promise<void> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await writeFile(file, privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
}

/** Writes a kubeconfig with one context, named like its user, that holds its credentials in itself. */
export async function writeKubeconfig(
  file: string,
  server: string,
  authority: Buffer | null,
  token: string,
  user: string,
): Promise<void> {
  const cluster =
    authority === null ? { server } : { server, 'certificate-authority-data': authority.toString('base64') };
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'lab', cluster }],
    users: [{ name: user, user: { token } }],
    contexts: [{ name: user, context: { cluster: 'lab', user } }],
    'current-context': user,
  };
  // JSON is YAML as well.
  await writeFile(file, JSON.stringify(content, null, 2), { mode: 0o600 });
}

/** `/readyz` with the certificate checked against the file that the server wrote. */
async function isApiReady(directory: string, host: string, port: number, token: string): Promise<boolean> {
  let ca: Buffer;
  try {
    ca = await readFile(path.join(directory, 'pki/apiserver.crt'));
  } catch {
    // Not written yet: the server has only just started.
    return false;
  }
  return await new Promise((resolve) => {
    const request = https.get(
      {
        host,
        port,
        path: '/readyz',
        ca,
        agent: false,
        headers: { authorization: `Bearer ${token}` },
      },
      (response) => {
        response.resume();
        response.once('end', () => resolve(response.statusCode === 200));
      },
    );
    request.setTimeout(1000, () => request.destroy(new Error('no answer in 1 s')));
    // Refused or reset while it starts: asked again by the caller.
    request.once('error', () => resolve(false));
  });
}
