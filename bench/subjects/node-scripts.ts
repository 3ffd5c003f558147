// What Node projects put in front of a server, as peers of the cases: nothing but proxying, to one backend.

import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/support/free-port.ts';
import { startNode } from '../measure/child.ts';
import type { Endpoint, Peer } from './peer.ts';

function scriptPeer(name: string, file: string, endpoint: Endpoint): Peer {
  const script = fileURLToPath(new URL(`../peers/${file}`, import.meta.url));
  return {
    name,
    speaks: new Set([endpoint]),
    start: async ({ cores, backendPorts, directory }) => {
      const port = await freePort();
      return {
        child: startNode(cores, [script, String(port), String(backendPorts[0]), directory]),
        // The one that it speaks; the load of a case asks for no other.
        ports: { http: port, https: port, tcp: port },
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
