// The wires of the world: namespaces for the edge, each node and each pod, their links, routes and neighbours.

import { spawn } from 'node:child_process';
import { runProgram } from '../clients.ts';

/** The edge's own address on the bridge: the API server, and the source of everything that Portico sends. */
export const EDGE_ADDRESS = '10.240.0.1';
/** All pods of all nodes. */
export const POD_RANGE = '10.244.0.0/16';
const EDGE_INDEX = 0;

export interface NetworkPrograms {
  readonly ip: string;
  readonly nft: string;
  readonly nsenter: string;
}

/** A machine: its place in every address and name. */
export interface NodePlace {
  readonly name: string;
  /** 1 and up: 10.240.0.(10 + index), pods in 10.244.index.0/24. */
  readonly index: number;
  readonly address: string;
  readonly namespace: string;
}

/** Names of a run: two runs at a time, or one that was killed, must not meet. */
export function namespacePrefix(run: string): string {
  return `portico-${run}-`;
}

export function nodeAddress(index: number): string {
  return `10.240.0.${10 + index}`;
}

/** Nodes answer from these whatever the pod: the address of the machine, or that of its pod network's gateway. */
export function nodeIndexOf(address: string): number | null {
  const machine = /(?:^|:)10\.240\.0\.(\d+)$/.exec(address)?.[1];
  if (machine !== undefined) {
    const index = Number(machine) - 10;
    return index > 0 ? index : null;
  }
  const gateway = /(?:^|:)10\.244\.(\d+)\.1$/.exec(address)?.[1];
  return gateway === undefined ? null : Number(gateway);
}

/** Fixed for each place, so that neighbours can be written down once: a dead machine then answers nothing, not even ARP. */
function hardwareAddress(index: number): string {
  return `02:00:0a:f0:00:${(10 + index).toString(16).padStart(2, '0')}`;
}

export class Network {
  readonly #programs: NetworkPrograms;
  readonly #prefix: string;
  readonly #nodes = new Map<number, NodePlace>();
  #pods = 0;
  #adding: Promise<void> = Promise.resolve();

  /** The process must already be in the edge's namespace. */
  constructor(programs: NetworkPrograms, run: string) {
    this.#programs = programs;
    this.#prefix = namespacePrefix(run);
  }

  /** The edge's side: loopback, and the bridge that stands for the machines' switch. */
  async start(): Promise<void> {
    await this.#sysctl(null, ['net/ipv4/conf/all/rp_filter=0', 'net/ipv6/conf/all/disable_ipv6=1']);
    await this.ip([
      'link set lo up',
      'link add br0 type bridge',
      `link set br0 address ${hardwareAddress(EDGE_INDEX)} up`,
      `addr add ${EDGE_ADDRESS}/24 dev br0`,
    ]);
  }

  /** A machine on the bridge, reachable from the edge and from all others; its pods are routed through it. */
  async addNode(name: string, index: number): Promise<NodePlace> {
    // One after another: each must know the ways to all that were there before.
    const previous = this.#adding;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#adding = promise;
    await previous;
    try {
      return await this.#addNode(name, index);
    } finally {
      resolve();
    }
  }

