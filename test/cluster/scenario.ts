// The cluster test: Portico before a real Kubernetes API server, driven by the real kubectl, with clients all the while.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import { readOptions, wrongUsage } from '../support/command-line.ts';
import { MissingToolError } from '../support/go-build.ts';
import { findProgram, requirePeers } from '../support/peers.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { finish, firstLook, summarize } from './frame.ts';
import { buildKube, missingForBuild } from './kube-build.ts';
import { Kubectl, Transcript } from './kubectl.ts';
import { Report } from './report.ts';
import { deleteObjects, setUp } from './set-up.ts';
import { STEPS, type Step } from './steps.ts';
import { World } from './world.ts';

const EXIT_FAILED = 1;
/** This machine can't run it: not Linux, no Go toolchain, or a program missing that can't be installed. */
const EXIT_NOT_HERE = 3;
/** A run that hangs is a failed run. */
const RUN_LIMIT_MS = 10 * 60_000;
const PROGRAMS = ['sshd', 'ssh', 'ssh-keygen', 'git', 'curl'] as const;

const USAGE = `Usage: npm run test:cluster -- --part api [OPTIONS]

  --only NAME[,NAME]   run these steps alone
  --list               print the steps and end
  --up                 start the control plane, print its kubeconfig, and wait for Ctrl-C
  --transcript FILE    write the commands and what they printed to FILE (Markdown)
  --keep               leave the run's directory (logs, configuration) behind even after a good run
  -h, --help           print this

About a minute and a half, after a first build of Kubernetes of some minutes.
environment: KUBECONFIG another cluster to run against, KUBECTL the kubectl to use with it
Exit codes: 0 all passed, 1 a check failed, 2 wrong usage, 3 this machine cannot run it
`;

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function main(): Promise<number> {
  const { values } = readOptions('test:cluster', USAGE, {
    options: {
      only: { type: 'string' },
      list: { type: 'boolean', default: false },
      up: { type: 'boolean', default: false },
      transcript: { type: 'string' },
      keep: { type: 'boolean', default: false },
    },
  });
  if (values.list) {
    for (const step of STEPS) {
      say(`${step.name.padEnd(20)} ${step.title}`);
    }
    return 0;
  }
  const wanted = values.only?.split(',') ?? STEPS.map((step) => step.name);
  const unknown = wanted.filter((name) => !STEPS.some((step) => step.name === name));
  if (unknown.length > 0) {
    return wrongUsage('test:cluster', `unknown steps: ${unknown.join(', ')} (--list shows them)`);
  }
  const missing = missingForBuild();
  if (missing !== null) {
    throw new MissingToolError(missing);
  }
  if (!values.up) {
    findPrograms();
  }
  const directory = await mkdtemp(path.join(os.tmpdir(), 'portico-cluster-'));
  const { kubectlProgram, kubeconfig, controlPlane } = await openCluster(directory);
  if (values.up) {
    await waitForInterrupt(kubeconfig, kubectlProgram, controlPlane);
    await rm(directory, { recursive: true, force: true });
    return 0;
  }
  const steps = STEPS.filter((step) => wanted.includes(step.name));
  const cluster = { directory, kubectlProgram, kubeconfig, controlPlane };
  const code = await runSteps(steps, cluster, values.transcript ?? null);
  if (code === 0 && !values.keep) {
    await rm(directory, { recursive: true, force: true });
  } else {
    process.stderr.write(`logs and configuration: ${directory}\n`);
  }
  return code;
}

/** The real programs of the run; looked for before minutes are spent on a build. */
function findPrograms(): Readonly<Record<(typeof PROGRAMS)[number], string>> {
  try {
    return requirePeers(PROGRAMS);
  } catch (error) {
    throw new MissingToolError((error as Error).message);
  }
}

interface Cluster {
  readonly directory: string;
  readonly kubectlProgram: string;
  readonly kubeconfig: string;
  readonly controlPlane: ControlPlane | null;
}

/** The cluster of KUBECONFIG, or a control plane of our own. */
async function openCluster(directory: string): Promise<Omit<Cluster, 'directory'>> {
  const given = process.env['KUBECONFIG'];
  if (given !== undefined && given !== '') {
    const program = process.env['KUBECTL'] ?? findProgram('kubectl') ?? (await buildKube(say)).kubectl;
    const resolved = given
      .split(path.delimiter)
      .map((file) => path.resolve(file))
      .join(path.delimiter);
    say(`using the cluster of ${given} with ${program}; steps that stop the API server are skipped`);
    return { kubectlProgram: program, kubeconfig: resolved, controlPlane: null };
  }
  const kube = await buildKube(say);
  say(`starting etcd, kube-apiserver and kube-controller-manager ${kube.version}`);
  const controlPlane = await startControlPlane(kube, directory);
  return { kubectlProgram: kube.kubectl, kubeconfig: controlPlane.kubeconfig, controlPlane };
}

