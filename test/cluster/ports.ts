// The ports of a run, found free when it starts: node ports on every node's address, the edge's on 127.0.0.1.

import { NODES } from './backends.ts';
import { findFreePorts } from './child.ts';

/** The API server's own default for `--service-node-port-range`. */
const NODE_PORT_RANGE = [30_000, 32_767] as const;

export type PortName =
  | 'web'
  | 'ssh'
  | 'admin'
  | 'healthz'
  | 'unicornNodePort'
  | 'apiNodePort'
  | 'sshNodePort'
  | 'lateNodePort'
  | 'otherNodePort'
  | 'healthCheck';

/** Ports that nobody listens on now; the cluster may hold a node port for a service of its own, and then refuses ours. */
export async function choosePorts(): Promise<Record<PortName, number>> {
  const nodes = NODES.map((node) => node.address);
  const edge = await findFreePorts(3, ['127.0.0.1']);
  const [healthz] = await findFreePorts(1, nodes);
  const nodePorts = await findFreePorts(6, nodes, NODE_PORT_RANGE);
  return {
    web: edge[0]!,
    ssh: edge[1]!,
    admin: edge[2]!,
    healthz: healthz!,
    unicornNodePort: nodePorts[0]!,
    apiNodePort: nodePorts[1]!,
    sshNodePort: nodePorts[2]!,
    lateNodePort: nodePorts[3]!,
    otherNodePort: nodePorts[4]!,
    healthCheck: nodePorts[5]!,
  };
}
