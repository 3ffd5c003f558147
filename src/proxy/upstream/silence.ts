// Finds connections whose path has died: the kernel holds bytes for them that the other side never acknowledged.

import { readFile } from 'node:fs/promises';
import type { UpstreamStream } from './upstream-stream.ts';

/** Whatever a request waits on. */
export type WatchedStream = Pick<UpstreamStream, 'socket'>;

/** Told that nothing reaches the other end of the connection. */
export interface SilenceUser {
  onUpstreamSilent(stream: WatchedStream): void;
}

/** The kernel's table of sockets, as text; rejects where there is none. */
export type ReadSockets = (family: 'ipv4' | 'ipv6') => Promise<string>;

/** Between two looks at the table, in milliseconds. */
const LOOK_EVERY_MS = 200;
/** A machine with very many sockets looks less often: a look may take this share of the time. */
const SHARE_OF_TIME = 0.05;
/**
 * Bytes that were sent so long ago and are not acknowledged need no second sending to be believed: after a time of
 * load the kernel may wait for seconds before it sends anything again. In milliseconds.
 */
const LONG_UNHEARD_MS = 800;
const ESTABLISHED = '01';
/** The timer that runs while something is on its way; another one runs while the other side reads nothing. */
const RETRANSMIT = '01';

/** Linux tells every socket's unacknowledged bytes and retransmissions (proc(5), `/proc/net/tcp`). */
export const readProcSockets: ReadSockets = async (family) =>
  await readFile(family === 'ipv4' ? '/proc/self/net/tcp' : '/proc/self/net/tcp6', 'latin1');

/**
 * A slow application acknowledges the request at once; a dead machine never does. So a request that waits long may be
 * sent elsewhere exactly when its path is dead, and a slow endpoint is never asked twice. Node cannot set
 * TCP_USER_TIMEOUT, which would tell the same. Where the table cannot be read nothing is ever silent.
 */
export class SilenceWatch {
  readonly #now: () => number;
  readonly #read: ReadSockets;
  readonly #asked = new Map<WatchedStream, { readonly user: SilenceUser; readonly sentAtMs: number }>();
  #looking = false;
  #nextLookAtMs = 0;
  #usable = true;

  constructor(now: () => number, read: ReadSockets = readProcSockets) {
    this.#now = now;
    this.#read = read;
  }

  /**
   * Looks at the stream's connection soon; `user` hears of it only when its path is dead. Ask again to look again.
   * @param sentAtMs when the last byte was sent
   */
  ask(stream: WatchedStream, user: SilenceUser, sentAtMs: number): void {
    if (!this.#usable) return;
    this.#asked.set(stream, { user, sentAtMs });
    if (!this.#looking && this.#now() >= this.#nextLookAtMs) void this.#look();
  }

  async #look(): Promise<void> {
    this.#looking = true;
    const startedAtMs = this.#now();
    const asked = [...this.#asked];
    this.#asked.clear();
    for (const family of ['ipv4', 'ipv6'] as const) {
      const sockets = asked.filter(([stream]) => familyOf(stream) === family);
      const table = sockets.length === 0 ? '' : await this.#table(family);
      for (const [stream, { user, sentAtMs }] of sockets) {
        const isLong = startedAtMs - sentAtMs >= LONG_UNHEARD_MS;
        if (isUnheard(table, stream.socket, isLong)) user.onUpstreamSilent(stream);
      }
    }
    const endedAtMs = this.#now();
    this.#nextLookAtMs = endedAtMs + Math.max(LOOK_EVERY_MS, (endedAtMs - startedAtMs) / SHARE_OF_TIME);
    this.#looking = false;
  }

  async #table(family: 'ipv4' | 'ipv6'): Promise<string> {
    try {
      return await this.#read(family);
    } catch {
      // Not Linux, or no /proc: waiting requests wait for as long as their timeouts say.
      this.#usable = false;
      return '';
    }
  }
}

function familyOf({ socket }: WatchedStream): 'ipv4' | 'ipv6' | undefined {
  const address = socket.remoteAddress;
  if (address === undefined) return undefined;
  return address.includes(':') ? 'ipv6' : 'ipv4';
}

/** What a socket is known by in the table. */
export interface SocketEnds {
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/**
 * True when the table says that the socket's bytes were sent again and still are not acknowledged.
 * @param once that they were sent is enough, as long as they are not acknowledged
 */
export function isUnheard(table: string, ends: SocketEnds, once = false): boolean {
  const { localPort, remoteAddress, remotePort } = ends;
  if (localPort === undefined || remoteAddress === undefined || remotePort === undefined) return false;
  const remote = remoteAddress.includes(':') ? hexOfIpv6(remoteAddress) : hexOfIpv4(remoteAddress);
  const key = `:${hex(localPort, 4)} ${remote}:${hex(remotePort, 4)} ${ESTABLISHED} `;
  const at = table.indexOf(key);
  if (at === -1) return false;
  // tx_queue:rx_queue tr:tm->when retrnsmt
  const rest = table.slice(at + key.length, at + key.length + 40);
  const [, queued, timer, again] =
    /^([\dA-F]{8}):[\dA-F]{8} ([\dA-F]{2}):[\dA-F]{8} ([\dA-F]{8})/.exec(rest) ?? [];
  if (queued === undefined || Number.parseInt(queued, 16) === 0) return false;
  return Number.parseInt(again!, 16) > 0 || (once && timer === RETRANSMIT);
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}

/** The kernel prints 32-bit words in the machine's own order, which is little-endian wherever Node runs. */
function hexOfIpv4(address: string): string {
  return address
    .split('.')
    .reverse()
    .map((part) => hex(Number(part), 2))
    .join('');
}

function hexOfIpv6(address: string): string {
  const [head = '', tail] = address.split('%')[0]!.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const digits = [...before, ...Array<string>(zeros).fill('0'), ...after]
    .map((group) => group.toUpperCase().padStart(4, '0'))
    .join('');
  return digits.replaceAll(/(..)(..)(..)(..)/g, '$4$3$2$1');
}