async function waitForInterrupt(
  kubeconfig: string,
  kubectl: string,
  controlPlane: ControlPlane | null,
): Promise<void> {
  say(`export KUBECONFIG=${kubeconfig} KUBECTL=${kubectl}`);
  say('Ctrl-C ends it.');
  const { promise, resolve } = Promise.withResolvers<void>();
  const alive = setInterval(() => {}, 60_000);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => resolve());
  }
  await promise;
  clearInterval(alive);
  await controlPlane?.close();
}

async function runSteps(
  steps: readonly Step[],
  cluster: Cluster,
  transcriptFile: string | null,
): Promise<number> {
  const { directory, controlPlane } = cluster;
  const report = new Report(say);
  const transcript = new Transcript();
  const cache = path.join(directory, 'kubectl-cache');
  await mkdir(cache, { recursive: true });
  const kubectl = new Kubectl(cluster.kubectlProgram, cluster.kubeconfig, transcript, cache);
  const run = controlPlane === null ? `x${process.pid.toString(36)}` : 'lab';
  const world = new World({ directory, kubectl, controlPlane, transcript, report, run });
  transcript.shorten(directory, '/tmp/run');
  transcript.shorten(`${process.cwd()}/`, '');
  const loopDelay = monitorEventLoopDelay({ resolution: 10 });
  const startedAt = performance.now();
  // Whatever happens, nothing that was started may outlive the run.
  const hang = setTimeout(() => {
    say(`FAIL  the run took longer than ${RUN_LIMIT_MS / 60_000} minutes`);
    void closeAll(world, controlPlane).finally(() => process.exit(EXIT_FAILED));
  }, RUN_LIMIT_MS);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      void closeAll(world, controlPlane).finally(() => process.exit(EXIT_FAILED));
    });
  }
  try {
    transcript.heading('The scene');
    await kubectl.run(['version']);
    await report.check('the scene is set and Portico is ready', () => setUp(world));
    if (report.failures.length === 0) {
      loopDelay.enable();
      await firstLook(world);
      for (const step of steps) {
        await runStep(step, world);
      }
      await finish(world);
    }
  } finally {
    clearTimeout(hang);
    await closeAll(world, controlPlane);
  }
  summarize(world, (performance.now() - startedAt) / 1000, loopDelay.max / 1e6);
  if (transcriptFile !== null) {
    await transcript.write(transcriptFile, 'A run against a real Kubernetes API server');
    say(`transcript: ${transcriptFile}`);
  }
  for (const failure of report.failures) {
    say(`FAIL  ${failure}`);
  }
  say(report.lastLine);
  return report.failures.length === 0 ? 0 : EXIT_FAILED;
}

async function closeAll(world: World, controlPlane: ControlPlane | null): Promise<void> {
  await world.close();
  if (controlPlane === null) {
    await deleteObjects(world);
  } else {
    await controlPlane.close();
  }
}

async function runStep(step: Step, world: World): Promise<void> {
  world.report.say(`\n${step.title} [${step.name}]`);
  if (step.needsOwnControlPlane === true && world.controlPlane === null) {
    world.report.skip(step.name, 'it stops the API server, and this cluster is not ours');
    return;
  }
  world.transcript.heading(step.title);
  const before = world.ledger.failures.length;
  const succeededBefore = world.ledger.successes();
  const startedAt = performance.now();
  const ended = await world.report.check(`${step.name} ran to its end`, async () => {
    await step.run(world);
    return true;
  });
  const failed = world.ledger.failures.length - before;
  const seconds = (performance.now() - startedAt) / 1000;
  const succeeded = world.ledger.successes() - succeededBefore;
  const during = `${succeeded} requests and sessions in ${seconds.toFixed(1)} s`;
  await world.report.check(`${step.name}: none failed of ${during}`, () => {
    if (failed > 0) {
      const words = world.ledger.failures.slice(before, before + 5);
      throw new Error(
        `${failed}: ${words.map((failure) => `${failure.client}: ${failure.reason}`).join('; ')}`,
      );
    }
  });
  world.transcript.sentence(world.report.takeChecks());
  if (ended === undefined && world.portico.ended() !== null) {
    throw new Error(`Portico ended: ${world.portico.ended()}`);
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof MissingToolError) {
    say(`the cluster test cannot run here: ${error.message}`);
    process.exitCode = EXIT_NOT_HERE;
  } else {
    process.stderr.write(`${(error as Error).stack}\n`);
    process.exitCode = EXIT_FAILED;
  }
}
