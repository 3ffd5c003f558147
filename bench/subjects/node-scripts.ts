// What Node projects put in front of a server, as peers of the cases: nothing but proxying, to one backend.

import { fileURLToPath } from 'node:url';
import { startNode } from '../measure/child.ts';
import { type Endpoint, endpointPorts, type Peer } from './peer.ts';

function scriptPeer(name: string, file: string, endpoint: Endpoint): Peer {
  const script = fileURLToPath(new URL(`../peers/${file}`, import.meta.url));
  return {
    name,
    speaks: new Set([endpoint]),
    start: async ({ cores, backendPorts, directory }) => {
      const ports = await endpointPorts();
      return {
        child: startNode(cores, [script, String(ports[endpoint]), String(backendPorts[0]), directory]),
        ports,
        // They have none.
        checkLog: () => Promise.resolve(),
      };
    },
  };
}

export const NODE_SCRIPTS: readonly Peer[] = [
  scriptPeer('http-proxy', 'http-proxy.ts', 'http'),
  scriptPeer('node:http2', 'http2-proxy.ts', 'https'),
];
