// The peers in the same world: HAProxy twice and Traefik, each a process of its own user, and clients that ask all three.

import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { requirePeers } from '../../support/peers.ts';
import { requireTraefik } from '../../support/traefik.ts';
import { awaitReady, type Child, startChild } from '../child.ts';
import { type Client, type Edge, keepAliveClient, streamClient } from '../clients.ts';
import { cloneClient, greet, greetingClient, type SshEdge, writeKnownHosts } from '../clients-ssh.ts';
import { webSocketClient } from '../clients-websocket.ts';
import { freshConnectionClient, once } from './fresh-client.ts';
import { haproxyByHand, haproxyStatic, type PeerPorts } from './peers-haproxy.ts';
import { traefikCommand } from './peers-traefik.ts';
import { TimedLedger } from './timed-ledger.ts';

export interface Peer {
  /** Heads its column, and is what its requests carry as `X-Balancer`. */
  readonly name: string;
  /** The user that it runs as, and the mark of its connections at the packet watcher. */
  readonly uid: number;
  readonly port: number;
  readonly sshPort: number;
}

export const PEERS = [
  { name: 'HAProxy by hand', uid: 61_901, port: 8090, sshPort: 8190 },
  { name: 'HAProxy static', uid: 61_902, port: 8091, sshPort: 8191 },
  { name: 'Traefik nodePortLB', uid: 61_903, port: 8092, sshPort: 8192 },
] as const satisfies readonly Peer[];

export interface PeerWorld {
  readonly directory: string;
  readonly nodes: readonly string[];
  readonly ports: PeerPorts;
  readonly host: string;
  /** Of the API server, with an administrator's credentials. */
  readonly kubeconfig: string;
  /** Through which the clients of each peer ask for ssh, with a key of their own. */
  readonly sshEdges: readonly SshEdge[];
}

/** Slower than Portico's own clients: there are three of them, and the machine is one. */
const PAUSE_MS = 60;
const SESSION_PAUSE_MS = 1500;
const CLONE_PAUSE_MS = 1500;
/** An address from which nothing else is asked. */
const FIRST_SOURCE = '127.0.1.100';

export class RunningPeers {
  readonly ledgers: readonly TimedLedger[] = PEERS.map(() => new TimedLedger());
  readonly #children: readonly Child[];
  readonly #clients: readonly Client[];

  private constructor(children: readonly Child[], { host, sshEdges }: PeerWorld) {
    this.#children = children;
    this.#clients = PEERS.flatMap(({ port }, index) =>
      clientsOf({ address: '127.0.0.1', port, host }, sshEdges[index]!, this.ledgers[index]!),
    );
  }

  static async start(world: PeerWorld): Promise<RunningPeers> {
    const { haproxy, setpriv } = requirePeers(['haproxy', 'setpriv']);
    const traefik = await requireTraefik(() => {});
    const directory = path.join(world.directory, 'peers');
    await mkdir(directory, { recursive: true });
    // Each peer reads its files as its own user.
    await chmod(world.directory, 0o711);
    const [hand, plain, third] = PEERS;
    await writeFile(path.join(directory, 'hand.cfg'), haproxyByHand(hand, world.nodes, world.ports));
    await writeFile(path.join(directory, 'static.cfg'), haproxyStatic(plain, world.nodes, world.ports));
    const commands: readonly (readonly string[])[] = [
      [haproxy, '-db', '-f', path.join(directory, 'hand.cfg')],
      [haproxy, '-db', '-f', path.join(directory, 'static.cfg')],
      await traefikCommand(traefik, third, directory, await credentialsOf(world.kubeconfig)),
    ];
    const children = commands.map((command, index) => {
      const { name, uid } = PEERS[index]!;
      return startChild({
        name,
        command: setpriv,
        parameters: [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', ...command],
        logPath: path.join(directory, `${index}.log`),
        // Traefik would take it for its own.
        environment: { KUBECONFIG: '' },
        directory,
      });
    });
    try {
      for (const [index, child] of children.entries()) {
        await awaitAnswers(child, PEERS[index]!, world.host, world.sshEdges[index]!);
      }
    } catch (error) {
      await Promise.all(children.map((child) => child.stop('SIGKILL')));
      throw error;
    }
    return new RunningPeers(children, world);
  }

  /** "3 failed of 812" for each, every kind of client counted. */
  since(atMs: number): readonly string[] {
    return this.ledgers.map((ledger) => {
      const failed = ledger.failures.filter((failure) => failure.atMs >= atMs).length;
      return `${failed} failed of ${failed + ledger.between(atMs, Infinity, () => true).length}`;
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.stop()));
    await Promise.all(this.#children.map((child) => child.stop('SIGKILL')));
  }
}

/** Both routes are answered by a pod, and so is ssh. */
async function awaitAnswers(child: Child, { port }: Peer, host: string, ssh: SshEdge): Promise<void> {
  await writeKnownHosts(ssh);
  await awaitReady(child, 40_000, async () => {
    const answers = await Promise.all([
      ...['/', '/api/items'].map((at) => once({ address: '127.0.0.1', port, host }, at).catch(() => null)),
      greet(ssh, FIRST_SOURCE).catch(() => null),
    ]);
    return answers.every((answer) => answer !== null);
  });
}

function clientsOf(edge: Edge, ssh: SshEdge, ledger: TimedLedger): readonly Client[] {
  return [
    keepAliveClient(ledger, 'keep-alive GET /', edge, '/', 'GET', PAUSE_MS),
    keepAliveClient(ledger, 'keep-alive GET /api', edge, '/api/items', 'GET', PAUSE_MS),
    keepAliveClient(ledger, 'keep-alive POST /', edge, '/', 'POST', 200),
    keepAliveClient(ledger, 'keep-alive POST /api', edge, '/api/items', 'POST', 200),
    freshConnectionClient(ledger, 'new connection GET /', edge, '/', PAUSE_MS),
    freshConnectionClient(ledger, 'new connection GET /api', edge, '/api/items', PAUSE_MS),
    streamClient(ledger, 'slow stream /', edge, 4),
    webSocketClient(ledger, 'websocket /', edge, 200, 6000),
    greetingClient(ledger, 'ssh session', ssh, SESSION_PAUSE_MS),
    cloneClient(ledger, 'slow git clone', ssh, 'slow.git', CLONE_PAUSE_MS),
  ];
}

async function credentialsOf(
  kubeconfig: string,
): Promise<{ readonly server: string; readonly authority: string; readonly token: string }> {
  const content = JSON.parse(await readFile(kubeconfig, 'utf8')) as {
    clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
    users: { user: { token: string } }[];
  };
  const { cluster } = content.clusters[0]!;
  const authority = Buffer.from(cluster['certificate-authority-data'], 'base64').toString();
  return { server: cluster.server, authority, token: content.users[0]!.user.token };
}
