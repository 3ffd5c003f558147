// `npm run test:websocket`: kosoku's cases against a WebSocket server, then through Portico; any verdict that differs is a failure.

import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { readOptions } from '../support/command-line.ts';
import { DataPlane } from '../support/data-plane.ts';
import { extendedConnectClient } from '../support/extended-connect.ts';
import { snapshotOf } from '../support/snapshots.ts';

const run = promisify(execFile);
const KOSOKU = 'kosoku==0.1.0';
const ENVIRONMENT = path.join(import.meta.dirname, '../../.cache/kosoku');
const PYTHON = path.join(ENVIRONMENT, 'bin/python');
const CASES_AT_ONCE = 8;
/** For one group of cases; the largest takes one or two minutes on two busy cores. */
const LIMIT_MS = 3_600_000;
const OUTPUT_BYTES = 16 * 1024 * 1024;
/** Some of them take seconds; there are 301. */
const PLAIN = ['1.*', '2.*', '3.*', '4.*', '5.*', '6.*', '7.*', '9.*', '10.*'];
/** The other 216: for each kind of compressed stream 18, of a thousand messages each, up to 128 KiB a message. */
const KINDS = [
  ...[1, 2, 3, 4, 5].map((kind) => `12.${kind}`),
  ...[1, 2, 3, 4, 5, 6, 7].map((kind) => `13.${kind}`),
];
const SHORT = [PLAIN, KINDS.map((kind) => `${kind}.1`)];
const ALL = [PLAIN, ...KINDS.map((kind) => [`${kind}.*`])];
const PROTOCOLS = ['http1', 'http2'] as const;
type Protocol = (typeof PROTOCOLS)[number];

const USAGE = `Usage: npm run test:websocket -- [OPTIONS] [CASE ...]

  --short     of the compressed streams one case of each kind alone: 313 cases, a minute
  -h, --help  print this

A CASE may be a glob, as 9.*; all 517 without any, which takes half an hour. Python with venv and pip; kosoku is
installed into .cache on first use. Exit code 1: a verdict differs.
`;

type Verdict = readonly [behaviour: string, close: string, code: number | null, end: string];
type Verdicts = Readonly<Record<string, Verdict>>;

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

/** Python with kosoku in an environment of its own, made on first use. */
async function prepare(): Promise<void> {
  if (!existsSync(PYTHON)) await run('python3', ['-m', 'venv', ENVIRONMENT]);
  await run(PYTHON, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', KOSOKU]);
}

async function verdictsOf(port: number, cases: readonly string[], atOnce = CASES_AT_ONCE): Promise<Verdicts> {
  const script = path.join(import.meta.dirname, 'verdicts.py');
  const { stdout } = await run(PYTHON, [script, `ws://127.0.0.1:${port}`, String(atOnce), cases.join(',')], {
    timeout: LIMIT_MS,
    maxBuffer: OUTPUT_BYTES,
  });
  return JSON.parse(stdout) as Verdicts;
}

const same = (one: Verdict | undefined, other: Verdict | undefined): boolean =>
  JSON.stringify(one) === JSON.stringify(other);

/** Cases whose verdict through Portico is another; what a busy machine may have done is looked at once more, alone. */
async function differences(
  direct: Verdicts,
  through: Verdicts,
  ports: [direct: number, through: number],
): Promise<string[]> {
  const found: string[] = [];
  for (const name of new Set([...Object.keys(direct), ...Object.keys(through)])) {
    if (same(direct[name], through[name])) continue;
    say(`      ${name}: ${direct[name]} directly, ${through[name]} through Portico; once more`);
    const [one, other] = [await verdictsOf(ports[0], [name], 1), await verdictsOf(ports[1], [name], 1)];
    if (!same(one[name], other[name]))
      found.push(`${name}: ${one[name]} directly, ${other[name]} through Portico`);
  }
  return found;
}

function counted(verdicts: Verdicts): string {
  const counts = new Map<string, number>();
  for (const [behaviour] of Object.values(verdicts)) counts.set(behaviour, (counts.get(behaviour) ?? 0) + 1);
  return [...counts].map(([behaviour, count]) => `${count} ${behaviour}`).join(', ');
}

async function startEcho(): Promise<{ child: ChildProcess; http1: number; http2: number }> {
  const child = fork(path.join(import.meta.dirname, 'echo-server.ts'));
  const [ports] = (await once(child, 'message')) as [{ http1: number; http2: number }];
  return { child, ...ports };
}

/** A way to the echo server through Portico, and what has been seen on it. */
interface Way {
  readonly client: Protocol;
  readonly target: Protocol;
  readonly plane: DataPlane;
  cases: number;
  readonly found: string[];
}

const nameOf = ({ client, target }: Way): string => `client ${client}, target ${target}`;

const secondsSince = (atMs: number): number => Math.round((performance.now() - atMs) / 1000);

/** These cases directly, then on every way. */
async function runGroup(cases: readonly string[], directPort: number, ways: readonly Way[]): Promise<void> {
  let atMs = performance.now();
  const direct = await verdictsOf(directPort, cases);
  const names = Object.keys(direct);
  say(`${cases.join(' ')}: ${names.length} cases, ${counted(direct)} directly (${secondsSince(atMs)} s)`);
  const without = names.filter((name) => direct[name]![0] === 'ERROR');
  if (without.length > 0) throw new Error(`cases that could not be run: ${without.join(', ')}`);
  if (names.length === 0) throw new Error('no case was run');
  for (const way of ways) {
    atMs = performance.now();
    // A new one for each group: Portico closes a connection of HTTP/2 that was idle for a minute.
    const bridge = way.client === 'http2' ? await extendedConnectClient(way.plane.port()) : null;
    const port = bridge?.port ?? way.plane.port();
    const through = await verdictsOf(port, cases);
    const found = await differences(direct, through, [directPort, port]);
    await bridge?.close();
    way.cases += Object.keys(through).length;
    way.found.push(...found);
    say(`   ${nameOf(way)}: ${found.length === 0 ? 'the same' : 'NOT THE SAME'} (${secondsSince(atMs)} s)`);
  }
}

async function main(groups: readonly (readonly string[])[]): Promise<boolean> {
  await prepare();
  const { child, ...targets } = await startEcho();
  const planes = { http1: new DataPlane(), http2: new DataPlane() };
  for (const protocol of PROTOCOLS) {
    const pools = [{ targets: [`127.0.0.1:${targets[protocol]}`], protocol }];
    planes[protocol].apply(snapshotOf({ pools }));
  }
  const ways: readonly Way[] = PROTOCOLS.flatMap((target) =>
    PROTOCOLS.map((client) => ({ client, target, plane: planes[target], cases: 0, found: [] })),
  );
  try {
    for (const cases of groups) await runGroup(cases, targets.http1, ways);
    for (const way of ways) {
      const { cases, found } = way;
      const verdict = found.length === 0 ? 'same verdicts' : `${found.length} VERDICTS DIFFER`;
      say(`${nameOf(way)}: ${cases} cases, ${verdict}`);
      for (const line of found) say(`      ${line}`);
    }
    return ways.every(({ found }) => found.length === 0);
  } finally {
    await planes.http1.close();
    await planes.http2.close();
    child.kill();
  }
}

const { values, positionals: named } = readOptions('test:websocket', USAGE, {
  allowPositionals: true,
  options: { short: { type: 'boolean', default: false } },
});
const wanted = named.length > 0 ? [named] : values.short ? SHORT : ALL;
process.exitCode = (await main(wanted)) ? 0 : 1;
