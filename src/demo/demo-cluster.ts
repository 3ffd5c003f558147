// The embedded cluster: the stand-in API, nodes on loopback addresses with real backends, and a remote control.

import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { startApiServer } from './api/api-server.ts';
import { ObjectStore } from './api/object-store.ts';
import { startControlServer } from './control-server.ts';
import { createDemoRepository } from './demo-repository.ts';
import { createHostKey } from './host-key.ts';
import { SshPods } from './ssh-pods.ts';
import { World } from './world.ts';

export interface DemoClusterOptions {
  /** An existing directory of the demo's own, for the git repository. */
  readonly directory: string;
  /** `process.platform`: only on Linux has every address of 127.0.0.0/8 an interface. */
  readonly platform: string;
  /** The PATH on which git is looked for. */
  readonly path: string | undefined;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  /** The time, epoch milliseconds. */
  readonly now: () => number;
  /** Port of the remote control; 0, the default, takes a free one. */
  readonly controlPort?: number;
}

export interface DemoCluster {
  readonly nodes: readonly string[];
  /** True when `git clone` works: this machine has git. */
  readonly hasGit: boolean;
  readonly apiUrl: string;
  readonly controlUrl: string;
  readonly kubeProxyPort: number;
  /** Text of a kubeconfig file for the API, as JSON, which is YAML too. */
  readonly kubeconfig: string;
  /** `ecdsa-sha2-nistp256 AAAA...`, the key of every SSH pod. */
  readonly hostPublicKey: string;
  readonly world: World;
  readonly store: ObjectStore;
  /** Ends every socket and child process; resolves when they are gone. */
  close(): Promise<void>;
}

/** Where nodes live: three addresses on Linux; elsewhere one, since a NodePort needs the same port on every node. */
export const nodeAddresses = (platform: string): readonly string[] =>
  platform === 'linux' ? ['127.0.0.11', '127.0.0.12', '127.0.0.13'] : ['127.0.0.1'];

/** Starts everything; on failure nothing is left behind. */
export async function createDemoCluster(options: DemoClusterOptions): Promise<DemoCluster> {
  const cleanUps: (() => Promise<void> | void)[] = [];
  const abort = new AbortController();
  const close = async (): Promise<void> => {
    abort.abort();
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  };
  try {
    const repository = await createDemoRepository(options.directory, options.path);
    const hostKey = createHostKey();
    const sshPods = new SshPods({ hostKey: hostKey.private, repository });
    cleanUps.push(() => sshPods.close());
    const store = new ObjectStore({ uid: randomUUID, now: options.now });
    const sleep = async (ms: number): Promise<void> => {
      // An abort means that the demo ends: the roll then runs to its end without waiting.
      await delay(ms, undefined, { signal: abort.signal }).catch(() => undefined);
    };
    const addresses = nodeAddresses(options.platform);
    const world = await World.create({ store, sshPods, addresses, random: options.random, sleep });
    cleanUps.push(() => world.close());
    const api = await startApiServer({ store, now: options.now });
    cleanUps.push(() => api.close());
    const control = await startControlServer(world, options.controlPort ?? 0);
    cleanUps.push(() => control.close());
    return {
      nodes: world.nodeNames,
      hasGit: repository !== null,
      apiUrl: api.url,
      controlUrl: control.url,
      kubeProxyPort: world.kubeProxyPort,
      kubeconfig: kubeconfigOf(api.url),
      hostPublicKey: hostKey.public,
      world,
      store,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function kubeconfigOf(server: string): string {
  const name = 'portico-demo';
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server } }],
    users: [{ name, user: {} }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
