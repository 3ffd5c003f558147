// One function for each command that does not serve: reads its options, calls the admin HTTP or the configuration, prints.

import { certificateRows } from '../config/certificate-rows.ts';
import { jsonSchema } from '../config/json-schema.ts';
import { loadConfig } from '../config/load.ts';
import type { KubeconfigFault } from '../config/named-files.ts';
import { formatProblems } from '../config/problem.ts';
import { isExplanationAnswer, isReloadAnswer, isTargetListAnswer } from './admin-answers.ts';
import { type CommandName, EXIT, type ExitCode } from './command-table.ts';
import { helpText } from './help.ts';
import type { CheckOptions, ExplainOptions, ReloadOptions, TargetsOptions } from './parse-arguments.ts';
import { renderCertificates, renderExplanation, renderReasons, renderTargets } from './render.ts';
import { type CliIo, count, painter, printable, usesColour } from './terminal.ts';
import { CommandFailed, expectAnswer, queryText, refusal, withAdmin } from './with-admin.ts';

/** `portico check`: 0 with the number of warnings and a row for each certificate, 1 with the problems. */
export async function check(
  options: CheckOptions,
  io: CliIo,
  kubeconfigFault: KubeconfigFault,
): Promise<ExitCode> {
  const result = await loadConfig(options.file, io.env, io.wallClock(), kubeconfigFault);
  const ok = 'config' in result;
  const problems = ok ? [] : result.problems;
  const warnings = ok ? result.warnings : [];
  const certificates = ok ? await certificateRows(result.config) : [];
  if (options.json) {
    io.stdout(`${JSON.stringify({ ok, problems, warnings, certificates }, null, 2)}\n`);
    return ok ? EXIT.ok : EXIT.failed;
  }
  io.stderr(formatProblems([...problems, ...warnings], { colour: usesColour(io, 'stderr') }));
  const file = printable(options.file);
  if (ok) {
    io.stdout(`${file}: valid${warnings.length === 0 ? '' : `, ${count(warnings.length, 'warning')}`}\n`);
    if (certificates.length > 0) {
      io.stdout(renderCertificates(certificates, io.wallClock(), painter(usesColour(io, 'stdout'))));
    }
    return EXIT.ok;
  }
  io.stderr(`${file}: ${count(problems.length, 'problem')}\n`);
  return EXIT.failed;
}

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
