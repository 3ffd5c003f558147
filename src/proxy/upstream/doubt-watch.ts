// Cuts connections to doubted targets that hold bytes the other side does not acknowledge: keep-alive asks nothing meanwhile.

import { isUnheard, type ReadSockets, readProcSockets } from './silence.ts';
import type { Target } from './target.ts';
import type { UpstreamConnection } from './upstream-connection.ts';

/** Between two looks at the kernel's table of sockets, in milliseconds; nothing is read while nobody is doubted. */
const LOOK_EVERY_MS = 1000;
/** Looks in a row that find a connection unheard: together as long as keep-alive takes to give a doubted target up. */
const LOOKS = 5;

/**
 * TCP keep-alive notices a machine that is gone on connections that are silent. One with bytes under way to it (a
 * WebSocket that talks, an ssh handshake) is only sent again and again, for a quarter of an hour, and its client hangs.
 */
export class DoubtWatch {
  readonly #targets: () => Iterable<Target>;
  readonly #read: ReadSockets;
  /** Looks in a row that found it unheard. */
  readonly #unheard = new WeakMap<UpstreamConnection, number>();
  #timer: NodeJS.Timeout | null = null;
  #looking = false;

  /** @param targets all there are, those that have left with flows on them included */
  constructor(targets: () => Iterable<Target>, read: ReadSockets = readProcSockets) {
    this.#targets = targets;
    this.#read = read;
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
    const connections: UpstreamConnection[] = [];
    for (const target of this.#targets()) {
      if (!target.doubted) continue;
      for (const connection of target.connections) if (connection.connected) connections.push(connection);
    }
    if (connections.length === 0) return;
    this.#looking = true;
    try {
      const table = `${await this.#read('ipv4')}${await this.#read('ipv6').catch(() => '')}`;
      for (const connection of connections) this.#judge(connection, table);
    } catch {
      // Not Linux, or no /proc: such connections end when the kernel gives them up.
      this.close();
    } finally {
      this.#looking = false;
    }
  }

  #judge(connection: UpstreamConnection, table: string): void {
    if (!isUnheard(table, connection.wire.socket)) {
      this.#unheard.delete(connection);
      return;
    }
    const looks = (this.#unheard.get(connection) ?? 0) + 1;
    this.#unheard.set(connection, looks);
    if (looks >= LOOKS) connection.lose();
  }
}
