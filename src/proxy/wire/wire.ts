// One socket, plain or TLS, as the sessions see it: bytes in by reference, text and bytes out in one write a pass.

import type net from 'node:net';
import type { TLSSocket } from 'node:tls';
import { copyInto } from '../../http2/copy-into.ts';
import type { ProxyHeader } from '../../proxy-protocol/header.ts';
import type { Deadlines } from '../deadlines.ts';
import type { TlsFacts } from '../tls/tls-facts.ts';
import { KEEP_ALIVE_SECONDS } from './accepted-options.ts';
import { type BufferPool, OUT_BUFFER_BYTES } from './buffer-pool.ts';
import { Departure } from './departure.ts';
import { LARGE_READ_BYTES, LargeReads, type LargeReadsOwner } from './large-reads.ts';
import type { PassShare } from './pass-share.ts';
import { hasPeer } from './peer.ts';
import type { ReadMemory } from './read-memory.ts';
import type { TcpBinding } from './tcp-binding.ts';
import { type SocketUser, TcpSocket } from './tcp-socket.ts';
import type { Turn } from './turn.ts';

/** Ours where the binding can be had, plain or TLS; Node's elsewhere, and for TLS to targets. */
export type WireSocket = net.Socket | TLSSocket | TcpSocket;

/** What a session or an upstream connection does with its socket's events. */
export interface WireOwner {
  /** Bytes lie in `buffer[0, length)` and are valid only during the call: the buffer is shared by all sockets. */
  onBytes(buffer: Buffer, length: number): void;
  /** The peer sends no more; writing is still possible. */
  onEnd(): void;
  /** Everything written so far has left: a paused other side may go on. */
  onDrain(): void;
  /** The socket is gone; called exactly once. `error` is null after an orderly end. */
  onClose(error: NodeJS.ErrnoException | null): void;
  /** A wire that was to connect has; only such a wire's owner needs it. */
  onConnect?(): void;
}

/** What all wires of a worker share. */
export interface WireContext {
  /** In the place of `dns.lookup`, for targets with a host name. */
  readonly lookup: net.LookupFunction;
  readonly turn: Turn;
  readonly share: PassShare;
  readonly pool: BufferPool;
  readonly deadlines: Deadlines;
  readonly now: () => number;
  /** Null where plain sockets have to be `net`'s. */
  readonly tcp: TcpBinding | null;
  readonly reads: ReadMemory;
}

/** Up to this much text is kept as a string: Node writes it from the stack without a buffer. */
const TEXT_LIMIT = 12 * 1024;
/** Bodies at most this long ride along as text. */
const BYTES_AS_TEXT = 4 * 1024;
/** As libuv has them where only the first is said, which is what connections of `tcp` listeners have (`accepted-options.ts`). */
const SILENT_MS = 1000 * KEEP_ALIVE_SECONDS;
const SILENT_AGAIN_MS = 1000;
const SILENT_QUESTIONS = 10;

export class Wire implements SocketUser, LargeReadsOwner {
  readonly socket: WireSocket;
  /** True while the peer reads more slowly than we write. */
  congested = false;
  /** What the sender of a PROXY header has said of this connection; null where the socket's own ends count. */
  proxied: ProxyHeader | null = null;
  /** Null on plain connections, and on those to targets. */
  tls: TlsFacts | null = null;
  bytesRead = 0;
  bytesWritten = 0;
  #owner: WireOwner;
  readonly #context: WireContext;
  #text = '';
  #buffer: Buffer | null = null;
  #used = 0;
  readonly #inFlight: Buffer[] = [];
  /** The socket, where it is one of ours. */
  readonly #tcp: TcpSocket | null;
  #queued = false;
  /** The turn in which it was. */
  #queuedIn = 0;
  /** Its owner wants nothing more for now. */
  #paused = false;
  /** From the first one on. */
  #largeReads: LargeReads | null = null;
  #closed = false;
  #ending = false;
  #closesWhenSent = false;
  #departure: Departure | null = null;
  #asks = false;

