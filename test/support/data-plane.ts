// A real worker in this process with real sockets, and raw peers on both sides of it.

import assert from 'node:assert/strict';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import net from 'node:net';
import process from 'node:process';
import { setImmediate as turn } from 'node:timers/promises';
import type { Logger } from 'pino';
import { pino } from 'pino';
import type { SupervisorToWorker, WorkerToController, WorkerToSupervisor } from '../../src/model/messages.ts';
import { NO_SECRETS, type Secrets } from '../../src/model/secrets.ts';
import type { Snapshot } from '../../src/model/snapshot.ts';
import { loadPoller } from '../../src/proxy/wire/epoll/load-poller.ts';
import { loadTls } from '../../src/proxy/wire/epoll/tls.ts';
import { OWNER } from '../../src/proxy/wire/socket-handle.ts';
import { loadTcpBinding } from '../../src/proxy/wire/tcp-binding.ts';
import { TcpSocket } from '../../src/proxy/wire/tcp-socket.ts';
import type { WireSocket } from '../../src/proxy/wire/wire.ts';
import { Worker, type WorkerEnvironment } from '../../src/proxy/worker.ts';
import { encodeDifference, encodeWhole } from '../../src/snapshot/encode.ts';
import { freePort } from './free-port.ts';
import { serverHandle } from './server-handle.ts';

export type DataPlaneOptions = Partial<
  Pick<WorkerEnvironment, 'descriptorLimit' | 'random' | 'resolveName' | 'tcp'>
>;

/** A worker that serves `snapshot`; what it says to the controller is kept. */
export class DataPlane {
  readonly said: WorkerToController[] = [];
  readonly ports = new Map<string, number>();
  readonly worker: Worker;
  /** What the worker takes for its resident memory. */
  residentBytes = 1;
  /** How often it has asked for what the supervisor keeps. */
  missed = 0;
  /** How often it has asked for a collection of garbage. */
  collections = 0;
  exited: Promise<number>;
  #exit!: (code: number) => void;
  #skippedMs = 0;
  #frozenAtMs: number | null = null;
  #clockReads = 0;

  constructor(log: Logger = pino({ level: 'silent' }), options: DataPlaneOptions = {}) {
    this.exited = new Promise((resolve) => {
      this.#exit = resolve;
    });
    this.worker = new Worker({
      log,
      now: () => {
        this.#clockReads += 1;
        return (this.#frozenAtMs ?? performance.now()) + this.#skippedMs;
      },
      wallClock: () => Date.now(),
      random: options.random ?? Math.random,
      residentBytes: () => this.residentBytes,
      collectGarbage: () => {
        this.collections += 1;
      },
      send: (message: WorkerToSupervisor) => {
        if (message.kind === 'to-controller') this.said.push(message.message);
        if (message.kind === 'missed') this.missed += 1;
      },
      exit: (code) => this.#exit(code),
      descriptorLimit: options.descriptorLimit ?? Number.POSITIVE_INFINITY,
      tcp: options.tcp === undefined ? loadTcpBinding(process, loadPoller(), loadTls()) : options.tcp,
      resolveName: options.resolveName ?? ((name) => lookup(name, { all: true })),
      linesLost: { 'buffer-full': 0, 'write-error': 0, closed: 0 },
    });
    this.worker.start();
  }

  /** @param before the one in force, to send what differs from it; null sends all */
  apply(snapshot: Snapshot, secrets: Secrets = NO_SECRETS, before: Snapshot | null = null): void {
    for (const listener of snapshot.listeners) {
      if (this.ports.has(listener.name)) continue;
      const handle = serverHandle(listener.host, listener.port);
      const bound: { port?: number } = {};
      handle.getsockname(bound);
      this.ports.set(listener.name, bound.port!);
      this.#tell({ kind: 'listener', address: listener }, handle);
    }
    this.#tell({
      kind: 'snapshot',
      version: snapshot.version,
      text: before === null ? encodeWhole(snapshot, secrets) : encodeDifference(before, snapshot, null),
      more: false,
    });
    const rejected = this.said.find(
      (message) => message.kind === 'rejected' && message.version === snapshot.version,
    );
    if (rejected?.kind === 'rejected') throw new Error(`rejected: ${rejected.error}`);
  }

  #tell(message: SupervisorToWorker, handle?: unknown): void {
    this.worker.onMessage(message, handle);
  }

  port(listener = 'web'): number {
    return this.ports.get(listener)!;
  }

  /** From here on the worker's clock moves only by `skip`: for what a slow machine must not change. */
  freeze(): void {
    this.#frozenAtMs = performance.now();
  }

  /** Moves the worker's clock on and waits until its timer has seen that: what was due has happened. */
  async skip(ms: number): Promise<void> {
    this.#skippedMs += ms;
    const before = this.#clockReads;
    await eventually('a tick of the worker', () => this.#clockReads > before + 1);
  }

  async close(): Promise<void> {
    this.worker.drain(0, 0);
    await this.exited;
  }

  /** The summed value of series, by their start or by what fits, in the newest frame. */
  metric(which: string | ((series: string) => boolean)): number {
    const fits = typeof which === 'string' ? (series: string) => series.startsWith(which) : which;
    this.#tell({ kind: 'report-anew' });
    for (const message of this.said.toReversed()) {
      if (message.kind !== 'metrics' || message.frame.series === null) continue;
      let slot = 0;
      let sum = 0;
      for (const series of message.frame.series) {
        if (fits(series)) sum += message.frame.values[slot]!;
        slot += series.includes('_seconds') && !series.includes('timestamp') ? 17 : 1;
      }
      return sum;
    }
    throw new Error('no metrics yet');
  }
}

