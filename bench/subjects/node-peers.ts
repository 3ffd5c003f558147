// The two proxies that Node projects use instead, each a process of its own.

import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/support/free-port.ts';
import { startNode } from '../measure/child.ts';
import type { Subject } from './subject.ts';

function nodePeer(name: string, file: string): Subject {
  const script = fileURLToPath(new URL(`../peers/${file}`, import.meta.url));
  return {
    name,
    duties: 'none',
    start: async ({ cores, backendPort }) => {
      const port = await freePort();
      return {
        child: startNode(cores, [script, String(port), String(backendPort)]),
        url: `http://127.0.0.1:${port}/`,
        checkDuties: () => Promise.resolve(),
      };
    },
  };
}

/** The name that ratios refer to. */
export const HTTP_PROXY = 'http-proxy';

export const NODE_PEERS: readonly Subject[] = [
  nodePeer(HTTP_PROXY, 'http-proxy.ts'),
  nodePeer('node:http + undici', 'undici-proxy.ts'),
];
