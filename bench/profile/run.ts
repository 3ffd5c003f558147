// `npm run profile`: a CPU profile of a worker under load, a flame graph of it, and the functions that took the time.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readOptions } from '../../test/support/command-line.ts';
import { freePort } from '../../test/support/free-port.ts';
import { CASES, type Case } from '../cases.ts';
import { bodyBytesOf, type LoadPlace, runCase, tryCase } from '../drivers/case-load.ts';
import type { LoadResult } from '../drivers/driver.ts';
import { buildLoad, startBackend } from '../drivers/go-load.ts';
import { makeCertificate } from '../measure/certificate.ts';
import type { Child } from '../measure/child.ts';
import { print, runCommand, wholeNumber } from '../measure/command.ts';
import { loadCores, PROXY_CORES } from '../measure/cores.ts';
import { textTable } from '../measure/table.ts';
import { awaitCase } from '../measure/verify.ts';
import { portico, type RunningPeer } from '../subjects/peer.ts';
import { type CpuProfile, callTree, type Frame, selfTimesOf } from './call-tree.ts';
import { flameGraph } from './flame-graph.ts';
import { Inspector, inspectorsIn } from './inspector.ts';

const USAGE = `Usage: npm run profile -- [OPTIONS]

  --case NAME       the load: ${CASES.map(({ name }) => name).join(', ')} (keep-alive)
  --seconds N       seconds that are profiled, after three of warm-up (10)
  --interval N      microseconds between samples (200)
  --top N           functions in the table (30)
  --output FOLDER   where NAME.cpuprofile and NAME.svg go (bench/results/profile)
  -h, --help        print this

A .cpuprofile opens in Chromium's developer tools and in editors; the SVG in any browser. Linux, Go; half a
minute.
`;

const { values } = readOptions('profile', USAGE, {
  options: {
    case: { type: 'string', default: 'keep-alive' },
    seconds: { type: 'string', default: '10' },
    interval: { type: 'string', default: '200' },
    top: { type: 'string', default: '30' },
    output: { type: 'string' },
  },
});

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const BACKENDS = 3;
const WARM_UP_SECONDS = 3;

const whole = (name: 'seconds' | 'interval' | 'top'): number => wholeNumber(name, values[name]);

/** Supervisor, controller and worker all listen; the worker's command line says so. */
async function inspectorOfWorker(child: Child): Promise<Inspector> {
  for (const address of inspectorsIn(child.errors())) {
    const inspector = await Inspector.connect(address);
    if ((await inspector.parameters()).includes('--role=worker')) return inspector;
    inspector.close();
  }
  throw new Error(`no worker listens for an inspector: ${child.errors()}`);
}

async function profileCase(one: Case, running: RunningPeer, place: LoadPlace): Promise<CpuProfile> {
  const load = async (seconds: number): Promise<LoadResult> => {
    const result = await runCase(one, running, seconds, place);
    if (result.problems.length > 0) throw new Error(result.problems.join(', '));
    return result;
  };
  await awaitCase(() => tryCase(one, running, place), running.child);
  await load(WARM_UP_SECONDS);
  const inspector = await inspectorOfWorker(running.child);
  try {
    await inspector.startProfile(whole('interval'));
    const { requests, seconds } = await load(whole('seconds'));
    print(`${one.name}: ${one.about}; ${requests} in ${seconds.toFixed(1)} s\n\n`);
    return await inspector.stopProfile();
  } finally {
    inspector.close();
  }
}

function tableOf(tree: Frame): string {
  const rows = selfTimesOf(tree)
    .slice(0, whole('top'))
    .map(({ name, place, selfUs }) => [
      `${name}${place === '' ? '' : `  ${place}`}`,
      (selfUs / 1000).toFixed(0),
      `${((selfUs / tree.totalUs) * 100).toFixed(1)}%`,
    ]);
  return textTable([['function', 'self ms', 'of busy time'], ...rows]);
}

async function main(): Promise<void> {
  const one = CASES.find(({ name }) => name === values.case);
  if (one === undefined) throw new RangeError(`no such case: ${values.case}`);
  const place = { program: buildLoad(), cores: loadCores() };
  const directory = await mkdtemp(path.join(tmpdir(), 'portico-profile-'));
  const children: Child[] = [];
  try {
    const backendPorts = await Promise.all(Array.from({ length: BACKENDS }, () => freePort()));
    children.push(await startBackend(place.program, place.cores, backendPorts, bodyBytesOf(one.load)));
    makeCertificate(directory);
    const inspected = portico('portico', undefined, { NODE_OPTIONS: '--inspect=127.0.0.1:0' });
    const running = await inspected.start({ cores: PROXY_CORES, backendPorts, directory });
    children.push(running.child);
    const profile = await profileCase(one, running, place);
    const tree = callTree(profile, REPOSITORY);
    const output = values.output ?? path.join(REPOSITORY, 'bench/results/profile');
    await mkdir(output, { recursive: true });
    const file = path.join(output, one.name);
    await writeFile(`${file}.cpuprofile`, JSON.stringify(profile));
    await writeFile(`${file}.svg`, flameGraph(`A worker's CPU time: ${one.about}`, tree));
    print(`${tableOf(tree)}\n${file}.cpuprofile\n${file}.svg\n`);
  } finally {
    for (const child of children.toReversed()) await child.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

await runCommand({ name: 'profile', main });
