// The world in network namespaces: Portico before machines with real kube-proxies, judged by its clients.

import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { readOptions, wrongUsage } from '../../support/command-line.ts';
import { MissingToolError } from '../../support/go-build.ts';
import { requirePeers } from '../../support/peers.ts';
import { requireTraefik } from '../../support/traefik.ts';
import { startControlPlane } from '../control-plane.ts';
import { buildKube, missingForBuild } from '../kube-build.ts';
import { Kubectl, Transcript } from '../kubectl.ts';
import { PAUSES } from '../pauses.ts';
import { Report } from '../report.ts';
import { createSshFixture } from '../sshd.ts';
import { Api } from './api.ts';
import { ArrivalLog } from './arrivals.ts';
import { setUp } from './net-setup.ts';
import { NET_STEPS, type NetStep } from './net-steps.ts';
import { NetWorld, PROPAGATION_P99_MS } from './net-world.ts';
import { EDGE_ADDRESS, Network, namespacePrefix, sweep } from './network.ts';
import { PEERS } from './peers.ts';
import { spread } from './promises.ts';
import { promisesPage } from './promises-page.ts';
import { SynWatch, trackingRules } from './syn-watch.ts';

const EXIT_FAILED = 1;
/** Not Linux, not root, no Go toolchain, or a program is missing. */
const EXIT_NOT_HERE = 3;
const PROGRAMS = ['sshd', 'ssh', 'ssh-keygen', 'git', 'curl', 'nft', 'ip', 'conntrack', 'nsenter'] as const;
const SHORT_LIMIT_MS = 15 * 60_000;
const LONG_LIMIT_MS = 40 * 60_000;
/** Names the run inside the edge's namespace; its presence says that the process is there already. */
const INSIDE = 'PORTICO_NETNS_RUN';

const USAGE = `Usage: npm run test:netns -- [OPTIONS]

  --only NAME[,NAME]   run these steps alone
  --list               print the steps and end
  --long               outages of full length, and the steps that the short form leaves out
  --peers              run HAProxy and Traefik beside, asked by clients of their own
  --table FILE         write what was promised and measured to FILE (Markdown): docs/promises.md
  --keep               leave the run's directory (logs, configuration) behind even after a good run
  -h, --help           print this

Nine minutes, with --long and --peers about 25. Needs Linux, root and Go: it makes network namespaces, and removes them at
the end.
Exit codes: 0 all passed, 1 a check failed, 2 wrong usage, 3 this machine cannot run it
`;

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function main(): Promise<number> {
  const { values } = readOptions('test:netns', USAGE, {
    options: {
      only: { type: 'string' },
      list: { type: 'boolean', default: false },
      long: { type: 'boolean', default: false },
      peers: { type: 'boolean', default: false },
      table: { type: 'string' },
      keep: { type: 'boolean', default: false },
    },
  });
  if (values.list) {
    for (const step of NET_STEPS) {
      say(`${step.name.padEnd(20)} ${step.longOnly === true ? '(long) ' : ''}${step.title}`);
    }
    return 0;
  }
  const wanted = values.only?.split(',');
  const unknown = wanted?.filter((name) => !NET_STEPS.some((step) => step.name === name)) ?? [];
  if (unknown.length > 0) {
    return wrongUsage('test:netns', `unknown steps: ${unknown.join(', ')} (--list shows them)`);
  }
  const run = process.env[INSIDE];
  if (run === undefined) return await runOutside(values.peers);
  const steps = NET_STEPS.filter((step) =>
    wanted === undefined ? values.long || step.longOnly !== true : wanted.includes(step.name),
  );
  const { long, peers, keep } = values;
  return await runInside(run, steps, { long, peers, keep, tableFile: values.table ?? null });
}

/** Makes the edge's namespace, runs this program in it, and takes away whatever it leaves behind. */
async function runOutside(withPeers: boolean): Promise<number> {
  const missing = missingForBuild();
  if (missing !== null) throw new MissingToolError(missing);
  if (process.getuid?.() !== 0) throw new MissingToolError('network namespaces need root');
  const { ip, nsenter } = findPrograms();
  // Before the namespace, whose network reaches no package server and no module proxy.
  if (withPeers) {
    requirePeers(['haproxy', 'setpriv']);
    await requireTraefik(say);
  }
  await buildKube(say);
  const run = process.pid.toString(36);
  const prefix = namespacePrefix(run);
  const edge = `${prefix}edge`;
  await new Promise<void>((resolve, reject) => {
    const made = spawn(ip, ['netns', 'add', edge], { stdio: 'inherit' });
    made.once('error', reject);
    made.once('exit', (code) =>
      code === 0 ? resolve() : reject(new MissingToolError('no network namespaces here')),
    );
  });
  try {
    const words = [`--net=/run/netns/${edge}`, '--', process.execPath, ...process.execArgv];
    const child = spawn(nsenter, [...words, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
      stdio: 'inherit',
      env: { ...process.env, [INSIDE]: run },
    });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => child.kill('SIGTERM'));
    }
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => resolve(code ?? EXIT_FAILED));
    });
  } finally {
    await sweep(ip, prefix);
  }
}

function findPrograms(): Readonly<Record<(typeof PROGRAMS)[number], string>> {
  try {
    return requirePeers(PROGRAMS);
  } catch (error) {
    throw new MissingToolError((error as Error).message);
  }
}

interface RunOptions {
  readonly long: boolean;
  readonly peers: boolean;
  readonly keep: boolean;
  readonly tableFile: string | null;
}

