// Sets the scene: nodes, services and endpoints with their backends, then Portico, ready, then the clients.

import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { requirePeers } from '../support/peers.ts';
import { NODES, NodePorts } from './backends.ts';
import { type Client, curlClient, keepAliveClient, Ledger, repeat, streamClient } from './clients.ts';
import { cloneClient, greetingClient, greetingCommand, writeKnownHosts } from './clients-ssh.ts';
import { webSocketClient } from './clients-websocket.ts';
import { GITHUB_HOST, porticoConfiguration, writePorticoKubeconfig } from './configuration.ts';
import { runCommand, toDocuments } from './kubectl.ts';
import { nodeObject, RUN_LABEL, readyCondition, serviceObject, sliceObject } from './objects.ts';
import { Portico } from './portico.ts';
import { choosePorts } from './ports.ts';
import { createSshFixture, HealthCheckNodePort } from './sshd.ts';
import { HTTP_PORT, SSH_PORT, type World } from './world.ts';

const HEARTBEAT_MS = 10_000;

/** Nodes, services, endpoints and their backends; then Portico, ready; then the clients. */
export async function setUp(world: World): Promise<void> {
  const programs = requirePeers(['sshd', 'ssh', 'ssh-keygen', 'git', 'curl']);
  world.ports = await choosePorts();
  world.events.start();
  world.nodePorts = new NodePorts(world.ports.healthz);
  await world.nodePorts.start();
  world.healthCheck = new HealthCheckNodePort(world.ssh.service);
  await world.healthCheck.start(world.ports.healthCheck);
  const fixture = await createSshFixture(path.join(world.directory, 'ssh'), programs);
  world.sshEdge = {
    address: '127.0.0.1',
    port: world.ports.ssh,
    ssh: programs.ssh,
    git: programs.git,
    user: os.userInfo().username,
    fixture,
    directory: path.join(world.directory, 'clones'),
  };
  world.edge = { address: '127.0.0.1', port: world.ports.web, host: GITHUB_HOST };
  await writeKnownHosts(world.sshEdge);
  await createObjects(world);
  await startPortico(world);
  await world.curl(world.edge.host, '/');
  const session = greetingCommand(world.sshEdge, '127.0.1.1');
  await runCommand(world.transcript, programs.ssh, session, ['ssh', ...session]);
  startClients(world, programs.curl);
  if (world.controlPlane === null) {
    world.addClients(startHeartbeat(world));
  }
}

async function createObjects(world: World): Promise<void> {
  const { kubectl, ports } = world;
  world.transcript.sentence('Three nodes on loopback addresses, registered as a kubelet does it.');
  await kubectl.run(['create', '-f', '-'], {
    input: toDocuments(NODES.map((node) => nodeObject(node.name, world.run))),
  });
  const namespaces = [...new Set([world.unicorn.namespace, world.ssh.service.namespace])];
  for (const namespace of namespaces) {
    await kubectl.run(['create', 'namespace', namespace]);
  }
  world.transcript.sentence(
    'Three services: `unicorn` with pods, whose slices the endpoint slice controller writes; `unicorn-api` and `ssh` with slices written by hand, so that each moment of a rollout can be chosen.',
  );
  await kubectl.apply([
    serviceObject(world.unicorn, {
      nodePort: ports.unicornNodePort,
      port: HTTP_PORT,
      policy: 'Cluster',
      app: world.unicorn.name,
    }),
    serviceObject(world.api.service, {
      nodePort: ports.apiNodePort,
      port: HTTP_PORT,
      policy: 'Local',
      app: null,
    }),
    serviceObject(world.ssh.service, {
      nodePort: ports.sshNodePort,
      port: SSH_PORT,
      policy: 'Local',
      app: null,
      healthCheckNodePort: ports.healthCheck,
    }),
  ]);
  for (const node of ['node-1', 'node-2']) {
    await world.startPod(world.unicorn, node, node !== 'node-1');
    await world.startServer('unicorn-api', `unicorn-api-${node}`, node);
    world.api.endpoints.push(world.handMadeEndpoint(node));
    await world.startSshd(node);
    world.healthCheck.set(node, 1);
    world.ssh.endpoints.push(world.handMadeEndpoint(node));
  }
  await kubectl.apply(
    [world.api, world.ssh].map((made) => sliceObject(made.service, made.port, made.endpoints)),
  );
  await world.syncNodePorts('unicorn', ports.unicornNodePort, 'Cluster');
  await world.syncNodePorts('unicorn-api', ports.apiNodePort, 'Local');
  await kubectl.run(['get', 'nodes', '-l', `${RUN_LABEL}=${world.run}`, '-o', 'wide']);
  for (const namespace of namespaces) {
    await kubectl.run(['get', 'services,endpointslices', '-n', namespace]);
  }
}

