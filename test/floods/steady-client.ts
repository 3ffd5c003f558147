// A well-behaved client in a process of its own: a fixed rate over kept connections, its latencies and its errors.
// usage: node test/floods/steady-client.ts PORT RATE   (over IPC: a message ends a stage, whose figures are the answer)

import net from 'node:net';
import process from 'node:process';
import type { StageFigures } from './figures.ts';
import { latenciesOf } from './figures.ts';

const [port, rate] = process.argv.slice(2).map(Number) as [number, number];
const CONNECTIONS = 16;
/** Not an address that floods. */
const FROM = '127.0.0.2';
const REQUEST = 'GET /steady HTTP/1.1\r\nHost: steady\r\n\r\n';
const PATIENCE_MS = 10_000;

/** When each request that waits for a connection should have gone out: time in this queue is latency. */
const waiting: number[] = [];
const free: Connection[] = [];
let latencies: number[] = [];
let errors: string[] = [];

class Connection {
  readonly #socket: net.Socket;
  #received = '';
  #dueAtMs = 0;
  #busy = false;

  constructor() {
    this.#socket = net.connect({ host: '127.0.0.1', port, localAddress: FROM, noDelay: true });
    this.#socket.setEncoding('latin1');
    this.#socket.once('connect', () => this.#free());
    this.#socket.on('data', (text: string) => this.#onText(text));
    this.#socket.on('error', () => {});
    this.#socket.on('timeout', () => {
      errors.push('no answer');
      this.#busy = false;
      this.#socket.destroy();
    });
    this.#socket.once('close', () => this.#onClose());
  }

  send(dueAtMs: number): void {
    this.#busy = true;
    this.#dueAtMs = dueAtMs;
    this.#socket.setTimeout(PATIENCE_MS);
    this.#socket.write(REQUEST);
  }

  #onText(text: string): void {
    this.#received += text;
    if (!this.#received.endsWith('\r\n\r\nok')) {
      if (!this.#received.startsWith('HTTP/1.1 200')) {
        errors.push(this.#received.slice(0, this.#received.indexOf('\r\n')));
        this.#busy = false;
        this.#socket.destroy();
      }
      return;
    }
    const mustClose = /\r\nconnection: close\r\n/i.test(this.#received);
    this.#received = '';
    this.#busy = false;
    this.#socket.setTimeout(0);
    latencies.push(performance.now() - this.#dueAtMs);
    if (mustClose) this.#socket.end();
    else this.#free();
  }

  #free(): void {
    const next = waiting.shift();
    if (next === undefined) free.push(this);
    else this.send(next);
  }

  #onClose(): void {
    const index = free.indexOf(this);
    if (index !== -1) free.splice(index, 1);
    if (this.#busy) errors.push('closed under a request');
    if (!stopping) setTimeout(() => new Connection(), 10);
  }
}

let stopping = false;
for (let index = 0; index < CONNECTIONS; index += 1) new Connection();
let nextAtMs = performance.now() + 500;
setInterval(() => {
  const nowMs = performance.now();
  // Requests that are late go out late with the time that they were due: a stall is measured by every one of them.
  for (; nextAtMs <= nowMs; nextAtMs += 1000 / rate) {
    const connection = free.shift();
    if (connection === undefined) waiting.push(nextAtMs);
    else connection.send(nextAtMs);
  }
}, 1);

process.on('message', () => {
  const nowMs = performance.now();
  // What is still waiting has waited for at least so long.
  const figures: StageFigures = {
    ...latenciesOf([...latencies, ...waiting.map((dueAtMs) => nowMs - dueAtMs)]),
    errors,
  };
  latencies = [];
  errors = [];
  process.send!(figures);
});
process.once('disconnect', () => {
  stopping = true;
  process.exit(0);
});
