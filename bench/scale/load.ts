// Requests at a fixed rate over a few kept connections, each timed from when it was due: a pause of the proxy counts for
// every request that had to wait.

import net from 'node:net';
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import process from 'node:process';

export type LoadCommand = { readonly kind: 'report' };

export interface LoadReport {
  readonly requests: number;
  readonly failures: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

const CONNECTIONS = 16;
const TICK_MS = 2;

class Lane {
  readonly #port: number;
  readonly #onAnswer: (dueAtMs: number, ok: boolean) => void;
  readonly #due: number[] = [];
  #socket: net.Socket | null = null;
  #received = '';

  constructor(port: number, onAnswer: (dueAtMs: number, ok: boolean) => void) {
    this.#port = port;
    this.#onAnswer = onAnswer;
  }

  /** Pipelined: a request does not wait for the answer to the one before. */
  send(host: string, dueAtMs: number): void {
    this.#socket ??= this.#open();
    this.#due.push(dueAtMs);
    this.#socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  }

  #open(): net.Socket {
    const socket = net.connect(this.#port, '127.0.0.1');
    socket.setNoDelay(true);
    socket.setEncoding('latin1').on('data', (text: string) => this.#read(text));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#socket = null;
      this.#received = '';
      for (const dueAtMs of this.#due.splice(0)) this.#onAnswer(dueAtMs, false);
    });
    return socket;
  }

  #read(text: string): void {
    this.#received += text;
    for (;;) {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = this.#received.slice(0, end);
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (this.#received.length < end + 4 + length) return;
      this.#received = this.#received.slice(end + 4 + length);
      const dueAtMs = this.#due.shift();
      if (dueAtMs !== undefined) this.#onAnswer(dueAtMs, head.startsWith('HTTP/1.1 200'));
    }
  }
}

const [portText = '0', rateText = '0', ...hosts] = process.argv.slice(2);
let histogram: RecordableHistogram = createHistogram();
let failures = 0;
const onAnswer = (dueAtMs: number, ok: boolean): void => {
  if (!ok) failures += 1;
  histogram.record(Math.max(1, Math.round((performance.now() - dueAtMs) * 1e6)));
};
const lanes = Array.from({ length: CONNECTIONS }, () => new Lane(Number(portText), onAnswer));
const intervalMs = 1000 / Number(rateText);
let nextAtMs = performance.now();
let sent = 0;
setInterval(() => {
  for (const nowMs = performance.now(); nextAtMs <= nowMs; nextAtMs += intervalMs) {
    lanes[sent % lanes.length]!.send(hosts[Math.floor(sent / lanes.length) % hosts.length]!, nextAtMs);
    sent += 1;
  }
}, TICK_MS);
process.on('message', () => {
  const ms = (percentile: number): number => histogram.percentile(percentile) / 1e6;
  const report: LoadReport = {
    requests: histogram.count,
    failures,
    p50Ms: ms(50),
    p99Ms: ms(99),
    p999Ms: ms(99.9),
    maxMs: histogram.count === 0 ? 0 : histogram.max / 1e6,
  };
  histogram = createHistogram();
  failures = 0;
  process.send?.(report);
});
process.on('disconnect', () => process.exit(0));
