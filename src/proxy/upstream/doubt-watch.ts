// Cuts connections to doubted targets that hold bytes the other side does not acknowledge: keep-alive asks nothing meanwhile.

import type { SocketState } from './socket-rows.ts';
import { isUnheard, type SocketTable } from './socket-table.ts';
import type { Target } from './target.ts';
import type { UpstreamConnection } from './upstream-connection.ts';

/**
 * Between two looks at the kernel's table of sockets, in milliseconds; a machine with very many sockets looks less often
 * (`SocketTable`). Nothing is read while nobody is doubted.
 */
const LOOK_EVERY_MS = 1000;
/** For so long a connection is found unheard: as long as keep-alive takes to give a doubted target up, or half a look less. */
const UNHEARD_MS = 3500;
/** In so many looks at least, however long one of them takes to come. */
const LOOKS = 3;

/**
 * TCP keep-alive notices a machine that is gone on connections that are silent. One with bytes under way to it (a
 * WebSocket that talks, an ssh handshake) is only sent again and again, for a quarter of an hour, and its client hangs.
 */
export class DoubtWatch {
  readonly #now: () => number;
  readonly #targets: () => Iterable<Target>;
  readonly #table: SocketTable;
  /** Those that the last looks in a row found unheard. */
  readonly #unheard = new WeakMap<UpstreamConnection, { readonly sinceMs: number; looks: number }>();
  #timer: NodeJS.Timeout | null = null;
  #looking = false;

  /** @param targets all there are, those that have left with flows on them included */
  constructor(now: () => number, targets: () => Iterable<Target>, table: SocketTable) {
    this.#now = now;
    this.#targets = targets;
    this.#table = table;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** One look; resolves when what it found is done. */
  async look(): Promise<void> {
    if (this.#looking) return;
    if (!this.#table.usable) return this.close();
    if (this.#doubted().next().done === true) return;
    this.#looking = true;
    const connections: UpstreamConnection[] = [];
    const states = await this.#table.look(() => {
      for (const connection of this.#doubted()) connections.push(connection);
      return connections.map(({ wire }) => wire.socket);
    });
    const nowMs = this.#now();
    for (const connection of connections)
      if (connection.connected) this.#judge(connection, states.get(connection.wire.socket), nowMs);
    this.#looking = false;
  }

  *#doubted(): Generator<UpstreamConnection> {
    for (const target of this.#targets()) {
      if (!target.doubted) continue;
      for (const connection of target.connections) if (connection.connected) yield connection;
    }
  }

  #judge(connection: UpstreamConnection, state: SocketState | undefined, nowMs: number): void {
    if (!isUnheard(state)) {
      this.#unheard.delete(connection);
      return;
    }
    const unheard = this.#unheard.get(connection) ?? { sinceMs: nowMs, looks: 0 };
    this.#unheard.set(connection, unheard);
    unheard.looks += 1;
    if (unheard.looks >= LOOKS && nowMs - unheard.sinceMs >= UNHEARD_MS) connection.lose();
  }
}
