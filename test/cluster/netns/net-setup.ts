// Builds the world: machines, services and pods, then Portico as a user runs it, then the clients.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { requirePeers } from '../../support/peers.ts';
import { until } from '../child.ts';
import { curlClient, keepAliveClient, streamClient } from '../clients.ts';
import { cloneClient, greetingClient, type SshEdge, writeKnownHosts } from '../clients-ssh.ts';
import { webSocketClient } from '../clients-websocket.ts';
import { GITHUB_HOST, porticoConfiguration, writePorticoKubeconfig } from '../configuration.ts';
import type { Kubectl } from '../kubectl.ts';
import { serviceObject } from '../objects.ts';
import { Portico } from '../portico.ts';
import { addClientKey } from '../sshd.ts';
import { freshConnectionClient } from './fresh-client.ts';
import { ApiFront } from './front-control.ts';
import { KUBE_PROXY_PORT, Machine } from './machine.ts';
import type { NetWorld } from './net-world.ts';
import { PEERS, RunningPeers } from './peers.ts';
import {
  customResourceDefinitions,
  customResourcePaths,
  ingressObject,
  NODE_PORT_ANNOTATION,
  sshRouteObject,
} from './peers-traefik.ts';
import { EDGE_PORTS, FRONT_PORT, HTTP_PORT, NODE_PORTS, SSH_PORT } from './ports.ts';
import { makeToken } from './tokens.ts';

/** A conversation over a WebSocket; the next one begins at once. */
const CONVERSATION_MS = 6000;
const NODES = ['node-1', 'node-2', 'node-3', 'node-4'] as const;

export async function setUp(world: NetWorld): Promise<void> {
  const { options } = world;
  world.events.start();
  await makeServices(world);
  const machines = await Promise.all(
    NODES.map((name, index) => Machine.start(options.kubelet, name, index + 1)),
  );
  for (const machine of machines) world.machines.set(machine.name, machine);
  for (const node of ['node-1', 'node-2']) {
    await Promise.all((['unicorn', 'api', 'ssh'] as const).map((key) => world.startPod(key, node)));
  }
  await startPortico(world);
  if (options.peers) await startPeers(world);
  await startClients(world);
}

async function makeServices(world: NetWorld): Promise<void> {
  const { services, kubectl } = world;
  for (const namespace of new Set(Object.values(services).map((service) => service.namespace))) {
    await kubectl.run(['create', 'namespace', namespace]);
  }
  await kubectl.apply([
    serviceObject(services.unicorn, {
      nodePort: NODE_PORTS.unicorn,
      port: HTTP_PORT,
      policy: 'Cluster',
      app: services.unicorn.name,
    }),
    serviceObject(services.api, {
      nodePort: NODE_PORTS.api,
      port: HTTP_PORT,
      policy: 'Local',
      app: services.api.name,
      // Of its own accord a NodePort service has none; HAProxy by hand has nothing better to go by.
      ...(world.options.peers ? { healthCheckNodePort: NODE_PORTS.apiHealthCheck } : {}),
    }),
    serviceObject(services.ssh, {
      nodePort: NODE_PORTS.ssh,
      port: SSH_PORT,
      policy: 'Local',
      app: services.ssh.name,
      healthCheckNodePort: NODE_PORTS.healthCheck,
    }),
  ]);
}

async function startPeers(world: NetWorld): Promise<void> {
  const { options: run, services, kubectl } = world;
  // Traefik takes services of the type NodePort alone, which have no healthCheckNodePort for HAProxy.
  const plain = { ...services.api, name: `${services.api.name}-plain` };
  const options = { port: HTTP_PORT, policy: 'Local', app: services.api.name } as const;
  await kubectl.apply([serviceObject(plain, { ...options, nodePort: NODE_PORTS.apiPlain })]);
  for (const { name, namespace } of [services.unicorn, plain]) {
    await kubectl.run(['annotate', 'service', name, '-n', namespace, NODE_PORT_ANNOTATION]);
  }
  const plainSsh = { ...services.ssh, name: `${services.ssh.name}-plain` };
  await kubectl.apply([
    ...customResourceDefinitions(),
    ingressObject(services.unicorn, plain),
    serviceObject(plainSsh, {
      port: SSH_PORT,
      policy: 'Local',
      app: services.ssh.name,
      nodePort: NODE_PORTS.sshPlain,
    }),
  ]);
  await resourcesServed(kubectl);
  await kubectl.apply([sshRouteObject(plainSsh)]);
  world.peers = await RunningPeers.start({
    directory: run.directory,
    nodes: [...world.machines.values()].map((machine) => machine.place.address),
    ports: NODE_PORTS,
    host: GITHUB_HOST,
    kubeconfig: run.controlPlane.kubeconfig,
    sshEdges: await Promise.all(
      PEERS.map(async ({ name, sshPort }) => {
        const { file, fingerprint } = await addClientKey(run.kubelet.ssh, `client-key-${sshPort}`);
        run.kubelet.sshClients.set(fingerprint, name);
        const fixture = { ...run.kubelet.ssh, clientKey: file };
        const directory = path.join(run.directory, `clones-${sshPort}`);
        return { ...sshEdgeOf(world), port: sshPort, fixture, directory };
      }),
    ),
  });
}