async function runInside(run: string, steps: readonly NetStep[], options: RunOptions): Promise<number> {
  const { long, keep, tableFile } = options;
  const programs = findPrograms();
  const startedAt = performance.now();
  const directory = await mkdtemp(path.join(os.tmpdir(), 'portico-netns-'));
  const report = new Report(say);
  const world = await makeWorld(run, directory, report, programs, options);
  const limitMs = long ? LONG_LIMIT_MS : SHORT_LIMIT_MS;
  const end = (why: string): void => {
    say(`FAIL  ${why}`);
    void world.close().finally(() => process.exit(EXIT_FAILED));
  };
  const hang = setTimeout(() => end(`the run took longer than ${limitMs / 60_000} minutes`), limitMs);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => end(`ended by ${signal}`));
  }
  const loopDelay = monitorEventLoopDelay({ resolution: 10 });
  try {
    await report.check('the world stands and Portico is ready', () => setUp(world));
    if (report.failures.length === 0) {
      say(`  (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`);
      loopDelay.enable();
      for (const step of steps) await runStep(step, world);
      await propagation(world);
      await world.stopClients();
    }
  } finally {
    clearTimeout(hang);
    await world.close();
  }
  summarize(world, (performance.now() - startedAt) / 1000, loopDelay.max / 1e6);
  if (tableFile !== null) {
    const { kubernetes } = world.options;
    const seconds = (performance.now() - startedAt) / 1000;
    await writeFile(tableFile, promisesPage(world, { kubernetes, long, seconds, result: report.lastLine }));
  }
  for (const failure of report.failures) say(`FAIL  ${failure}`);
  const code = report.failures.length === 0 ? 0 : EXIT_FAILED;
  if (code === 0 && !keep) await rm(directory, { recursive: true, force: true });
  else say(`logs and configuration: ${directory}`);
  say(report.lastLine);
  return code;
}

async function makeWorld(
  run: string,
  directory: string,
  report: Report,
  programs: ReturnType<typeof findPrograms>,
  options: RunOptions,
): Promise<NetWorld> {
  const kube = await buildKube(say);
  const network = new Network(programs, run);
  await network.start();
  await network.nft(null, trackingRules(PEERS.map(({ uid }) => uid)));
  const controlPlane = await startControlPlane(kube, directory, { bind: '0.0.0.0', address: EDGE_ADDRESS });
  const transcript = new Transcript();
  const cache = path.join(directory, 'kubectl-cache');
  await mkdir(cache, { recursive: true });
  const kubelet = {
    network,
    api: await Api.open(controlPlane.kubeconfig),
    arrivals: new ArrivalLog(),
    directory,
    kube: kube.path,
    kubeconfig: controlPlane.kubeconfig,
    run,
    ssh: await createSshFixture(path.join(directory, 'ssh'), programs),
    sshClients: new Map<string, string>(),
    curl: programs.curl,
  };
  return new NetWorld({
    directory,
    run,
    kubectl: new Kubectl(kube.kubectl, controlPlane.kubeconfig, transcript, cache),
    controlPlane,
    transcript,
    report,
    kubelet,
    syns: new SynWatch(programs.conntrack),
    kubernetes: kube.version,
    long: options.long,
    peers: options.peers,
  });
}

async function runStep(step: NetStep, world: NetWorld): Promise<void> {
  const { report } = world;
  report.say(`\n${step.title} [${step.name}]`);
  const startedAt = performance.now();
  await report.check(`${step.name} ran to its end`, () => step.run(world));
  report.say(`  (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`);
  if (world.portico.ended() !== null) throw new Error(`Portico ended: ${world.portico.ended()}`);
}

/** Over all events of the run: each alone only has to be within what one event may take on a shared machine. */
async function propagation(world: NetWorld): Promise<void> {
  const sorted = world.leavingMs.toSorted((a, b) => a - b);
  if (sorted.length === 0) return;
  const promise = `p99 at most ${PROPAGATION_P99_MS} ms`;
  await world.promise('all events: to the last new request at a node that was left', promise, () => {
    const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0;
    if (p99 > PROPAGATION_P99_MS) throw new Error(spread(sorted));
    return spread(sorted);
  });
}

function summarize(world: NetWorld, seconds: number, longestPauseMs: number): void {
  const rows = world.ledger
    .rows()
    .map((r) => `| ${r.client} | ${r.succeeded} | ${r.failed} | ${r.p50} | ${r.p99} | ${r.max} |`);
  say(
    `\n${['| client | succeeded | failed | median ms | p99 ms | max ms |', '| --- | --- | --- | --- | --- | --- |', ...rows].join('\n')}`,
  );
  for (const failure of world.ledger.failures.slice(0, 50)) say(`- ${failure.client}: ${failure.reason}`);
  say(`\n${world.table.text()}`);
  const shown = world.report.measurements.flatMap((m) =>
    m.shownMs === null ? [] : [Math.max(0, m.shownMs)],
  );
  say(`\nevent to /targets: ${spread(shown)}`);
  say(`event to the last new request at a node that was left: ${spread(world.leavingMs)}`);
  say(
    `${seconds.toFixed(0)} s; ${world.arrivals.total} requests and sessions at the pods, ${world.arrivals.probes} probes; this process paused for at most ${longestPauseMs.toFixed(0)} ms, ${PAUSES.total().count} times for more than 100 ms`,
  );
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof MissingToolError) {
    say(`the world in namespaces cannot run here: ${error.message}`);
    process.exitCode = EXIT_NOT_HERE;
  } else {
    process.stderr.write(`${(error as Error).stack}\n`);
    process.exitCode = EXIT_FAILED;
  }
}
