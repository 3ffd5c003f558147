// Portico as a user runs it: the command line, one worker, access log to a file, metrics, an active check.

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/support/free-port.ts';
import { startNode } from '../measure/child.ts';
import { countLines } from '../measure/count-lines.ts';
import type { Subject, SubjectContext } from './subject.ts';

/** @param entry the `src/portico.js` to run: this checkout's, or another one to compare with */
export function createPortico(
  name = 'portico',
  entry = new URL('../../src/portico.js', import.meta.url),
): Subject {
  return {
    name,
    duties: 'access log, metrics, X-Forwarded-*, request id, routing, active check',
    start: async ({ cores, backendPort, directory }: SubjectContext) => {
      const port = await freePort();
      const configuration = path.join(directory, 'portico.yaml');
      const accessLog = path.join(directory, 'access.jsonl');
      await writeFile(configuration, yaml(port, backendPort, directory, accessLog));
      return {
        child: startNode(cores, [fileURLToPath(entry), 'run', '-c', configuration]),
        url: `http://127.0.0.1:${port}/`,
        checkDuties: async (requests) => {
          const lines = await countLines(accessLog);
          if (lines < requests) throw new Error(`${name} logged ${lines} lines for ${requests} requests`);
        },
      };
    },
  };
}

function yaml(port: number, backendPort: number, directory: string, accessLog: string): string {
  return `workers: 1
stateDirectory: null
admin: { bind: "unix:${path.join(directory, 'admin.sock')}" }
log: { level: error, access: { path: "${accessLog}" } }
listeners:
  - { name: web, bind: "127.0.0.1:${port}", protocol: http }
pools:
  - name: app
    sources: [{ static: ["127.0.0.1:${backendPort}"] }]
    health: { tcp: {} }
routes:
  - { name: app, hosts: ["*"], rules: [{ pools: [{ name: app }] }] }
`;
}
