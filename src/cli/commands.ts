// One function for each command that does not serve: reads its options, calls the admin HTTP or the configuration, prints.

import { readFile } from 'node:fs/promises';
import { jsonSchema } from '../config/json-schema.ts';
import { loadConfig } from '../config/load.ts';
import { formatProblems } from '../config/problem.ts';
import {
  type DrainAnswer,
  errorText,
  isDrainAnswer,
  isExplanationAnswer,
  isReloadAnswer,
  isTargetListAnswer,
} from './admin-answers.ts';
import { AdminClient, type AdminReply, AdminUnreachable, DEFAULT_ADMIN } from './admin-client.ts';
import { type CommandName, EXIT, type ExitCode } from './command-table.ts';
import { helpText } from './help.ts';
import type {
  CheckOptions,
  DrainOptions,
  ExplainOptions,
  ReloadOptions,
  TargetsOptions,
} from './parse-arguments.ts';
import { renderExplanation, renderReasons, renderTargets } from './render.ts';
import { type CliIo, painter, printable, usesColour } from './terminal.ts';

/** Something to tell the user as one line; the command ends with 1. */
class CommandFailed extends Error {}

const POLL_MS = 500;

/** `portico check`: 0 with the number of warnings, 1 with the problems. */
export async function check(options: CheckOptions, io: CliIo): Promise<ExitCode> {
  const result = await loadConfig(options.file, io.env);
  const ok = 'config' in result;
  const problems = ok ? [] : result.problems;
  const warnings = ok ? result.warnings : [];
  if (options.json) {
    io.stdout(`${JSON.stringify({ ok, problems, warnings }, null, 2)}\n`);
    return ok ? EXIT.ok : EXIT.failed;
  }
  io.stderr(formatProblems([...problems, ...warnings], { colour: usesColour(io, 'stderr') }));
  const file = printable(options.file);
  if (ok) {
    io.stdout(`${file}: valid${warnings.length === 0 ? '' : `, ${count(warnings.length, 'warning')}`}\n`);
    return EXIT.ok;
  }
  io.stderr(`${file}: ${count(problems.length, 'problem')}\n`);
  return EXIT.failed;
}

const count = (number: number, word: string): string => `${number} ${word}${number === 1 ? '' : 's'}`;

