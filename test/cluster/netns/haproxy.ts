// Peers in the same world: HAProxy with a static list of all node ports, and HAProxy made as good as its checks allow.

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { requirePeers } from '../../support/peers.ts';
import { awaitReady, type Child, startChild } from '../child.ts';
import { type Client, type Edge, keepAliveClient } from '../clients.ts';
import { freshConnectionClient } from './fresh-client.ts';
import { KUBE_PROXY_PORT } from './machine.ts';
import { TimedLedger } from './timed-ledger.ts';

export interface PeerPorts {
  readonly unicorn: number;
  readonly api: number;
  /** healthCheckNodePort of the service with policy Local. */
  readonly apiHealthCheck: number;
}

export interface Peer {
  readonly name: string;
  readonly ledger: TimedLedger;
}

const FRONTENDS = [
  { name: 'HAProxy by hand', id: 'hand', port: 8090 },
  { name: 'HAProxy static', id: 'static', port: 8091 },
] as const;

/** One HAProxy with a frontend for each of the two, and clients that ask both for all of the run. */
export class HaproxyPeers {
  readonly peers: readonly Peer[] = FRONTENDS.map(({ name }) => ({ name, ledger: new TimedLedger() }));
  readonly #child: Child;
  readonly #clients: readonly Client[];

  private constructor(child: Child, host: string) {
    this.#child = child;
    this.#clients = FRONTENDS.flatMap(({ port }, index) =>
      clientsOf({ address: '127.0.0.1', port, host }, this.peers[index]!.ledger),
    );
  }

  static async start(
    directory: string,
    nodes: readonly string[],
    ports: PeerPorts,
    host: string,
  ): Promise<HaproxyPeers> {
    const { haproxy } = requirePeers(['haproxy']);
    const file = path.join(directory, 'haproxy.cfg');
    await writeFile(file, configuration(nodes, ports));
    const child = startChild({
      name: 'haproxy',
      command: haproxy,
      parameters: ['-db', '-f', file],
      logPath: path.join(directory, 'haproxy.log'),
    });
    await awaitReady(child, 5000, async () => {
      const answer = await fetch(`http://127.0.0.1:${FRONTENDS[0].port}/`).catch(() => null);
      await answer?.arrayBuffer();
      return answer?.status === 200;
    });
    return new HaproxyPeers(child, host);
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.stop()));
    await this.#child.stop('SIGKILL');
  }
}

function clientsOf(edge: Edge, ledger: TimedLedger): readonly Client[] {
  return [
    keepAliveClient(ledger, 'keep-alive GET /', edge, '/', 'GET', 40),
    keepAliveClient(ledger, 'keep-alive GET /api', edge, '/api/items', 'GET', 40),
    freshConnectionClient(ledger, 'new connection GET /', edge, '/', 40),
    freshConnectionClient(ledger, 'new connection GET /api', edge, '/api/items', 40),
  ];
}

/**
 * By hand: kube-proxy's own health as the check of Cluster services, healthCheckNodePort for Local ones, connects that
 * give up after 300 ms, three retries at other servers. Static: what most people write, a connect every second.
 */
function configuration(nodes: readonly string[], ports: PeerPorts): string {
  const servers = (port: number, check: string): string =>
    nodes.map((address, index) => `  server node-${index + 1} ${address}:${port} ${check}`).join('\n');
  const hand = 'check inter 1s fastinter 300ms fall 2 rise 1';
  const plain = 'check inter 1s';
  return `global
  maxconn 4000
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  timeout check 500ms
  option redispatch 1
  retries 3
frontend hand
  bind 127.0.0.1:${FRONTENDS[0].port}
  http-request set-header X-Balancer '${FRONTENDS[0].name}'
  use_backend hand-api if { path_beg /api }
  default_backend hand-unicorn
frontend static
  bind 127.0.0.1:${FRONTENDS[1].port}
  http-request set-header X-Balancer '${FRONTENDS[1].name}'
  use_backend static-api if { path_beg /api }
  default_backend static-unicorn
backend hand-api
  balance roundrobin
  timeout connect 300ms
  retry-on conn-failure empty-response response-timeout
  option httpchk GET /healthz
${servers(ports.api, `${hand} port ${ports.apiHealthCheck}`)}
backend hand-unicorn
  balance roundrobin
  timeout connect 300ms
  retry-on conn-failure empty-response response-timeout
  option httpchk GET /healthz
${servers(ports.unicorn, `${hand} port ${KUBE_PROXY_PORT}`)}
backend static-api
  balance roundrobin
${servers(ports.api, plain)}
backend static-unicorn
  balance roundrobin
${servers(ports.unicorn, plain)}
`;
}