  async #addNode(name: string, index: number): Promise<NodePlace> {
    const namespace = `${this.#prefix}${name}`;
    const place = { name, index, address: nodeAddress(index), namespace };
    const others = [...this.#nodes.values()];
    await this.ip([
      `netns add ${namespace}`,
      `link add n${index} type veth peer name eth0 netns ${namespace}`,
      `link set n${index} master br0 up`,
      `neigh replace ${place.address} lladdr ${hardwareAddress(index)} dev br0 nud permanent`,
    ]);
    await this.#sysctl(namespace, [
      'net/ipv4/ip_forward=1',
      'net/ipv4/conf/all/rp_filter=0',
      'net/ipv4/conf/default/rp_filter=0',
      'net/ipv6/conf/all/disable_ipv6=1',
    ]);
    await this.ipIn(namespace, [
      'link set lo up',
      `link set eth0 address ${hardwareAddress(index)} up`,
      `addr add ${place.address}/24 dev eth0`,
      `neigh replace ${EDGE_ADDRESS} lladdr ${hardwareAddress(EDGE_INDEX)} dev eth0 nud permanent`,
      ...others.flatMap((other) => this.#wayTo(other)),
    ]);
    for (const other of others) {
      await this.ipIn(other.namespace, this.#wayTo(place));
    }
    this.#nodes.set(index, place);
    return place;
  }

  /** The machine and everything in its namespace is gone; end its processes first. */
  async removeNode(place: NodePlace): Promise<void> {
    this.#nodes.delete(place.index);
    await this.ip([`link del n${place.index}`, `netns del ${place.namespace}`]);
  }

  /** Pulls the machine's cable, or plugs it in: nothing passes, and nobody is told. */
  async setCable(place: NodePlace, plugged: boolean): Promise<void> {
    await this.ip([`link set n${place.index} ${plugged ? 'up' : 'down'}`]);
  }

  /** A namespace behind the node with an address of its own. */
  async addPod(place: NodePlace): Promise<{ readonly namespace: string; readonly address: string }> {
    const number = this.#pods++;
    const address = `10.244.${place.index}.${10 + (number % 240)}`;
    const namespace = `${this.#prefix}pod-${number}`;
    const gateway = `10.244.${place.index}.1`;
    await this.ip([`netns add ${namespace}`]);
    await this.ipIn(place.namespace, [
      `link add p${number} type veth peer name eth0 netns ${namespace}`,
      `link set p${number} up`,
      `addr add ${gateway}/32 dev p${number}`,
      `route replace ${address}/32 dev p${number}`,
    ]);
    await this.#sysctl(namespace, ['net/ipv6/conf/all/disable_ipv6=1']);
    await this.ipIn(namespace, [
      'link set lo up',
      `addr add ${address}/32 dev eth0`,
      'link set eth0 up',
      `route add ${gateway}/32 dev eth0`,
      `route add default via ${gateway}`,
    ]);
    return { namespace, address };
  }

  async removeNamespace(namespace: string): Promise<void> {
    await this.ip([`netns del ${namespace}`]);
  }

  /** Words in front of a command that is to run in the namespace: same pid, same files, another network. */
  enter(namespace: string): readonly string[] {
    return [this.#programs.nsenter, `--net=/run/netns/${namespace}`, '--'];
  }

  /** Applies firewall rules, in a namespace or (null) at the edge. */
  async nft(namespace: string | null, rules: string): Promise<void> {
    await feed([...this.#prefixed(namespace), this.#programs.nft, '-f', '-'], rules);
  }

  async ip(lines: readonly string[]): Promise<void> {
    await feed([this.#programs.ip, '-batch', '-'], `${lines.join('\n')}\n`);
  }

  async ipIn(namespace: string, lines: readonly string[]): Promise<void> {
    await feed([...this.#prefixed(namespace), this.#programs.ip, '-batch', '-'], `${lines.join('\n')}\n`);
  }

  #prefixed(namespace: string | null): readonly string[] {
    return namespace === null ? [] : this.enter(namespace);
  }

  #wayTo(other: NodePlace): string[] {
    return [
      `neigh replace ${other.address} lladdr ${hardwareAddress(other.index)} dev eth0 nud permanent`,
      `route replace 10.244.${other.index}.0/24 via ${other.address}`,
    ];
  }

  async #sysctl(namespace: string | null, settings: readonly string[]): Promise<void> {
    const script = settings.map((line) => line.replace(/^(.*)=(.*)$/, 'echo $2 >/proc/sys/$1')).join('\n');
    await feed([...this.#prefixed(namespace), 'sh', '-e'], `${script}\n`);
  }
}

/** Runs a command with text as its standard input; throws with what it printed when it fails. */
async function feed(command: readonly string[], input: string): Promise<void> {
  const child = spawn(command[0]!, command.slice(1), { stdio: ['pipe', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    complaint += chunk;
  });
  // A command that ends before it has read everything breaks the pipe: its exit code tells.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) {
    throw new Error(`${command.join(' ')} ended with ${code}: ${complaint.trim()}\n${input}`);
  }
}

/** Ends what still runs in the namespaces of a run, and removes them; answers how many there were. */
export async function sweep(ip: string, prefix: string): Promise<number> {
  const { stdout } = await runProgram(ip, ['netns', 'list']);
  const names = stdout
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => name.startsWith(prefix));
  for (const name of names) {
    const pids = (await runProgram(ip, ['netns', 'pids', name])).stdout
      .split('\n')
      .filter(Boolean)
      .map(Number);
    for (const pid of pids) {
      if (pid === process.pid) continue;
      try {
        process.kill(pid, 'SIGKILL');
      } catch (error) {
        // It ended by itself since it was listed.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
    await runProgram(ip, ['netns', 'del', name]);
  }
  return names.length;
}
