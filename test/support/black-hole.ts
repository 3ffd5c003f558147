// An address of loopback that answers no connection attempt: its queue of accepted connections is full and stays so.

import { once } from 'node:events';
import net from 'node:net';
import { Worker } from 'node:worker_threads';

/** Listens with the shortest queue, says where, and then never gets back to its event loop. */
const HOLDER = `
const { parentPort } = require('node:worker_threads');
const server = require('node:net').createServer();
server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
  parentPort.postMessage(server.address().port);
  setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
});`;

export class BlackHole {
  readonly at: string;
  readonly #holder: Worker;
  readonly #fillers: readonly net.Socket[];

  private constructor(port: number, holder: Worker, fillers: readonly net.Socket[]) {
    this.at = `127.0.0.1:${port}`;
    this.#holder = holder;
    this.#fillers = fillers;
  }

  static async open(): Promise<BlackHole> {
    const holder = new Worker(HOLDER, { eval: true });
    const [port] = (await once(holder, 'message')) as [number];
    // Linux lets one more in than the backlog says; a SYN that finds the queue full is dropped without an answer.
    const fillers = Array.from({ length: 4 }, () => net.connect({ host: '127.0.0.1', port }));
    for (const filler of fillers) filler.on('error', () => {});
    await Promise.all(fillers.slice(0, 2).map((filler) => once(filler, 'connect')));
    return new BlackHole(port, holder, fillers);
  }

  async close(): Promise<void> {
    const closed = this.#fillers.map((filler) => once(filler, 'close'));
    for (const filler of this.#fillers) filler.destroy();
    await Promise.all(closed);
    await this.#holder.terminate();
  }
}
