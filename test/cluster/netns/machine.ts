// A machine of the world: it registers as a kubelet does, and runs a real kube-proxy.

import path from 'node:path';
import { type Child, startChild, until } from '../child.ts';
import { runProgram } from '../clients.ts';
import { RUN_LABEL, readyCondition } from '../objects.ts';
import type { SshFixture } from '../sshd.ts';
import type { Api } from './api.ts';
import type { ArrivalLog } from './arrivals.ts';
import { type Network, type NodePlace, POD_RANGE } from './network.ts';

const READY_LIMIT_MS = 15_000;
export const KUBE_PROXY_PORT = 10_256;

export interface KubeletContext {
  readonly network: Network;
  readonly api: Api;
  readonly arrivals: ArrivalLog;
  readonly directory: string;
  /** The `kube` binary and a kubeconfig that kube-proxy may use. */
  readonly kube: string;
  readonly kubeconfig: string;
  readonly run: string;
  readonly ssh: SshFixture;
  /** Balancers by the fingerprint of the key that their ssh clients have; all others come through Portico. */
  readonly sshClients: Map<string, string>;
  readonly curl: string;
}

/** A machine with a real kube-proxy. */
export class Machine {
  readonly place: NodePlace;
  readonly #context: KubeletContext;
  #proxy: Child | null = null;

  private constructor(place: NodePlace, context: KubeletContext) {
    this.place = place;
    this.#context = context;
  }

  /** Its network, its Node object, and its kube-proxy, ready. */
  static async start(context: KubeletContext, name: string, index: number): Promise<Machine> {
    const machine = new Machine(await context.network.addNode(name, index), context);
    await machine.register();
    await machine.startProxy();
    return machine;
  }

  get name(): string {
    return this.place.name;
  }

  /** Writes the Node object as a kubelet does. */
  async register(): Promise<void> {
    const { name, address } = this.place;
    await this.#context.api.create('/api/v1/nodes', {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name, labels: { 'kubernetes.io/hostname': name, [RUN_LABEL]: this.#context.run } },
      status: {
        addresses: [
          { type: 'InternalIP', address },
          { type: 'Hostname', address: name },
        ],
        conditions: [readyCondition('True')],
      },
    });
  }

  async unregister(): Promise<void> {
    await this.#context.api.delete(`/api/v1/nodes/${this.name}`, 0);
  }

  async setReady(status: 'True' | 'False' | 'Unknown'): Promise<void> {
    const patch = { status: { conditions: [readyCondition(status)] } };
    await this.#context.api.patch(`/api/v1/nodes/${this.name}/status`, patch);
  }

  async startProxy(): Promise<void> {
    const { network, kube, kubeconfig, directory, curl } = this.#context;
    const [command, ...words] = network.enter(this.place.namespace);
    this.#proxy = startChild({
      name: `kube-proxy ${this.name}`,
      command: command!,
      parameters: [
        ...words,
        kube,
        'kube-proxy',
        '--proxy-mode=nftables',
        `--hostname-override=${this.name}`,
        `--kubeconfig=${kubeconfig}`,
        `--cluster-cidr=${POD_RANGE}`,
        // The limits of the machine's connection tracking are not a namespace's to set.
        '--conntrack-max-per-core=0',
        '--conntrack-min=0',
        '--conntrack-tcp-timeout-established=0',
        '--conntrack-tcp-timeout-close-wait=0',
        `--healthz-bind-address=0.0.0.0:${KUBE_PROXY_PORT}`,
        '--metrics-bind-address=127.0.0.1:10249',
      ],
      logPath: path.join(directory, `kube-proxy-${this.name}.log`),
    });
    const url = `http://${this.place.address}:${KUBE_PROXY_PORT}/healthz`;
    const question = [
      '--silent',
      '--output',
      '/dev/null',
      '--max-time',
      '1',
      '--write-out',
      '%{http_code}',
      url,
    ];
    await until(
      `kube-proxy on ${this.name}`,
      READY_LIMIT_MS,
      async () => {
        if (this.#proxy?.ended() !== null) {
          throw new Error(`kube-proxy on ${this.name} ended: ${this.#proxy?.ended()}`);
        }
        const { stdout } = await runProgram(curl, question);
        return stdout === '200' ? true : undefined;
      },
      200,
    );
  }

  async stopProxy(): Promise<void> {
    await this.#proxy?.stop('SIGKILL');
    this.#proxy = null;
  }

  /** It is switched on again: its kube-proxy begins anew and is not behind the API. */
  async boot(): Promise<void> {
    await this.stopProxy();
    await this.#context.network.setCable(this.place, true);
    await this.startProxy();
  }

  /** The same machine and network, registered under another name by a kubelet and kube-proxy that were set up anew. */
  async rename(name: string): Promise<Machine> {
    await this.stopProxy();
    const machine = new Machine({ ...this.place, name }, this.#context);
    await machine.register();
    await machine.startProxy();
    return machine;
  }

  /** Power off: its kube-proxy and its network are no more. Its pods must have been ended or lost before. */
  async scrap(): Promise<void> {
    await this.stopProxy();
    await this.#context.network.removeNode(this.place);
  }
}
