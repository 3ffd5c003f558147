// A process that listens for Node's inspector: asked for a CPU profile over the Chrome DevTools Protocol.

import type { CpuProfile } from './call-tree.ts';

const LISTENING = /Debugger listening on (ws:\/\/\S+)/g;

/** Addresses of inspectors, from what the processes have said on standard error. */
export const inspectorsIn = (errors: string): readonly string[] =>
  [...errors.matchAll(LISTENING)].map(([, address]) => address!);

const GONE = 'the inspected process is gone';

interface Answer {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

export class Inspector {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => this.#onAnswer(JSON.parse(String(data)) as Answer));
    socket.addEventListener('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error(GONE));
    });
  }

  /** @throws Error when nothing listens there */
  static async connect(address: string): Promise<Inspector> {
    const socket = new WebSocket(address);
    const opened = Promise.withResolvers<void>();
    socket.addEventListener('open', () => opened.resolve());
    socket.addEventListener('error', () => opened.reject(new Error(`no inspector at ${address}`)));
    await opened.promise;
    return new Inspector(socket);
  }

  /** The command line that the process was started with. */
  async parameters(): Promise<readonly string[]> {
    const expression = 'JSON.stringify(process.argv)';
    const answer = await this.#ask<{ result: { value: string } }>('Runtime.evaluate', { expression });
    return JSON.parse(answer.result.value) as string[];
  }

  /** @param intervalUs from sample to sample */
  async startProfile(intervalUs: number): Promise<void> {
    await this.#ask('Profiler.enable');
    await this.#ask('Profiler.setSamplingInterval', { interval: intervalUs });
    await this.#ask('Profiler.start');
  }

  async stopProfile(): Promise<CpuProfile> {
    return (await this.#ask<{ profile: CpuProfile }>('Profiler.stop')).profile;
  }

  close(): void {
    this.#socket.close();
  }

  async #ask<T>(method: string, params: object = {}): Promise<T> {
    if (this.#socket.readyState !== WebSocket.OPEN) throw new Error(GONE);
    this.#lastId += 1;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(this.#lastId, waiting);
    this.#socket.send(JSON.stringify({ id: this.#lastId, method, params }));
    return (await waiting.promise) as T;
  }

  #onAnswer({ id, result, error }: Answer): void {
    // What has no id is an event, and none was asked for.
    const waiting = this.#waiting.get(id ?? 0);
    if (waiting === undefined) return;
    this.#waiting.delete(id!);
    if (error === undefined) waiting.resolve(result);
    else waiting.reject(new Error(error.message));
  }
}
