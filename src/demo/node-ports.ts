// A node's open ports, as kube-proxy and the kubelet would have them: sockets that end when the node does.

import { createServer, type Server, type Socket } from 'node:net';
import { isAddressInUse, type Listening, listen } from './listening.ts';

/** One address:port with every connection that came in by it. */
export class NodePort {
  readonly address: string;
  readonly port: number;
  readonly #sockets = new Set<Socket>();
  readonly #onSocket: (socket: Socket) => void;
  #listening: Listening | null;

  private constructor(address: string, port: number, onSocket: (socket: Socket) => void) {
    this.address = address;
    this.port = port;
    this.#onSocket = onSocket;
    this.#listening = null;
  }

  static async open(address: string, port: number, onSocket: (socket: Socket) => void): Promise<NodePort> {
    const nodePort = new NodePort(address, port, onSocket);
    await nodePort.reopen();
    return nodePort;
  }

  /** Listens again after `close`. Rejects when someone else has taken the port meanwhile. */
  async reopen(): Promise<void> {
    if (this.#listening !== null) return;
    this.#listening = await listen(this.#server(), this.address, this.port);
  }

  /** Stops listening and resets what is connected, as a dead machine would once someone asks it. */
  async close(): Promise<void> {
    const listening = this.#listening;
    this.#listening = null;
    const closed = listening?.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  #server(): Server {
    return createServer((socket) => {
      this.#sockets.add(socket);
      // A client that goes away is no event here: the socket closes, and that is all there is to know.
      socket.on('error', () => {});
      socket.once('close', () => this.#sockets.delete(socket));
      this.#onSocket(socket);
    });
  }
}

/** Node ports are taken from the range that Kubernetes reserves for them. */
const FIRST = 30_000;
const COUNT = 2768;
const ATTEMPTS = 100;

/**
 * Opens the same port on every address: the wanted one if all have it free, else one at random.
 * @param random numbers in [0, 1)
 */
export async function openEverywhere(
  addresses: readonly string[],
  wanted: number | null,
  random: () => number,
  onSocket: (address: string, socket: Socket) => void,
): Promise<readonly NodePort[]> {
  for (let attempt = 0; ; attempt++) {
    const port = attempt === 0 && wanted !== null ? wanted : FIRST + Math.floor(random() * COUNT);
    const open: NodePort[] = [];
    try {
      for (const address of addresses) {
        open.push(await NodePort.open(address, port, (socket) => onSocket(address, socket)));
      }
      return open;
    } catch (error) {
      await Promise.all(open.map((nodePort) => nodePort.close()));
      if (!isAddressInUse(error) || attempt >= ATTEMPTS) throw error;
    }
  }
}
