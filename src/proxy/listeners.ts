// The listeners of a worker, as the snapshots name them; one that is named no more stays until its last connection ends.

import type { ListenerConfig } from '../model/listener-config.ts';
import type { ListenAddress } from '../model/messages.ts';
import type { Secrets } from '../model/secrets.ts';
import type { MetricsBoard } from '../telemetry/metrics-board.ts';
import { Listener, type ListenerContext } from './listener.ts';
import { ListenerMeters } from './meters.ts';
import type { Runtime } from './runtime.ts';
import type { ListenerTls } from './tls/listener-tls.ts';
import { NodeTlsContexts } from './tls/node-tls-contexts.ts';
import { TlsByListener } from './tls/tls-by-listener.ts';
import type { ListeningHandle } from './wire/socket-handle.ts';

/** Everything that a snapshot asks for, made and not yet in force. */
export interface PreparedListeners {
  readonly configs: readonly ListenerConfig[];
  readonly secrets: Secrets;
  /** Of the https listeners, by name. */
  readonly tls: ReadonlyMap<string, ListenerTls>;
  /** New ones, by `keyOf`; they accept nothing before the event loop goes on. */
  readonly opened: ReadonlyMap<string, Listener>;
}

/** A snapshot names a listener whose socket has not come, or is gone with a snapshot that could not be honoured. */
export class SocketMissing extends Error {
  constructor(listener: string) {
    super(`no socket came for listener ${listener}`);
  }
}

export class Listeners {
  readonly #board: MetricsBoard;
  readonly #context: ListenerContext;
  readonly #tls: TlsByListener;
  /** Bound sockets that came ahead of the snapshot that names them. */
  readonly #handles = new Map<string, ListeningHandle>();
  readonly #serving = new Map<string, Listener>();
  /** No longer configured; their connections live on. */
  readonly #retired = new Set<Listener>();
  #draining = false;

  constructor(board: MetricsBoard, wallClock: () => number, context: Omit<ListenerContext, 'listenerNamed'>) {
    this.#board = board;
    const contexts = context.wires.tcp?.createTlsContexts?.() ?? new NodeTlsContexts();
    this.#tls = new TlsByListener(contexts, wallClock);
    this.#context = { ...context, listenerNamed: (name) => this.#named(name) };
  }

  /** Takes the bound socket of a listener that a snapshot to come names; one that is there already is a copy too many. */
  give(address: ListenAddress, handle: ListeningHandle): void {
    const key = keyOf(address);
    const tooMany = this.#serving.has(key) || this.#draining ? handle : this.#handles.get(key);
    tooMany?.close();
    if (tooMany !== handle) this.#handles.set(key, handle);
  }

  /**
   * Builds what the snapshot asks for, and listens where this worker does not yet. Throws, with nothing of it open, when
   * a certificate cannot be used, or a socket cannot listen or is missing (`SocketMissing`). `commit` or `abandon` follows.
   */
  prepare(configs: readonly ListenerConfig[], secrets: Secrets): PreparedListeners {
    const tls = this.#tls.build(configs, secrets);
    // A worker that drains follows the snapshots for the connections that it has, and listens nowhere.
    const opened = this.#draining ? new Map<string, Listener>() : this.#open(configs);
    return { configs, secrets, tls, opened };
  }

  abandon({ opened }: PreparedListeners): void {
    for (const listener of opened.values()) listener.stopAccepting();
  }

  /** @param before what was in force: connections of listeners that are named no more go on with it */
  commit({ configs, secrets, tls, opened }: PreparedListeners, before: Runtime): void {
    this.#tls.commit(tls, secrets);
    if (this.#draining) return;
    const wanted = new Map(configs.map((config) => [keyOf(config), config]));
    for (const [key, listener] of this.#serving) {
      if (wanted.has(key)) continue;
      listener.retire(before);
      this.#serving.delete(key);
      this.#retired.add(listener);
    }
    for (const listener of this.#retired) if (listener.openConnections === 0) this.#retired.delete(listener);
    for (const [key, listener] of opened) this.#serving.set(key, listener);
    // Sockets come right ahead of the snapshot that names them: those left over are named no more.
    for (const handle of this.#handles.values()) handle.close();
    this.#handles.clear();
    for (const [key, config] of wanted) this.#serving.get(key)!.follow(config, tls.get(config.name) ?? null);
  }

  /** Ports by name. */
  get ports(): ReadonlyMap<string, number> {
    return new Map([...this.#serving.values()].map(({ config, port }) => [config.name, port]));
  }

  get openConnections(): number {
    return this.#all().reduce((sum, listener) => sum + listener.openConnections, 0);
  }

  /** No new connections from here on; those that are open end by themselves, in `deadlineMs` at most. */
  drain(deadlineMs: number): void {
    if (!this.#draining) for (const listener of this.#serving.values()) listener.stopAccepting();
    this.#draining = true;
    for (const listener of this.#all()) listener.drain(deadlineMs);
  }

  closeIdle(): void {
    for (const listener of this.#all()) listener.closeIdle();
  }

  /**
   * Lets go of memory.
   * @param excessBytes how much too much there is
   * @param stuckToo the first step was made before
   */
  relieve(excessBytes: number, stuckToo: boolean): void {
    let excess = excessBytes;
    for (const listener of this.#all()) excess -= listener.relieve(excess, stuckToo);
  }

  /** Ends every connection now. */
  shutdown(): void {
    for (const listener of this.#all()) listener.shutdown();
  }

  #open(configs: readonly ListenerConfig[]): ReadonlyMap<string, Listener> {
    const opened = new Map<string, Listener>();
    const fresh = configs.filter((config) => !this.#serving.has(keyOf(config)));
    // Before any of them is taken.
    for (const config of fresh) if (!this.#handles.has(keyOf(config))) throw new SocketMissing(config.name);
    try {
      for (const config of fresh) {
        const key = keyOf(config);
        const handle = this.#handles.get(key)!;
        this.#handles.delete(key);
        const meters = new ListenerMeters(this.#board, config.name, config.protocol);
        opened.set(key, new Listener(config, handle, meters, this.#context));
      }
      return opened;
    } catch (error) {
      for (const listener of opened.values()) listener.stopAccepting();
      throw error;
    }
  }

  #named(name: string): Listener | undefined {
    for (const listener of this.#serving.values()) if (listener.config.name === name) return listener;
    return undefined;
  }

  #all(): readonly Listener[] {
    return [...this.#serving.values(), ...this.#retired];
  }
}

/** A listener whose name, address or protocol changes is another listener. */
function keyOf({ name, protocol, host, port }: ListenAddress): string {
  return `${name} ${protocol} ${host} ${port}`;
}
