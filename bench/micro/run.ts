// `npm run bench:micro`: runs every micro-benchmark in a process of its own and prints one table.

import { execFile } from 'node:child_process';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readOptions } from '../../test/support/command-line.ts';
import { describeMachine, nodeVersion } from '../measure/report.ts';
import { textTable } from '../measure/table.ts';
import { writeJson } from '../measure/write-result.ts';
import { type Figure, readLines, readNamed, readPickers, readRouter } from './figures.ts';

interface Micro {
  readonly name: string;
  readonly file: string;
  readonly parameters: readonly string[];
  readonly read: (output: string) => readonly Figure[];
}

const MICROS: readonly Micro[] = [
  { name: 'codec', file: 'codec.ts', parameters: ['--json'], read: readNamed },
  { name: 'http2', file: 'http2.ts', parameters: ['--json'], read: readNamed },
  { name: 'http2 servers', file: 'http2-servers.ts', parameters: ['--json'], read: readNamed },
  { name: 'router', file: 'router.ts', parameters: [], read: readRouter },
  { name: 'pickers', file: 'pickers.ts', parameters: ['--json'], read: readPickers },
  { name: 'telemetry', file: 'telemetry.ts', parameters: [], read: readLines },
  { name: 'compile', file: 'compile.ts', parameters: ['--json'], read: readNamed },
  { name: 'passes', file: 'passes.ts', parameters: ['--json'], read: readNamed },
];

const USAGE = `Usage: npm run bench:micro -- [OPTIONS]

  --only A,B   leave out the others: ${MICROS.map(({ name }) => name).join(', ')}
  --name NAME  result file bench/results/NAME.json (micro-TIME)
  --json       print the result as JSON in the place of a table
  -h, --help   print this

About a minute.
`;

const { values } = readOptions('bench:micro', USAGE, {
  options: { only: { type: 'string' }, name: { type: 'string' }, json: { type: 'boolean' } },
});

const run = promisify(execFile);
const startedAt = new Date().toISOString();
const results: { readonly benchmark: string; readonly figures: readonly Figure[] }[] = [];
// One after the other: two at a time would measure each other.
for (const { name, file, parameters, read } of MICROS) {
  if (values.only !== undefined && !values.only.split(',').includes(name)) continue;
  const script = fileURLToPath(new URL(file, import.meta.url));
  const { stdout } = await run(process.execPath, [script, ...parameters], { maxBuffer: 16 * 1024 * 1024 });
  results.push({ benchmark: name, figures: read(stdout) });
}

const result = { date: startedAt.slice(0, 10), machine: describeMachine(), node: nodeVersion, results };
if (values.json === true) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
else {
  const rows = results.flatMap(({ benchmark, figures }) =>
    figures.map(({ name, value, unit }) => [
      `${benchmark}: ${name}`,
      String(Number(value.toPrecision(3))),
      unit,
    ]),
  );
  process.stdout.write(textTable([['', 'median', 'unit'], ...rows]));
  process.stdout.write(
    `\n${result.date}, ${result.machine}, Node ${result.node}; one process, nothing bound to a core.\n`,
  );
}
const file = fileURLToPath(
  new URL(`../results/${values.name ?? `micro-${startedAt.replaceAll(':', '-')}`}.json`, import.meta.url),
);
await writeJson(file, result);
process.stderr.write(`${path.relative(process.cwd(), file)}\n`);