async function startPortico(world: World): Promise<void> {
  world.transcript.sentence(
    'Portico gets a service account with the rights of `deploy/rbac.yaml` and no other.',
  );
  const directory = path.join(world.directory, 'portico');
  await mkdir(directory, { recursive: true });
  const configuration = porticoConfiguration({
    kubeconfig: await writePorticoKubeconfig(world.kubectl, directory),
    run: world.run,
    ports: world.ports,
    directory,
    services: {
      unicorn: world.unicorn,
      api: world.api.service,
      ssh: world.ssh.service,
      late: world.late,
    },
  });
  world.portico = new Portico({
    directory,
    configuration,
    adminPort: world.ports.admin,
    transcript: world.transcript,
  });
  await world.portico.start();
  await world.portico.command(['check', world.portico.configurationFile]);
}

function startClients(world: World, curl: string): void {
  const { ledger, edge, sshEdge } = world;
  world.addClients(
    keepAliveClient(ledger, 'keep-alive GET /', edge, '/', 'GET', 40),
    keepAliveClient(ledger, 'keep-alive GET /api', edge, '/api/items', 'GET', 40),
    keepAliveClient(ledger, 'keep-alive POST /api', edge, '/api/items', 'POST', 100),
    curlClient(ledger, 'curl /', curl, edge, '/', 150),
    curlClient(ledger, 'curl /api', curl, edge, '/api/items', 150),
    streamClient(ledger, 'slow stream', edge, 4),
    webSocketClient(ledger, 'websocket', edge, 200),
    greetingClient(ledger, 'ssh session', sshEdge, 500),
    cloneClient(ledger, 'git clone', sshEdge, 'project.git', 2000),
    cloneClient(ledger, 'slow git clone', sshEdge, 'slow.git', 200),
  );
}

/** A cluster of others has a node controller, which gives up a node that says nothing for 50 s. */
function startHeartbeat(world: World): Client {
  return repeat(new Ledger(), 'heartbeat', HEARTBEAT_MS, async () => {
    for (const node of NODES) {
      const condition = readyCondition(world.readiness.get(node.name) ?? 'True');
      const patch = JSON.stringify({ status: { conditions: [condition] } });
      const parameters = ['patch', 'node', node.name, '--subresource=status', '-p', patch];
      await world.kubectl.run(parameters, { quiet: true });
    }
  });
}

/** In a cluster of others: takes back what the run created. Its service account and role stay. */
export async function deleteObjects(world: World): Promise<void> {
  const quiet = { quiet: true } as const;
  await world.kubectl.run(
    ['delete', 'nodes', '-l', `${RUN_LABEL}=${world.run}`, '--ignore-not-found'],
    quiet,
  );
  const namespaces = [...new Set([world.unicorn.namespace, world.ssh.service.namespace])];
  await world.kubectl.run(
    ['delete', 'pods', '--all', '-n', world.unicorn.namespace, '--force', '--grace-period=0'],
    quiet,
  );
  await world.kubectl.run(
    ['delete', 'namespace', ...namespaces, '--ignore-not-found', '--wait=false'],
    quiet,
  );
}