/** `portico schema`. */
export function schema(io: CliIo): Promise<ExitCode> {
  io.stdout(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
  return Promise.resolve(EXIT.ok);
}

/** `portico help` and `--help`. */
export function help(topic: CommandName | null, io: CliIo): Promise<ExitCode> {
  io.stdout(helpText(topic));
  return Promise.resolve(EXIT.ok);
}

/** What is wrong with the command line, and where help is. */
export function usage(message: string, topic: CommandName | null, io: CliIo): Promise<ExitCode> {
  io.stderr(`portico: ${printable(message)}\nTry: portico ${topic === null ? '' : `${topic} `}--help\n`);
  return Promise.resolve(EXIT.usage);
}

/** `portico targets`. */
export function targets(options: TargetsOptions, io: CliIo): Promise<ExitCode> {
  return withAdmin(options.admin, null, io, async (client) => {
    const { pool, cluster, node, service, state, reason, why } = options;
    const query = queryText({ pool, cluster, node, service, state, reason });
    const answer = expectAnswer(await client.get(`/targets${query}`), isTargetListAnswer);
    const { targets: rows, truncated } = answer;
    const paint = painter(usesColour(io, 'stdout'));
    if (options.json) io.stdout(`${JSON.stringify({ targets: rows, truncated }, null, 2)}\n`);
    else if (rows.length === 0) io.stderr('There are no targets.\n');
    else io.stdout(why ? renderReasons(rows, paint) : renderTargets(rows, paint));
    if (truncated && !options.json)
      io.stderr(`These are the first ${rows.length}; narrow them by pool, node or state.\n`);
    return EXIT.ok;
  });
}

/** `portico explain`: a URL has `://`, a service a `/`, everything else is a node. */
export function explain(options: ExplainOptions, io: CliIo): Promise<ExitCode> {
  return withAdmin(options.admin, null, io, async (client) => {
    const { subject, cluster, method } = options;
    const kind = subject.includes('://') ? 'url' : subject.includes('/') ? 'service' : 'node';
    const query = queryText({ [kind]: subject, cluster, method }, options.headers);
    const answer = expectAnswer(await client.get(`/explain${query}`), isExplanationAnswer);
    io.stdout(
      options.json
        ? `${JSON.stringify(answer, null, 2)}\n`
        : renderExplanation(answer, painter(usesColour(io, 'stdout'))),
    );
    return EXIT.ok;
  });
}

/** `portico reload`: 1 with the problems when the configuration was refused and the old one stays. */
export function reload(options: ReloadOptions, io: CliIo): Promise<ExitCode> {
  return withAdmin(options.admin, options.tokenFile, io, async (client) => {
    const reply = await client.post('/reload', null);
    if (!isReloadAnswer(reply.value)) throw new CommandFailed(refusal(reply));
    const { ok, version, problems } = reply.value;
    if (options.json) io.stdout(`${JSON.stringify(reply.value, null, 2)}\n`);
    else if (ok) io.stdout(`Reloaded; snapshot ${version} is in force.\n`);
    else {
      for (const problem of problems) io.stderr(`${printable(problem)}\n`);
      io.stderr('The configuration was refused; the one before stays in force.\n');
    }
    return ok ? EXIT.ok : EXIT.failed;
  });
}

/** `portico drain`, with `--wait` up to the barrier: no flow left on the node. */
export function drain(options: DrainOptions, io: CliIo): Promise<ExitCode> {
  return withAdmin(options.admin, options.tokenFile, io, async (client) => {
    const node = await findNode(client, options);
    let answer = expectAnswer(await client.post('/drain', node), isDrainAnswer);
    const drained = !options.wait || answer.drained;
    if (!drained) answer = await waitDrained(client, answer, options.timeoutMs, io);
    if (options.json) io.stdout(`${JSON.stringify(answer, null, 2)}\n`);
    else
      io.stdout(`Node ${printable(answer.node)} takes no new flow; ${count(answer.flows, 'flow')} left.\n`);
    if (!options.wait || answer.drained) return EXIT.ok;
    io.stderr('The node was not drained in time.\n');
    return EXIT.failed;
  });
}

/** `portico undrain`. */
export function undrain(options: DrainOptions, io: CliIo): Promise<ExitCode> {
  return withAdmin(options.admin, options.tokenFile, io, async (client) => {
    const node = await findNode(client, options);
    const answer = expectAnswer(await client.post('/undrain', node), isDrainAnswer);
    if (options.json) io.stdout(`${JSON.stringify(answer, null, 2)}\n`);
    else io.stdout(`Node ${printable(answer.node)} is used again.\n`);
    return EXIT.ok;
  });
}

/** A controller that is being restarted does not end the wait: only the deadline does. */
async function waitDrained(
  client: AdminClient,
  first: DrainAnswer,
  timeoutMs: number,
  io: CliIo,
): Promise<DrainAnswer> {
  const query = queryText({ cluster: first.cluster, node: first.node });
  const deadline = io.now() + timeoutMs;
  let answer = first;
  while (!answer.drained && io.now() < deadline) {
    await io.sleep(Math.max(0, Math.min(POLL_MS, deadline - io.now())));
    try {
      const reply = await client.get(`/drained${query}`);
      if (isDrainAnswer(reply.value)) answer = reply.value;
      else if (reply.status === 404) throw new CommandFailed(refusal(reply));
    } catch (error) {
      if (!(error instanceof AdminUnreachable)) throw error;
    }
  }
  return answer;
}

async function findNode(
  client: AdminClient,
  { node, cluster }: DrainOptions,
): Promise<{ readonly cluster: string; readonly node: string }> {
  if (cluster !== null) return { cluster, node };
  const { targets: rows } = expectAnswer(
    await client.get(`/targets${queryText({ node })}`),
    isTargetListAnswer,
  );
  const clusters = new Set<string>();
  for (const row of rows) if (row.node === node && row.cluster !== null) clusters.add(row.cluster);
  const [only, ...others] = clusters;
  if (only === undefined) throw new CommandFailed(`no cluster has a node ${node}`);
  if (others.length > 0) {
    throw new CommandFailed(
      `several clusters have a node ${node}; choose with --cluster: ${[...clusters].join(', ')}`,
    );
  }
  return { cluster: only, node };
}

async function withAdmin(
  address: string | null,
  tokenFile: string | null,
  io: CliIo,
  use: (client: AdminClient) => Promise<ExitCode>,
): Promise<ExitCode> {
  let client: AdminClient | null = null;
  try {
    const token = tokenFile === null ? (io.env['PORTICO_ADMIN_TOKEN'] ?? null) : await readToken(tokenFile);
    client = new AdminClient({
      address: address ?? (io.env['PORTICO_ADMIN'] || DEFAULT_ADMIN),
      token: token === '' ? null : token,
    });
    return await use(client);
  } catch (error) {
    if (!(error instanceof CommandFailed || error instanceof AdminUnreachable)) throw error;
    io.stderr(`portico: ${printable(error.message)}\n`);
    return EXIT.failed;
  } finally {
    await client?.close();
  }
}

async function readToken(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandFailed(`the token file cannot be read: ${reason}`, { cause: error });
  }
}

/** The answer when it is a good one, otherwise `CommandFailed` with what Portico said. */
function expectAnswer<T>(reply: AdminReply, isAnswer: (value: unknown) => value is T): T {
  if (reply.status === 200 && isAnswer(reply.value)) return reply.value;
  throw new CommandFailed(refusal(reply));
}

function refusal(reply: AdminReply): string {
  return errorText(reply.value) ?? `what answers there (status ${reply.status}) is not Portico's admin HTTP`;
}

function queryText(values: Readonly<Record<string, string | null>>, headers: readonly string[] = []): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== null) query.append(name, value);
  for (const header of headers) query.append('header', header);
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}
