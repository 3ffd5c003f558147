// `npm run test:cluster -- --part certificates`: named Secrets of a real API server, read with the rights of deploy/rbac.yaml and no others.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { pino } from 'pino';
import { parseAllDocuments } from 'yaml';
import { createSystemClock } from '../../src/control/discovery/clock.ts';
import { createDiscovery, type Discovery } from '../../src/control/discovery/discovery.ts';
import { createInventoryStore } from '../../src/control/discovery/inventory-store.ts';
import { clusterConfig } from '../control/discovery/world.ts';
import { readOptions } from '../support/command-line.ts';
import { until } from '../support/until.ts';
import { writePorticoKubeconfig } from './configuration.ts';
import { startControlPlane } from './control-plane.ts';
import { buildKube, missingForBuild } from './kube-build.ts';
import { Kubectl, Transcript } from './kubectl.ts';

const EXIT_NOT_HERE = 3;
const USAGE = `Usage: npm run test:cluster -- --part certificates [OPTIONS]

  -h, --help  print this

Exit codes: 0 all passed, 1 a check failed, 2 wrong usage, 3 this machine cannot run it (Linux, Go).
`;
const RBAC_FILE = path.join(import.meta.dirname, '../../deploy/rbac.yaml');
const NAMESPACE = 'github-production';
const encoded = (text: string): string => Buffer.from(text).toString('base64');

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** The Role and RoleBinding that the manifest shows in its comments. */
async function certificateRole(): Promise<readonly object[]> {
  const text = await readFile(RBAC_FILE, 'utf8');
  const shown = text.slice(text.indexOf('# Certificates:'));
  const lines = shown.split('\n').filter((line) => line.startsWith('#   '));
  return parseAllDocuments(lines.map((line) => line.slice(4)).join('\n')).map(
    (document) => document.toJS() as object,
  );
}

const secret = (name: string, cert: string): object => ({
  apiVersion: 'v1',
  kind: 'Secret',
  type: 'kubernetes.io/tls',
  metadata: { name, namespace: NAMESPACE },
  data: { 'tls.crt': encoded(cert), 'tls.key': encoded('a key') },
});

async function check(kubectl: Kubectl, directory: string): Promise<void> {
  await kubectl.run(['create', 'namespace', NAMESPACE]);
  const kubeconfig = await writePorticoKubeconfig(kubectl, directory);
  await kubectl.apply(await certificateRole());
  await kubectl.apply([secret('www-tls', 'first'), secret('other-tls', 'not for us')]);
  const clock = createSystemClock();
  const log = pino({ level: 'silent' });
  const discovery: Discovery = createDiscovery({
    clusters: [clusterConfig('lab', kubeconfig)],
    scopes: {},
    secrets: { lab: [`${NAMESPACE}/www-tls`, `${NAMESPACE}/other-tls`] },
    store: createInventoryStore({ directory: null, clock, log, onCount: () => {} }),
    clock,
    random: Math.random,
    log,
    environment: {},
    onChange: () => {},
    onCount: () => {},
  });
  const certOf = (): string | undefined => {
    const fact = discovery.secret('lab', `${NAMESPACE}/www-tls`);
    return typeof fact === 'object' ? fact.cert : fact;
  };
  try {
    await until('the named Secret', () => certOf() === 'first');
    say('pass  reads the Secret that it may read');
    const scopes = () => discovery.status()[0]!.kinds.secrets.scopes;
    await until('a refusal', () => scopes().some(({ failure }) => failure?.reason === 'forbidden'));
    if (discovery.secret('lab', `${NAMESPACE}/other-tls`) !== undefined)
      throw new Error('it read another Secret');
    say('pass  is refused any other');
    await until('a watch', () => scopes().some(({ state }) => state === 'watching'));
    await kubectl.apply([secret('www-tls', 'second')]);
    await until('the change', () => certOf() === 'second');
    say('pass  follows a change by its watch');
    await kubectl.run(['delete', 'secret', 'www-tls', '-n', NAMESPACE]);
    await until('the removal', () => certOf() === 'missing');
    say('pass  sees that it is gone');
  } finally {
    await discovery.close();
  }
}

async function main(): Promise<number> {
  const missing = missingForBuild();
  if (missing !== null) {
    say(missing);
    return EXIT_NOT_HERE;
  }
  const directory = await mkdtemp(path.join(os.tmpdir(), 'portico-certificates-'));
  const kube = await buildKube(say);
  const controlPlane = await startControlPlane(kube, directory);
  try {
    const kubectl = new Kubectl(
      kube.kubectl,
      controlPlane.kubeconfig,
      new Transcript(),
      path.join(directory, 'cache'),
    );
    await check(kubectl, directory);
    return 0;
  } finally {
    await controlPlane.close();
    await rm(directory, { recursive: true, force: true });
  }
}

readOptions('test:cluster', USAGE, {});
process.exitCode = await main();
