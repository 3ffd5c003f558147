// `npm run bench`: Portico, http-proxy and node:http + undici under the same load, by CPU time for each request.

import { availableParallelism, loadavg } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readOptions } from '../test/support/command-line.ts';
import { freePort } from '../test/support/free-port.ts';
import { createAutocannon } from './drivers/autocannon.ts';
import type { Driver } from './drivers/driver.ts';
import { createWrk, hasWrk } from './drivers/wrk.ts';
import { canPin, startNode } from './measure/child.ts';
import { print, runCommand, wholeNumber } from './measure/command.ts';
import { loadCores, PROXY_CORES } from './measure/cores.ts';
import { fixedBody } from './measure/fixed-body.ts';
import { describeConditions, describeMachine, LIMITS, nodeVersion, reportRows } from './measure/report.ts';
import { runRounds, type Turn } from './measure/rounds.ts';
import { summarise } from './measure/summary.ts';
import { markdownTable, textTable } from './measure/table.ts';
import { awaitAnswer, problemOf } from './measure/verify.ts';
import { writeJson, writeMarkdown } from './measure/write-result.ts';
import { HTTP_PROXY, NODE_PEERS } from './subjects/node-peers.ts';
import { createPortico } from './subjects/portico.ts';
import type { Running, Subject } from './subjects/subject.ts';

const USAGE = `Usage: npm run bench -- [OPTIONS]

  --rounds N         interleaved rounds (5)
  --slices N         seconds of load that each proxy gets in a round, one at a time (5)
  --warm-up N        seconds before them (2)
  --connections N    keep-alive connections of the driver (64)
  --body N           bytes of an answer's body (66)
  --driver NAME      autocannon (default) or wrk
  --subjects A,B     leave out the others
  --against FILE     another checkout's src/portico.js, measured as "portico (other)"
  --name NAME        result file bench/results/NAME.json (when it was started)
  --markdown FILE    write the table into this page, between its marks
  -h, --help         print this

Linux. Two minutes.
`;

const { values } = readOptions('bench', USAGE, {
  options: {
    rounds: { type: 'string', default: '5' },
    slices: { type: 'string', default: '5' },
    'warm-up': { type: 'string', default: '2' },
    connections: { type: 'string', default: '64' },
    body: { type: 'string', default: '66' },
    driver: { type: 'string', default: 'autocannon' },
    subjects: { type: 'string' },
    against: { type: 'string' },
    name: { type: 'string' },
    markdown: { type: 'string' },
  },
});

/** Short, so that a busy moment of the machine meets every proxy; long beside the clock tick of 10 ms. */
const SLICE_SECONDS = 1;

const number = (name: 'rounds' | 'slices' | 'warm-up' | 'connections' | 'body', least: number): number =>
  wholeNumber(name, values[name], least);

function createDriver(cores: string): Driver {
  if (values.driver === 'autocannon') return createAutocannon(cores);
  if (values.driver !== 'wrk') throw new RangeError('--driver must be autocannon or wrk');
  if (!hasWrk()) throw new Error('wrk is not installed');
  return createWrk(cores);
}

function chooseSubjects(): readonly Subject[] {
  const other =
    values.against === undefined
      ? []
      : [createPortico('portico (other)', pathToFileURL(path.resolve(values.against)))];
  const all = [createPortico(), ...other, ...NODE_PEERS];
  if (values.subjects === undefined) return all;
  const wanted = values.subjects.split(',');
  const unknown = wanted.filter((name) => all.every((subject) => subject.name !== name));
  if (unknown.length > 0)
    throw new RangeError(
      `no such subject: ${unknown.join(', ')}; there are ${all.map(({ name }) => name).join(', ')}`,
    );
  return all.filter(({ name }) => wanted.includes(name));
}

function showTurn({ subject, round, requests, seconds, userMs, systemMs }: Turn): void {
  const us = ((userMs + systemMs) * 1000) / requests;
  print(
    `round ${round}  ${subject.padEnd(20)} ${us.toFixed(1).padStart(7)} us/request  ${(requests / seconds).toFixed(0).padStart(7)} requests/s\n`,
  );
}

async function main(): Promise<void> {
  if (process.platform !== 'linux')
    throw new Error('the benchmark reads CPU times from /proc and so needs Linux');
  const rounds = number('rounds', 1);
  const slices = number('slices', 1);
  const connections = number('connections', 1);
  const bodyBytes = number('body', 0);
  const warmUpSeconds = number('warm-up', 1);
  const subjects = chooseSubjects();
  const otherCores = loadCores();
  const body = fixedBody(bodyBytes);
  const backendPort = await freePort();
  const startedAt = new Date();
  const [loadBefore = 0] = loadavg();
  const backend = startNode(otherCores, [
    fileURLToPath(new URL('./backend.ts', import.meta.url)),
    String(backendPort),
    String(bodyBytes),
  ]);
  let driver: Driver | null = null;
  try {
    driver = createDriver(otherCores);
    await awaitAnswer(`http://127.0.0.1:${backendPort}/`, body, backend);
    const load = driver;
    const turns = await runRounds<Subject, Running>(
      subjects,
      {
        start: (subject, directory) => subject.start({ cores: PROXY_CORES, backendPort, directory }),
        ready: (running) => awaitAnswer(running.url, body, running.child),
        load: (running, seconds) => load.run({ url: running.url, body, connections, seconds }),
        verify: async (running) => {
          const problem = await problemOf(running.url, body);
          if (problem !== null) throw new Error(problem);
        },
        checkDuties: (running, requests) => running.checkDuties(requests),
      },
      {
        rounds,
        warmUpSeconds,
        slices,
        sliceSeconds: SLICE_SECONDS,
        onRound: (ofRound) => ofRound.forEach(showTurn),
      },
    );
    const rows = summarise(turns, HTTP_PROXY);
    const conditions = {
      date: startedAt.toISOString().slice(0, 10),
      machine: describeMachine(),
      node: nodeVersion,
      loadBefore,
      driver: driver.name,
      pinned: canPin && availableParallelism() > 1,
      connections,
      bodyBytes,
      rounds,
      secondsPerRound: slices * SLICE_SECONDS,
    };
    const table = reportRows(rows);
    const notes = describeConditions(conditions);
    print(
      `\n${textTable(table)}\n${notes.join('\n')}\n\nWhat this cannot show:\n${LIMITS.map((line) => `- ${line}\n`).join('')}`,
    );
    const file = fileURLToPath(
      new URL(
        `./results/${values.name ?? startedAt.toISOString().replaceAll(':', '-')}.json`,
        import.meta.url,
      ),
    );
    await writeJson(file, { conditions, rows, turns, limits: LIMITS });
    print(`\n${path.relative(process.cwd(), file)}\n`);
    if (values.markdown !== undefined) {
      await writeMarkdown(values.markdown, `${notes.join(' ')}\n\n${markdownTable(table)}`);
    }
  } finally {
    await driver?.close();
    await backend.stop();
  }
}

await runCommand({ name: 'bench', main });