/** A TCP server on port 0 whose connections a test scripts by hand. */
export class RawServer {
  readonly server: net.Server;
  readonly sockets = new Set<net.Socket>();
  readonly #onConnection: (connection: RawPeer, index: number) => void;
  connections = 0;

  constructor(onConnection: (connection: RawPeer, index: number) => void, allowHalfOpen = true) {
    this.#onConnection = onConnection;
    this.server = net.createServer({ allowHalfOpen }, (socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
      this.connections += 1;
      this.#onConnection(new RawPeer(socket), this.connections);
    });
  }

  async listen(host = '127.0.0.1', port = 0): Promise<this> {
    this.server.listen(port, host);
    await once(this.server, 'listening');
    return this;
  }

  get at(): string {
    const { address, port } = this.server.address() as net.AddressInfo;
    return `${address}:${port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    if (!this.server.listening) return;
    this.server.close();
    await once(this.server, 'close');
  }
}

/** One raw connection: collects what comes, and waits for what a test expects. */
export class RawPeer {
  readonly socket: net.Socket;
  /** Everything received so far, latin1. */
  received = '';
  ended = false;
  closed = false;
  error: NodeJS.ErrnoException | null = null;
  readonly #waiting = new Set<() => void>();

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1');
      this.#wake();
    });
    socket.on('end', () => {
      this.ended = true;
      this.#wake();
    });
    socket.on('error', (error) => {
      this.error = error;
    });
    socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }

  /** @param localAddress where the client seems to be: any 127.x.y.z is ours */
  static async connect(port: number, localAddress = '127.0.0.1', host = '127.0.0.1'): Promise<RawPeer> {
    const socket = net.connect({ host, port, localAddress, allowHalfOpen: true });
    const peer = new RawPeer(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      // Connected, and reset before this process was told of it: it is the worker's, too.
      socket.once('error', (error: NodeJS.ErrnoException) =>
        error.code === 'ECONNRESET' ? resolve() : reject(error),
      );
    });
    return peer;
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Resolves when `condition` holds; rejects after `limitMs` with what had come. */
  until(condition: () => boolean, limitMs = 5000): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (!condition()) return;
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(check);
        reject(new Error(`waited in vain; received ${JSON.stringify(this.received.slice(0, 2000))}`));
      }, limitMs);
      this.#waiting.add(check);
      check();
    });
  }

  /** Calls `run` once `text` has been received; a connection that was made in case (a second dial) never brings it. */
  when(text: string, run: () => void): void {
    const check = (): void => {
      if (!this.received.includes(text)) return;
      this.#waiting.delete(check);
      run();
    };
    this.#waiting.add(check);
    check();
  }

  /** Waits until `text` has been received. */
  async expect(text: string, limitMs?: number): Promise<void> {
    await this.until(() => this.received.includes(text), limitMs);
  }

  /** Waits for the end or close of the connection and returns all that came. */
  async all(limitMs?: number): Promise<string> {
    await this.until(() => this.ended || this.closed, limitMs);
    return this.received;
  }

  /** Returns what has come and forgets it. */
  take(): string {
    const { received } = this;
    this.received = '';
    return received;
  }

  destroy(): void {
    this.socket.destroy();
  }

  #wake(): void {
    for (const check of [...this.#waiting]) check();
  }
}

/** Acts once the peer has said this; a connection that never does (a second dial in time) waits for nothing. */
export function whenSaid(peer: RawPeer, text: string, act: () => void): void {
  const look = (): void => {
    if (!peer.received.includes(text)) return;
    peer.socket.off('data', look);
    act();
  };
  peer.socket.on('data', look);
}

/** The same for a whole request head. */
export const whenAsked = (peer: RawPeer, act: () => void): void => whenSaid(peer, '\r\n\r\n', act);

/** A backend that answers every request head with `answer`, keep-alive. */
export function answering(answer: string): (peer: RawPeer) => void {
  return (peer) => {
    const serve = (): void => {
      void peer
        .until(() => peer.received.includes('\r\n\r\n') || peer.closed, 60_000)
        .then(() => {
          if (peer.closed) return;
          peer.received = peer.received.slice(peer.received.indexOf('\r\n\r\n') + 4);
          peer.send(answer);
          serve();
        });
    };
    serve();
  };
}

/** A data plane with the peers of one test: whatever was opened through it is closed by `clear`. */
export class Stage {
  plane: DataPlane;
  readonly #options: DataPlaneOptions;
  readonly servers: RawServer[] = [];
  readonly clients: RawPeer[] = [];

  constructor(options: DataPlaneOptions = {}) {
    this.#options = options;
    this.plane = new DataPlane(undefined, options);
  }

  async backend(onConnection: (peer: RawPeer, index: number) => void = () => {}): Promise<RawServer> {
    const server = await new RawServer(onConnection).listen();
    this.servers.push(server);
    return server;
  }

  /** An address of loopback that refuses connections. */
  async refusing(): Promise<string> {
    return `127.0.0.1:${await freePort()}`;
  }

  async client(listener = 'web', localAddress?: string): Promise<RawPeer> {
    const peer = await RawPeer.connect(this.plane.port(listener), localAddress);
    this.clients.push(peer);
    return peer;
  }

  /** Ends the test's world and makes the next one. */
  async clear(): Promise<void> {
    for (const client of this.clients.splice(0)) client.destroy();
    await this.plane.close();
    for (const server of this.servers.splice(0)) await server.close();
    this.plane = new DataPlane(undefined, this.#options);
  }

  /** After the last test: closes the spare world and asserts that no socket is left in this process. */
  async end(): Promise<void> {
    await this.clear();
    await this.plane.close();
    await assertNoSocketLeft();
  }
}

export async function assertNoSocketLeft(): Promise<void> {
  // Handles are freed in the turns after their close event.
  for (let turns = 0; turns < 3; turns += 1) await turn();
  const left = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap');
  assert.deepEqual(left, [], 'no socket outlives its test');
  assert.deepEqual(loadPoller()?.watched ?? [], [], 'nor one that is past libuv');
}

/** The sockets of this process that `fits` takes, the worker's own among them: to look at what they hold. */
export function socketsOf(fits: (socket: WireSocket) => boolean): readonly WireSocket[] {
  const handles = (process as unknown as { _getActiveHandles(): object[] })._getActiveHandles();
  return [...handles, ...(loadPoller()?.watched ?? [])]
    .map((handle) => (OWNER in handle ? handle[OWNER] : handle))
    .filter((socket) => socket instanceof net.Socket || socket instanceof TcpSocket)
    .filter(fits);
}

export function bytesReadBy(socket: WireSocket): number {
  return (socket instanceof TcpSocket ? socket._handle?.bytesRead : socket.bytesRead) ?? 0;
}

/** Sends this and waits until the worker has read it, so that what is sent next comes to it in another read. */
export async function sendApart(peer: RawPeer, bytes: Buffer): Promise<void> {
  const { localPort, remotePort } = peer.socket;
  const own = (): WireSocket | undefined =>
    socketsOf((socket) => socket.localPort === remotePort && socket.remotePort === localPort)[0];
  await eventually('the worker to accept it', () => own() !== undefined || peer.ended || peer.closed);
  const socket = own();
  const before = socket === undefined ? 0 : bytesReadBy(socket);
  peer.socket.write(bytes);
  await eventually('the worker to read it', () => {
    if (peer.ended || peer.closed) return true;
    return socket !== undefined && bytesReadBy(socket) >= before + bytes.length;
  });
}

/** Waits for a state that no event tells of; rejects after `limitMs` with what was waited for. */
export async function eventually(what: string, holds: () => boolean, limitMs = 10_000): Promise<void> {
  const endAtMs = performance.now() + limitMs;
  while (!holds()) {
    if (performance.now() > endAtMs) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/**
 * Waits until a number has not changed for a fifth of a second: what can flow has flowed. How much the kernel's buffers
 * take, and that they take no more, no event and no clock of ours tells.
 */
export async function standsStill(what: string, number: () => number): Promise<void> {
  let [last, since, looks] = [number(), performance.now(), 0];
  await eventually(`${what} to stand still`, () => {
    const now = number();
    looks += 1;
    if (now !== last) [last, since, looks] = [now, performance.now(), 0];
    // Of time in which this process did not run, one look is the only trace.
    return looks > 20 && performance.now() - since > 200;
  });
}

/**
 * Sends from behind the worker until it holds bytes that the kernel does not take from it, and will not take.
 * @param up the worker's socket to that peer
 * @param down its socket to whoever does not read
 * @returns how many bytes that were
 */
export async function sendUntilHeld(
  peer: RawPeer,
  up: WireSocket,
  down: WireSocket,
  step: Buffer,
): Promise<number> {
  const before = bytesReadBy(up);
  let size = 0;
  do {
    peer.socket.write(step);
    size += step.length;
    await eventually('the bytes', () => bytesReadBy(up) >= before + size);
    if (down.writableLength > 0) await standsStill('what is held', () => down.writableLength);
  } while (down.writableLength === 0);
  return size;
}