/** A kind is `Established` before it is served; Traefik would ask too soon, and again only after up to half a minute. */
async function resourcesServed(kubectl: Kubectl): Promise<void> {
  for (const path of customResourcePaths()) {
    await until(`${path} is served`, 20_000, () =>
      kubectl.run(['get', '--raw', path], { quiet: true }).then(
        () => true,
        () => undefined,
      ),
    );
  }
}

/** What ssh clients of Portico need to know. */
function sshEdgeOf({ options }: NetWorld): SshEdge {
  const { ssh, git } = requirePeers(['ssh', 'git']);
  return {
    address: '127.0.0.1',
    port: EDGE_PORTS.ssh,
    ssh,
    git,
    user: os.userInfo().username,
    fixture: options.kubelet.ssh,
    directory: path.join(options.directory, 'clones'),
  };
}

async function startPortico(world: NetWorld): Promise<void> {
  const { options } = world;
  const directory = world.porticoDirectory;
  await mkdir(directory, { recursive: true });
  const kubeconfig = await writePorticoKubeconfig(world.kubectl, directory);
  await findAccount(world);
  world.kubeconfigFile = kubeconfig;
  await rewriteKubeconfig(world, kubeconfig);
  const { name } = world.services.unicorn;
  world.front = await ApiFront.start(options.controlPlane.server, options.directory, FRONT_PORT, name);
  const configuration = porticoConfiguration({
    kubeconfig,
    run: options.run,
    ports: {
      ...EDGE_PORTS,
      healthz: KUBE_PROXY_PORT,
      unicornNodePort: NODE_PORTS.unicorn,
      apiNodePort: NODE_PORTS.api,
      sshNodePort: NODE_PORTS.ssh,
      lateNodePort: NODE_PORTS.late,
      otherNodePort: NODE_PORTS.other,
      healthCheck: NODE_PORTS.healthCheck,
    },
    directory,
    services: world.services,
  });
  world.portico = new Portico({
    directory,
    configuration,
    adminPort: EDGE_PORTS.admin,
    transcript: options.transcript,
  });
  await world.portico.start();
}

/**
 * Portico alone reaches the API server through the front, which stands on loopback with the server's own
 * certificate, whose name is `localhost`; its token is in a file and ends with a secret.
 */
async function rewriteKubeconfig(world: NetWorld, file: string): Promise<void> {
  const content = JSON.parse(await readFile(file, 'utf8')) as {
    clusters: { cluster: Record<string, string> }[];
    users: { user: object }[];
  };
  const { cluster } = content.clusters[0]!;
  cluster['server'] = `https://127.0.0.1:${FRONT_PORT}`;
  cluster['tls-server-name'] = 'localhost';
  world.tokenFile = path.join(path.dirname(file), 'token');
  await writeFile(world.tokenFile, await makeToken(world, 'portico-token-1'), { mode: 0o600 });
  content.users[0]!.user = { tokenFile: world.tokenFile };
  await writeFile(file, JSON.stringify(content, null, 2), { mode: 0o600 });
}

/** The service account of `deploy/rbac.yaml`. */
async function findAccount(world: NetWorld): Promise<void> {
  const accounts = await world.kubectl.read<{ items: { metadata: { name: string; namespace: string } }[] }>(
    'serviceaccounts',
    '--all-namespaces',
  );
  const found = accounts.items.find((item) => item.metadata.name.includes('portico'));
  if (found === undefined) throw new Error('deploy/rbac.yaml made no service account');
  world.account = { name: found.metadata.name, namespace: found.metadata.namespace };
}

async function startClients(world: NetWorld): Promise<void> {
  const { curl } = requirePeers(['curl']);
  const { ledger } = world;
  const edge = { address: '127.0.0.1', port: EDGE_PORTS.web, host: GITHUB_HOST };
  const sshEdge = sshEdgeOf(world);
  world.edge = edge;
  world.sshEdge = sshEdge;
  await writeKnownHosts(sshEdge);
  world.addClients(
    keepAliveClient(ledger, 'keep-alive GET /', edge, '/', 'GET', 20),
    keepAliveClient(ledger, 'keep-alive GET /api', edge, '/api/items', 'GET', 20),
    keepAliveClient(ledger, 'keep-alive POST /', edge, '/', 'POST', 100),
    keepAliveClient(ledger, 'keep-alive POST /api', edge, '/api/items', 'POST', 100),
    freshConnectionClient(ledger, 'new connection GET /', edge, '/', 20),
    freshConnectionClient(ledger, 'new connection GET /api', edge, '/api/items', 20),
    curlClient(ledger, 'curl /', curl, edge, '/', 300),
    curlClient(ledger, 'curl /api', curl, edge, '/api/items', 300),
    streamClient(ledger, 'slow stream /', edge, 4),
    webSocketClient(ledger, 'websocket /', edge, 200, CONVERSATION_MS),
    greetingClient(ledger, 'ssh session', sshEdge, 600),
    cloneClient(ledger, 'git clone', sshEdge, 'project.git', 3000),
    cloneClient(ledger, 'slow git clone', sshEdge, 'slow.git', 500),
  );
}
