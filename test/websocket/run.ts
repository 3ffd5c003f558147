// `npm run test:websocket`: kosoku's cases against a WebSocket server, then through Portico; any verdict that differs is a failure.
// usage: node test/websocket/run.ts [--short] [case ...]     (cases may be globs; all 517 without arguments)

import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { DataPlane } from '../support/data-plane.ts';
import { type Bridge, extendedConnectClient } from '../support/extended-connect.ts';
import { snapshotOf } from '../support/snapshots.ts';

const run = promisify(execFile);
const KOSOKU = 'kosoku==0.1.0';
const ENVIRONMENT = path.join(import.meta.dirname, '../../.cache/kosoku');
const PYTHON = path.join(ENVIRONMENT, 'bin/python');
const CASES_AT_ONCE = 8;
const LIMIT_MS = 1_800_000;
const OUTPUT_BYTES = 16 * 1024 * 1024;
/** Of the 216 compressed streams of a thousand messages each, one of every kind; everything else is short. */
const COMPRESSED = [
  ...[1, 2, 3, 4, 5].map((kind) => `12.${kind}.1`),
  ...[1, 2, 3, 4, 5, 6, 7].map((kind) => `13.${kind}.1`),
];
const SHORT = ['1.*', '2.*', '3.*', '4.*', '5.*', '6.*', '7.*', '9.*', '10.*', ...COMPRESSED];

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

async function main(cases: readonly string[]): Promise<boolean> {
  await prepare();
  const echo = await startEcho();
  const planes = { http1: new DataPlane(), http2: new DataPlane() };
  const bridges: Bridge[] = [];
  let good = true;
  try {
    const startedAtMs = performance.now();
    const direct = await verdictsOf(echo.http1, cases);
    const seconds = Math.round((performance.now() - startedAtMs) / 1000);
    say(`directly: ${Object.keys(direct).length} cases, ${counted(direct)} (${seconds} s)`);
    const without = Object.keys(direct).filter((name) => direct[name]![0] === 'ERROR');
    if (without.length > 0) throw new Error(`cases that could not be run: ${without.join(', ')}`);
    if (Object.keys(direct).length === 0) throw new Error('no case was run');
    for (const target of ['http1', 'http2'] as const) {
      const plane = planes[target];
      plane.apply(snapshotOf({ pools: [{ targets: [`127.0.0.1:${echo[target]}`], protocol: target }] }));
      for (const client of ['http1', 'http2'] as const) {
        const atMs = performance.now();
        let port = plane.port();
        if (client === 'http2') {
          const bridge = await extendedConnectClient(port);
          bridges.push(bridge);
          ({ port } = bridge);
        }
        const through = await verdictsOf(port, cases);
        const found = await differences(direct, through, [echo.http1, port]);
        const took = Math.round((performance.now() - atMs) / 1000);
        const verdict = found.length === 0 ? 'same verdicts' : `${found.length} VERDICTS DIFFER`;
        say(
          `client ${client}, target ${target}: ${Object.keys(through).length} cases, ${verdict} (${took} s)`,
        );
        for (const line of found) say(`      ${line}`);
        good &&= found.length === 0;
      }
    }
  } finally {
    for (const bridge of bridges) await bridge.close();
    await planes.http1.close();
    await planes.http2.close();
    echo.child.kill();
  }
  return good;
}

const parameters = process.argv.slice(2);
const named = parameters.filter((parameter) => parameter !== '--short');
const wanted = named.length > 0 ? named : parameters.includes('--short') ? SHORT : ['*'];
process.exitCode = (await main(wanted)) ? 0 : 1;