  /** See `open-wire.ts`. */
  constructor(socket: WireSocket, owner: WireOwner, context: WireContext) {
    this.socket = socket;
    this.#tcp = socket instanceof TcpSocket ? socket : null;
    this.#owner = owner;
    this.#context = context;
  }

  set owner(owner: WireOwner) {
    this.#owner = owner;
  }

  /** Our end of stream has left, or follows what is queued. */
  get ending(): boolean {
    return this.#ending;
  }

  get closed(): boolean {
    return this.#closed || this.socket.destroyed;
  }

  /** Nothing that is written arrives any more; what came before may still be read. */
  get broken(): boolean {
    return this.#tcp !== null && this.#tcp.broken !== null;
  }

  /** Bytes handed over and not yet taken by the kernel. */
  get pendingBytes(): number {
    return this.socket.writableLength + this.#text.length + this.#used;
  }

  /** Bytes that the kernel has taken so far; those in its buffer count. Only ever compared with itself. */
  get takenBytes(): number {
    return this.bytesWritten - this.socket.writableLength;
  }

  /** False once the connection was reset, which a socket that is not read tells nobody. */
  get hasPeer(): boolean {
    return hasPeer(this.socket);
  }

  receive(buffer: Buffer, length: number): void {
    this.bytesRead += length;
    if (length < LARGE_READ_BYTES) {
      this.tell(buffer, length);
      return;
    }
    // Node's TLS tells of all that one read of its own brought, also once reading was stopped.
    this.#largeReads ??= new LargeReads(
      this,
      this.#tcp?.stopsAtOnce === true ? this.#tcp : null,
      this.#context,
    );
    this.#largeReads.receive(buffer, length);
  }

  get paused(): boolean {
    return this.#paused;
  }

  tell(buffer: Buffer, length: number): boolean {
    if (this.#departure?.lingers === true) {
      this.#departure.drop(length);
      return false;
    }
    const { turn } = this.#context;
    turn.enter();
    try {
      this.#owner.onBytes(buffer, length);
    } finally {
      turn.leave();
    }
    return true;
  }

  /** Queues latin1 text (heads, chunk framing). */
  text(text: string): void {
    if (this.#buffer !== null && this.#used + text.length <= OUT_BUFFER_BYTES) {
      this.#used += this.#buffer.latin1Write(text, this.#used);
    } else {
      if (this.#buffer !== null) this.#flushBuffer();
      this.#text += text;
      if (this.#text.length > TEXT_LIMIT) this.#flushText();
    }
    this.#enqueue();
  }

  /**
   * Queues bytes, which are copied or have left when this is over, so that the caller's buffer may be reused at once. What
   * lies before them in the worker's read buffer is lost.
   */
  bytes(buffer: Buffer, start: number, end: number): void {
    const length = end - start;
    if (this.#buffer === null && length <= BYTES_AS_TEXT && this.#text.length + length <= TEXT_LIMIT) {
      this.#text += buffer.latin1Slice(start, end);
    } else {
      let position = this.#writeNow(buffer, start, end);
      if (position === end) return;
      this.#toBuffer();
      while (position < end) {
        if (this.#used === OUT_BUFFER_BYTES) {
          this.#flushBuffer();
          this.#buffer = this.#context.pool.take();
        }
        const copied = Math.min(end - position, OUT_BUFFER_BYTES - this.#used);
        copyInto(this.#buffer!, this.#used, buffer, position, position + copied);
        this.#used += copied;
        position += copied;
      }
    }
    this.#enqueue();
  }

  /** Queues the first `used` bytes of a buffer of the pool, which belongs to the wire from here on. */
  block(buffer: Buffer, used: number): void {
    if (this.#buffer === null && used <= BYTES_AS_TEXT) {
      if (used > 0) this.text(buffer.latin1Slice(0, used));
      this.#context.pool.give(buffer);
      return;
    }
    if (this.#text !== '') this.#flushText();
    if (this.#buffer !== null) this.#flushBuffer();
    this.#context.turn.hurry();
    this.#buffer = buffer;
    this.#used = used;
    this.#enqueue();
  }

  /** Hands everything queued to the kernel; called when the pass is over, or what is queued is large. */
  flush(): void {
    this.#queued = false;
    if (this.#text !== '') this.#flushText();
    if (this.#buffer !== null) this.#flushBuffer();
    if (this.#ending && !this.socket.writableEnded) this.#endSocket();
  }

  #endSocket(): void {
    if (this.#closesWhenSent && this.#tcp?.closeWritten() === true) return;
    this.socket.end();
    if (this.#closesWhenSent) this.destroyWhenSent();
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    if (this.#largeReads?.resting !== true) this.socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#largeReads === null || this.#largeReads.mayReadOn()) this.socket.resume();
  }

  /**
   * The peer has ended its side, and something is still due to it: whether it waits or has left can't be told from
   * that. The kernel of one that waits answers a question; that of one that has left forgets the connection (Linux: a
   * minute later, `tcp_fin_timeout`) and answers with a reset, after which the wire is closed.
   */
  askWhetherPeerIsThere(): void {
    this.#departing().ask();
  }

  /** The peer may be silent for as long as it likes: the kernel asks it whether it is there, as on a `tcp` listener. */
  keepAsking(): void {
    if (this.#asks) return;
    this.#asks = true;
    this.socket.setKeepAlive(true, SILENT_MS, SILENT_AGAIN_MS, SILENT_QUESTIONS);
  }

  /** Sends what is queued, then our end of stream; reading goes on, and may be what ends it. */
  end(): void {
    this.#ending = true;
    this.#context.turn.hurry();
    this.#enqueue();
  }

  /** Ends our side and reads on for a moment, dropping what comes, so that the last answer is not lost to a reset. */
  endAndLinger(): void {
    if (this.closed) return;
    this.end();
    this.#departing().linger();
  }

  /**
   * For a peer that has said that it sends nothing more: closes when the kernel has taken what is queued, and waits neither for
   * its end nor, over TLS, for its close_notify.
   */
  endAndClose(): void {
    if (this.closed) return;
    this.#closesWhenSent = true;
    this.end();
  }

  /** Closes after our end of stream has left; both sides have ended, so nothing else is waited for. */
  destroyWhenSent(): void {
    this.#departing().destroyWhenSent();
  }

  #departing(): Departure {
    this.#departure ??= new Departure(this, this.#context);
    return this.#departure;
  }

  destroy(): void {
    this.#sendEarlier();
    this.#dropQueued();
    this.socket.destroy();
  }

  /** Closes with a TCP reset, so that the peer can't take a cut stream for a complete one. */
  reset(): void {
    this.#sendEarlier();
    this.#dropQueued();
    const { socket } = this;
    // Everything before it has left by then. libuv refuses the reset, and Node never closes what it was refused for.
    const isEndOnItsWay = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
    // TLS shows a cut by the missing close_notify; Node resets plain TCP only.
    if ('encrypted' in socket || isEndOnItsWay) socket.destroy();
    else socket.resetAndDestroy();
  }

  onSocketConnect(): void {
    this.#owner.onConnect?.();
  }

  onSocketRead(length: number): void {
    this.receive(this.#context.reads.bulk, length);
  }

  onSocketEnd(): void {
    if (this.#departure?.lingers === true) return this.destroyWhenSent();
    const { turn } = this.#context;
    turn.enter();
    try {
      this.#owner.onEnd();
    } finally {
      turn.leave();
    }
  }

  onSocketDrain(): void {
    this.congested = false;
    const { turn } = this.#context;
    turn.enter();
    try {
      this.#owner.onDrain();
    } finally {
      turn.leave();
    }
  }

  onSocketFinish(): void {
    this.#departure?.onFinish();
  }

  onSocketClose(error: NodeJS.ErrnoException | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#dropQueued();
    this.#departure?.over();
    const { turn } = this.#context;
    turn.enter();
    try {
      this.#owner.onClose(error);
    } finally {
      turn.leave();
    }
  }

  #enqueue(): void {
    if (this.#queued) return;
    const { turn } = this.#context;
    this.#queued = turn.dirty(this);
    if (this.#queued) this.#queuedIn = turn.number;
    else this.flush();
  }

  /** What an earlier event has written is not lost with what this one ends. */
  #sendEarlier(): void {
    if (this.#queued && this.#queuedIn !== this.#context.turn.number && !this.closed) this.flush();
  }

  /**
   * Lets the socket take what is queued and as much as it can of `buffer[start, end)`, without keeping any of it
   * (docs/decisions/0029-bulk-leaves-from-where-it-was-read.md).
   * @returns where it has stopped
   */
  #writeNow(buffer: Buffer, start: number, end: number): number {
    const tcp = this.#tcp;
    if (tcp === null || this.#inFlight.length > 0) return start;
    if (this.#buffer !== null) this.#flushBuffer();
    const { reads } = this.#context;
    const place = reads.placeOf(buffer, start);
    if (place < this.#text.length && this.#text !== '') this.#flushText();
    const text = this.#text;
    const taken =
      place === -1
        ? tcp.writeNow(buffer, start, end)
        : tcp.writeNow(reads.whole, this.#textBefore(place), place + end - start);
    this.bytesWritten += taken;
    if (tcp.writableNeedDrain) this.congested = true;
    if (taken === text.length + end - start) reads.passedOn += taken;
    this.#text = taken < text.length ? text.slice(taken) : '';
    return start + Math.max(0, taken - text.length);
  }

  /** Where the text begins when it ends at `place` of the read memory. */
  #textBefore(place: number): number {
    const text = this.#text;
    if (text !== '') this.#context.reads.whole.latin1Write(text, place - text.length);
    return place - text.length;
  }

  #toBuffer(): void {
    if (this.#buffer !== null) return;
    this.#context.turn.hurry();
    this.#buffer = this.#context.pool.take();
    if (this.#text !== '') this.#used = this.#buffer.latin1Write(this.#text, 0);
    this.#text = '';
  }

  #flushText(): void {
    const text = this.#text;
    this.#text = '';
    const { socket } = this;
    if (socket.destroyed || socket.writableEnded) return;
    this.bytesWritten += text.length;
    const roomy =
      this.#tcp !== null ? this.#tcp.writeText(text) : (socket as net.Socket).write(text, 'latin1');
    if (!roomy) this.congested = true;
  }

  #flushBuffer(): void {
    const buffer = this.#buffer!;
    const used = this.#used;
    this.#buffer = null;
    this.#used = 0;
    if (used === 0 || this.socket.destroyed || this.socket.writableEnded) {
      this.#context.pool.give(buffer);
      return;
    }
    this.bytesWritten += used;
    this.#inFlight.push(buffer);
    const bytes = buffer.subarray(0, used);
    const roomy =
      this.#tcp !== null
        ? this.#tcp.writeBytes(bytes, this.#onWritten)
        : (this.socket as net.Socket).write(bytes, this.#onWritten);
    if (!roomy) this.congested = true;
  }

  /** Writes finish in order, so the oldest buffer is the one that came free; after an error none is reused. */
  readonly #onWritten = (error?: Error | null): void => {
    const buffer = this.#inFlight.shift();
    if (buffer === undefined) return;
    if (error === null || error === undefined) this.#context.pool.give(buffer);
    else this.#context.pool.abandon();
  };

  #dropQueued(): void {
    this.#largeReads?.drop();
    this.#text = '';
    if (this.#buffer !== null) this.#context.pool.give(this.#buffer);
    this.#buffer = null;
    this.#used = 0;
  }
}
