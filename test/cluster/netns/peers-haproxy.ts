// HAProxy's configurations: a static list of all node ports as most people write it, and one as good as its checks allow.

import { KUBE_PROXY_PORT } from './machine.ts';
import type { Peer } from './peers.ts';

export interface PeerPorts {
  readonly unicorn: number;
  readonly api: number;
  /** healthCheckNodePort of the service with policy Local. */
  readonly apiHealthCheck: number;
  readonly ssh: number;
  /** healthCheckNodePort of the service for ssh. */
  readonly healthCheck: number;
}

/** A connect every second, and HAProxy's own defaults for what fails. */
export function haproxyStatic(peer: Peer, nodes: readonly string[], ports: PeerPorts): string {
  return `${frontend(peer)}
backend api
  balance roundrobin
${servers(nodes, ports.api, 'check inter 1s')}
backend unicorn
  balance roundrobin
${servers(nodes, ports.unicorn, 'check inter 1s')}
${sshListener(peer)}
${servers(nodes, ports.ssh, 'check inter 1s')}
`;
}

/**
 * kube-proxy's own health as the check of Cluster services, healthCheckNodePort for Local ones, connects that give up
 * after 300 ms, three retries at other servers.
 */
export function haproxyByHand(peer: Peer, nodes: readonly string[], ports: PeerPorts): string {
  const check = 'check inter 1s fastinter 300ms fall 2 rise 1';
  return `${frontend(peer)}
backend api
  balance roundrobin
  timeout connect 300ms
  retry-on conn-failure empty-response response-timeout
  option httpchk GET /healthz
${servers(nodes, ports.api, `${check} port ${ports.apiHealthCheck}`)}
backend unicorn
  balance roundrobin
  timeout connect 300ms
  retry-on conn-failure empty-response response-timeout
  option httpchk GET /healthz
${servers(nodes, ports.unicorn, `${check} port ${KUBE_PROXY_PORT}`)}
${sshListener(peer)}
  timeout connect 300ms
  option httpchk GET /healthz
${servers(nodes, ports.ssh, `${check} port ${ports.healthCheck}`)}
`;
}

function frontend({ name, port }: Peer): string {
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
frontend web
  bind 127.0.0.1:${port}
  http-request set-header X-Balancer '${name}'
  use_backend api if { path_beg /api }
  default_backend unicorn`;
}

function sshListener({ sshPort }: Peer): string {
  return `listen ssh
  mode tcp
  bind 127.0.0.1:${sshPort}
  balance roundrobin`;
}

function servers(nodes: readonly string[], port: number, check: string): string {
  return nodes.map((address, index) => `  server node-${index + 1} ${address}:${port} ${check}`).join('\n');
}
