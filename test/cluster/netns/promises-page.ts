// docs/promises.md: what a run has measured, with the words that say how to read it.

import { availableParallelism } from 'node:os';
import process from 'node:process';
import { findProgram, peerVersion } from '../../support/peers.ts';
import { TRAEFIK_VERSION } from '../../support/traefik.ts';
import { PAUSES } from '../pauses.ts';
import type { NetWorld } from './net-world.ts';
import { spread } from './promises.ts';

export interface RunFacts {
  readonly kubernetes: string;
  readonly long: boolean;
  readonly seconds: number;
  readonly result: string;
}

/** "(3 times, 412 ms in all)". */
function pausesWords(): string {
  const { count, ms } = PAUSES.total();
  return ` for more than 100 ms (${count} times, ${Math.round(ms)} ms in all)`;
}

/** The whole page as Markdown. */
export function promisesPage(world: NetWorld, facts: RunFacts): string {
  const { long, kubernetes, seconds, result } = facts;
  const { peers } = world.options;
  const flags = [long ? '--long' : '', peers ? '--peers' : ''].filter(Boolean).join(' ');
  const haproxy = findProgram('haproxy');
  const versions = [
    `Node ${process.versions.node}`,
    `Kubernetes ${kubernetes}`,
    ...(peers && haproxy !== null
      ? [peerVersion('haproxy', haproxy).split(' - ')[0], `Traefik ${TRAEFIK_VERSION}`]
      : []),
  ].join(', ');
  const shown = world.report.measurements.flatMap(({ shownMs }) =>
    shownMs === null ? [] : [Math.max(0, shownMs)],
  );
  return `# Promises, measured

What clients see while a cluster changes: four machines in network namespaces with a real kube-proxy each, a real API
server, real clients of every kind, and Portico at the edge${peers ? ', with HAProxy and Traefik beside it' : ''}.
[test/cluster/netns](../test/cluster/netns/README.md) says what the world is made of and what it does not show. This page
is written by

\`\`\`sh
sudo npm run test:netns -- ${flags} --table docs/promises.md
\`\`\`

${versions}; ${availableParallelism()} cores for all of it; ${Math.round(seconds)} s; ${result}.

- A request has **failed** when it was refused, reset, answered with 5xx, or answered later than 2 s; a stream that is cut,
  a WebSocket that breaks without a close code and a clone that does not arrive have failed, too. The clients are one
  process: while that itself stood still${pausesWords()} nothing is late.
- "0 failed of N (and M of others)": where a promise is about requests that may be sent again (RFC 9110, section 9.2.2),
  M counts the others that failed in the same time.
- **Connections** are what a packet watcher at the edge saw begin towards the node's ports, answered or not, from 100 ms
  after the event until the end of the time; health checks are among them.${
    peers
      ? `
- **HAProxy by hand** has kube-proxy's health and healthCheckNodePort as checks, 300 ms connects, 3 retries, redispatch.
  **HAProxy static** is a list of all node ports with a check each second. **Traefik** watches the same API server, with
  \`nodePortLB\` as its documentation has it: an Ingress, and an IngressRouteTCP for ssh. Each runs as a user of its own
  and has clients of its own: GET and POST on kept connections, GET on new ones, a slow stream, a WebSocket, ssh sessions,
  slow clones. They ask less often than Portico's, whose N is larger: compare what failed.`
      : ''
  }

## Event by event

${world.table.text()}

From the event to \`/targets\`: ${spread(shown)}. From the event to the last new request at a node that was left:
${spread(world.leavingMs)}.

## What nobody can save

A machine that dies without a word takes with it what was under way on it. Portico loses these, and says so:

- **A POST** (or any request that must not be sent twice) that was written to a connection to the machine: whether it was
  done cannot be known, so it is not repeated. One whose connection was never made is not lost: the connect goes
  elsewhere. Such requests therefore go only to connections on which something was heard a moment ago, or to new ones.
- **An answer that has begun**, a stream or a download: its first bytes are with the client.
- **A conversation**: a WebSocket, an ssh session, a clone. It is reset on both sides as soon as the machine is known to be
  gone (silent for five seconds, or deleted and silent), so that the client can begin again at once and does not hang.

What was announced (a label, a taint, a drain, a deletion, a pod that ends with its grace period) loses none of these,
as long as they end within the time that the machine is still given.
`;
}
