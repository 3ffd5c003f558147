// `portico demo` from beginning to end: the cluster, its files, Portico in front, the guide, and no trace afterwards.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createDemoCluster, type DemoCluster } from './demo-cluster.ts';
import { demoConfig } from './demo-config.ts';
import { type GuideFacts, printGuide } from './guide.ts';
import { freePort, isAddressInUse } from './listening.ts';

export interface DemoOptions {
  /** HTTP listener on 127.0.0.1; 0 takes a free port. Default 8080. */
  readonly httpPort?: number;
  /** SSH listener on 127.0.0.1; 0 takes a free port. Default 2222. */
  readonly sshPort?: number;
  /** Admin interface on 127.0.0.1; 0 takes a free port. Default 9901. */
  readonly adminPort?: number;
  /** The demo's remote control on 127.0.0.1; 0, the default, takes a free port. */
  readonly controlPort?: number;
}

export interface RunningPortico {
  close(): Promise<void>;
}

/** What the demo is handed from outside. */
export interface DemoIo {
  readonly write: (text: string) => void;
  /** Marks the commands of the guide; for terminals only. */
  readonly colour: boolean;
  /** How this Portico's command line is called, such as `node src/portico.js`. */
  readonly cli: string;
  /** `os.tmpdir()`. */
  readonly temporaryDirectory: string;
  /** `process.platform`. */
  readonly platform: string;
  /** `process.env.PATH`. */
  readonly path: string | undefined;
  readonly random: () => number;
  readonly now: () => number;
  /** Runs Portico with a configuration file; resolves when it is ready. */
  readonly startPortico: (configPath: string) => Promise<RunningPortico>;
}

export interface RunningDemo {
  readonly cluster: DemoCluster;
  readonly facts: GuideFacts;
  /** Ends Portico, then the cluster, then removes the files. A second call waits for the first. */
  close(): Promise<void>;
}

/** Resolves once the guide is printed. On failure everything that was begun is ended, and the reason thrown. */
export async function runDemo(options: DemoOptions, io: DemoIo): Promise<RunningDemo> {
  const [httpPort, sshPort, adminPort] = await choosePorts(options);
  const directory = await mkdtemp(join(io.temporaryDirectory, 'portico-demo-'));
  const cleanUps: (() => Promise<void>)[] = [() => rm(directory, { recursive: true, force: true })];
  const cleanUp = async (): Promise<void> => {
    const failures: unknown[] = [];
    for (const step of cleanUps.reverse()) await step().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw new AggregateError(failures, 'the demo did not end cleanly');
  };
  try {
    const { platform, path, random, now } = io;
    const controlPort = options.controlPort ?? 0;
    const cluster = await createDemoCluster({ directory, platform, path, random, now, controlPort });
    cleanUps.push(() => cluster.close());
    const configPath = join(directory, 'config.yaml');
    const { kubeProxyPort } = cluster;
    await writeFile(configPath, demoConfig({ httpPort, sshPort, adminPort, kubeProxyPort }));
    await writeFile(join(directory, 'kubeconfig'), cluster.kubeconfig, { mode: 0o600 });
    await writeFile(join(directory, 'known_hosts'), `[127.0.0.1]:${sshPort} ${cluster.hostPublicKey}\n`);
    await writeFile(join(directory, 'ssh_config'), sshConfig(directory, sshPort));
    const portico = await io.startPortico(configPath);
    cleanUps.push(() => portico.close());
    const { nodes, hasGit, controlUrl } = cluster;
    const facts = {
      httpPort,
      sshPort,
      adminPort,
      controlUrl,
      directory,
      cli: io.cli,
      nodes,
      hasGit,
      platform,
    };
    io.write(printGuide(facts, io.colour));
    let closing: Promise<void> | null = null;
    return {
      cluster,
      facts,
      close: () => {
        closing ??= cleanUp();
        return closing;
      },
    };
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

async function choosePorts(options: DemoOptions): Promise<readonly [number, number, number]> {
  const choose = async (wanted: number, flag: string): Promise<number> => {
    try {
      return await freePort('127.0.0.1', wanted);
    } catch (error) {
      if (!isAddressInUse(error)) throw error;
      throw new Error(`127.0.0.1:${wanted} is taken; choose another port with ${flag}`, { cause: error });
    }
  };
  return [
    await choose(options.httpPort ?? 8080, '--http-port'),
    await choose(options.sshPort ?? 2222, '--ssh-port'),
    await choose(options.adminPort ?? 9901, '--admin-port'),
  ];
}

/** Pins the pods' host key, so that no command asks a question or touches the newcomer's own known_hosts. */
const sshConfig = (directory: string, sshPort: number): string => `Host portico-demo
  HostName 127.0.0.1
  Port ${sshPort}
  User git

Host *
  UserKnownHostsFile "${join(directory, 'known_hosts')}"
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
  LogLevel ERROR
`;
