// `portico drain` and `portico undrain`: which node or cluster is meant, and the wait for the barrier.

import {
  type DrainAnswer,
  isDrainAnswer,
  isDrainsAnswer,
  isStatusAnswer,
  isTargetListAnswer,
} from './admin-answers.ts';
import { type AdminClient, AdminUnreachable } from './admin-client.ts';
import { EXIT, type ExitCode } from './command-table.ts';
import type { DrainOptions } from './parse-arguments.ts';
import { type CliIo, count, printable } from './terminal.ts';
import { CommandFailed, expectAnswer, queryText, refusal, withAdmin } from './with-admin.ts';

/** The barrier holds its answer back for so long; less than the client's patience with an answer. */
const WAIT_S = 5;
/** Between two questions, also while the controller is being replaced. */
const PAUSE_MS = 100;

interface Subject {
  readonly cluster: string;
  /** Null: the whole cluster. */
  readonly node: string | null;
}

/** `portico drain`, with `--wait` up to the barrier: no flow left. */
export function drain(options: DrainOptions, io: CliIo): Promise<ExitCode> {
  return withAdmin(options.admin, options.tokenFile, io, async (client) => {
    const subject = await findSubject(client, options);
    let answer = expectAnswer(await client.post('/drain', subject), isDrainAnswer);
    if (options.wait && !answer.drained) answer = await waitDrained(client, answer, options.timeoutMs, io);
    const what = wordsOf(subject);
    if (options.json) io.stdout(`${JSON.stringify(answer, null, 2)}\n`);
    else io.stdout(`${what} takes no new flow; ${count(answer.flows, 'flow')} left.\n`);
    if (!answer.kept) io.stderr('The drain is not on disk: it ends when Portico is stopped.\n');
    if (!options.wait || answer.drained) return EXIT.ok;
    io.stderr(`${what} was not drained in time.\n`);
    return EXIT.failed;
  });
}

/** `portico undrain`. */
export function undrain(options: DrainOptions, io: CliIo): Promise<ExitCode> {
  return withAdmin(options.admin, options.tokenFile, io, async (client) => {
    const subject = await findSubject(client, options);
    const answer = expectAnswer(await client.post('/undrain', subject), isDrainAnswer);
    if (options.json) io.stdout(`${JSON.stringify(answer, null, 2)}\n`);
    else io.stdout(`${wordsOf(subject)} is used again.\n`);
    if (!answer.kept)
      io.stderr('This is not on disk: a drain that is comes back when Portico is stopped and started.\n');
    return EXIT.ok;
  });
}

/** A controller that is being replaced does not end the wait: only the deadline does. */
async function waitDrained(
  client: AdminClient,
  first: DrainAnswer,
  timeoutMs: number,
  io: CliIo,
): Promise<DrainAnswer> {
  const deadlineMs = io.now() + timeoutMs;
  let answer = first;
  for (;;) {
    const leftMs = deadlineMs - io.now();
    if (answer.drained || leftMs <= 0) return answer;
    const wait = String(Math.min(WAIT_S, Math.floor(leftMs / 1000)));
    try {
      const query = queryText({ cluster: first.cluster, node: first.node, wait });
      const reply = await client.get(`/drained${query}`);
      if (isDrainAnswer(reply.value)) answer = reply.value;
      else if (reply.status === 404) throw new CommandFailed(refusal(reply));
    } catch (error) {
      if (!(error instanceof AdminUnreachable)) throw error;
    }
    if (!answer.drained) await io.sleep(Math.max(0, Math.min(PAUSE_MS, deadlineMs - io.now())));
  }
}

/** With a cluster given the name is a node's; without one it is looked for among nodes and clusters. */
async function findSubject(client: AdminClient, { subject, cluster }: DrainOptions): Promise<Subject> {
  if (cluster !== null) return { cluster, node: subject };
  const name = subject ?? '';
  const status = expectAnswer(await client.get('/status'), isStatusAnswer);
  const isCluster = status.clusters.some((known) => known.name === name);
  const homes = await clustersWith(client, name);
  const [only, ...others] = homes;
  if (only === undefined) {
    if (isCluster) return { cluster: name, node: null };
    throw new CommandFailed(`no cluster has a node ${name}, and none has this name`);
  }
  if (isCluster) {
    throw new CommandFailed(
      `${name} is a cluster and a node; write --cluster ${name} alone for the cluster, or ${name} --cluster ${only} for the node`,
    );
  }
  if (others.length > 0) {
    throw new CommandFailed(
      `several clusters have a node ${name}; choose with --cluster: ${homes.join(', ')}`,
    );
  }
  return { cluster: only, node: name };
}

/** Clusters with a node of this name, one that was drained and has left since included. */
async function clustersWith(client: AdminClient, node: string): Promise<readonly string[]> {
  const { targets } = expectAnswer(await client.get(`/targets${queryText({ node })}`), isTargetListAnswer);
  const { drains } = expectAnswer(await client.get('/drains'), isDrainsAnswer);
  const clusters = new Set<string>();
  for (const row of [...targets, ...drains]) {
    if (row.node === node && row.cluster !== null) clusters.add(row.cluster);
  }
  return [...clusters];
}

function wordsOf({ cluster, node }: Subject): string {
  return node === null ? `Cluster ${printable(cluster)}` : `Node ${printable(node)}`;
}
