// One socket, plain or TLS, as the sessions see it: bytes in by reference, text and bytes out in one write a turn.

import net from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ProxyHeader } from '../../proxy-protocol/header.ts';
import type { Deadline, Deadlines } from '../deadlines.ts';
import type { TlsFacts } from '../tls/tls-facts.ts';
import { type BufferPool, OUT_BUFFER_BYTES } from './buffer-pool.ts';
import type { DirectWrites } from './direct-write.ts';
import type { Turn } from './turn.ts';

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
}

/** What all wires of a worker share. */
export interface WireContext {
  readonly turn: Turn;
  readonly pool: BufferPool;
  readonly deadlines: Deadlines;
  readonly now: () => number;
  readonly writes: DirectWrites;
  /** The one read buffer of the worker: an event loop reads one socket at a time. */
  readonly readBuffer: Buffer;
}

/** Up to this much text is kept as a string: Node writes it from the stack without a buffer. */
const TEXT_LIMIT = 12 * 1024;
/** Bodies at most this long ride along as text. */
const BYTES_AS_TEXT = 4 * 1024;
const HIGH_WATER_BYTES = 256 * 1024;
/** How long a closing wire reads on, so that the peer gets the last answer instead of a reset (RFC 9112, section 9.6). */
const LINGER_MS = 1000;
/** A peer that takes nothing of our last bytes for this long is given up on. */
const STALLED_MS = 60_000;
const LINGER_BYTES = 1024 * 1024;

export class Wire implements Deadline {
  dueAtMs = Number.POSITIVE_INFINITY;
  filedTick = -1;
  readonly socket: net.Socket | TLSSocket;
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
  /** A plain TCP socket, whose handle takes text directly. */
  #plain = false;
  /** Written directly and not taken by the kernel yet: each write, and their sum. */
  readonly #directWrites: number[] = [];
  #directBytes = 0;
  #queued = false;
  #lingering = 0;
  /** While our last bytes leave: how many were left when that was last looked at, and when they were fewer than before. */
  #left = Number.POSITIVE_INFINITY;
  #progressAtMs = 0;
  #closed = false;
  #ending = false;
  #error: NodeJS.ErrnoException | null = null;

  private constructor(socket: net.Socket | TLSSocket, owner: WireOwner, context: WireContext) {
    this.socket = socket;
    this.#owner = owner;
    this.#context = context;
  }

  /**
   * A plain TCP socket that reads into the shared buffer. `handle` is an accepted libuv handle, or null for a
   * socket that will connect. Building the socket here instead of letting `net.Server` do it saves wrapping
   * every accepted connection twice (docs/decisions/0003-accepting-connections.md).
   */
  static plain(handle: object | null, owner: WireOwner, context: WireContext): Wire {
    let wire: Wire | null = null;
    const options = {
      allowHalfOpen: true,
      writableHighWaterMark: HIGH_WATER_BYTES,
      onread: {
        buffer: context.readBuffer,
        callback: (length: number, buffer: Uint8Array): boolean => {
          wire?.receive(buffer as Buffer, length);
          return true;
        },
      },
    };
    const socket = new net.Socket(
      (handle === null ? options : { ...options, handle }) as net.SocketConstructorOpts,
    );
    wire = new Wire(socket, owner, context);
    wire.#plain = true;
    wire.#listen();
    return wire;
  }

  /** A TLS socket after its handshake; whoever made it calls `receive` with what it reads. */
  static secure(socket: TLSSocket, owner: WireOwner, context: WireContext): Wire {
    const wire = new Wire(socket, owner, context);
    wire.#listen();
    return wire;
  }

  set owner(owner: WireOwner) {
    this.#owner = owner;
  }

  get closed(): boolean {
    return this.#closed || this.socket.destroyed;
  }

  /** Bytes handed over and not yet taken by the kernel. */
  get pendingBytes(): number {
    return this.socket.writableLength + this.#directBytes + this.#text.length + this.#used;
  }

  receive(buffer: Buffer, length: number): void {
    this.bytesRead += length;
    if (this.#lingering > 0) {
      this.#lingering -= length;
      if (this.#lingering <= 0) this.destroy();
      return;
    }
    const { turn } = this.#context;
    turn.enter();
    try {
      this.#owner.onBytes(buffer, length);
    } finally {
      turn.leave();
    }
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

  /** Queues bytes; they are copied, so the caller's buffer may be reused at once. */
  bytes(buffer: Buffer, start: number, end: number): void {
    const length = end - start;
    if (this.#buffer === null && length <= BYTES_AS_TEXT && this.#text.length + length <= TEXT_LIMIT) {
      this.#text += buffer.latin1Slice(start, end);
    } else {
      this.#toBuffer();
      let position = start;
      while (position < end) {
        if (this.#used === OUT_BUFFER_BYTES) {
          this.#flushBuffer();
          this.#buffer = this.#context.pool.take();
        }
        const copied = buffer.copy(this.#buffer!, this.#used, position, end);
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
    this.#buffer = buffer;
    this.#used = used;
    this.#enqueue();
  }

  /** Hands everything queued to the kernel; called by the turn. */
  flush(): void {
    this.#queued = false;
    if (this.#text !== '') this.#flushText();
    if (this.#buffer !== null) this.#flushBuffer();
    if (this.#ending && !this.socket.writableEnded) this.socket.end();
  }

  pause(): void {
    if (!this.socket.isPaused()) this.socket.pause();
  }

  resume(): void {
    if (this.socket.isPaused()) this.socket.resume();
  }

  /** Sends what is queued, then our end of stream; reading goes on. */
  end(): void {
    this.#ending = true;
    this.#enqueue();
  }

  /** Ends our side and reads on for a moment, dropping what comes, so that the last answer is not lost to a reset. */
  endAndLinger(): void {
    if (this.closed) return;
    this.end();
    this.#lingering = LINGER_BYTES;
    this.resume();
    if (this.socket.readableEnded) this.destroyWhenSent();
    else this.#watchLeaving();
  }

  /** Closes after our end of stream has left; both sides have ended, so nothing else is waited for. */
  destroyWhenSent(): void {
    if (this.socket.writableFinished) return this.destroy();
    this.socket.once('finish', () => this.destroy());
    this.#watchLeaving();
  }

  destroy(): void {
    this.#dropQueued();
    this.socket.destroy();
  }

  /** Closes with a TCP reset, so that the peer can't take a cut stream for a complete one. */
  reset(): void {
    this.#dropQueued();
    // TLS shows a cut by the missing close_notify; Node resets plain TCP only.
    if ('encrypted' in this.socket) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  /** The last bytes get as long as the peer needs, as long as it takes some of them. */
  onDeadline(nowMs: number): void {
    const before = this.#left;
    const left = this.socket.writableFinished ? 0 : this.socket.writableLength + this.#directBytes;
    this.#left = left;
    if (left < before) this.#progressAtMs = nowMs;
    // Bytes that took their time are lingered for once more: it begins when everything has left.
    const sent = left === 0 && (before === 0 || before === Number.POSITIVE_INFINITY);
    if (sent) this.destroy();
    else if (nowMs - this.#progressAtMs >= STALLED_MS) this.reset();
    else this.#context.deadlines.set(this, nowMs + LINGER_MS);
  }

  #watchLeaving(): void {
    this.#progressAtMs = this.#context.now();
    this.#context.deadlines.set(this, this.#progressAtMs + LINGER_MS);
  }

  #listen(): void {
    const { socket } = this;
    const { turn } = this.#context;
    socket.on('end', () => {
      if (this.#lingering > 0) return this.destroyWhenSent();
      turn.enter();
      try {
        this.#owner.onEnd();
      } finally {
        turn.leave();
      }
    });
    socket.on('drain', () => this.#drained());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error = error;
    });
    socket.on('close', () => this.#onClose());
  }

  #drained(): void {
    this.congested = false;
    const { turn } = this.#context;
    turn.enter();
    try {
      this.#owner.onDrain();
    } finally {
      turn.leave();
    }
  }

  #onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#dropQueued();
    this.#context.deadlines.clear(this);
    const { turn } = this.#context;
    turn.enter();
    try {
      this.#owner.onClose(this.#error);
    } finally {
      turn.leave();
    }
  }

  #enqueue(): void {
    if (this.#queued) return;
    this.#queued = this.#context.turn.dirty(this);
    if (!this.#queued) this.flush();
  }

  #toBuffer(): void {
    if (this.#buffer !== null) return;
    this.#buffer = this.#context.pool.take();
    if (this.#text !== '') this.#used = this.#buffer.latin1Write(this.#text, 0);
    this.#text = '';
  }

  #flushText(): void {
    const text = this.#text;
    this.#text = '';
    if (this.socket.destroyed || this.socket.writableEnded) return;
    this.bytesWritten += text.length;
    if (this.#plain && this.socket.writableLength === 0 && !this.socket.connecting) this.#writeDirectly(text);
    else if (!this.socket.write(text, 'latin1')) this.congested = true;
  }

  /**
   * Most heads and small bodies leave at once; the writable stream would cost them a state machine and a tick of the
   * event loop (docs/decisions/0008-direct-writes.md).
   */
  #writeDirectly(text: string): void {
    const outcome = this.#context.writes.write(this.socket, text, this.#onDirectWritten);
    if (outcome === 'done') return;
    if (outcome === 'pending') {
      this.#directWrites.push(text.length);
      this.#directBytes += text.length;
      if (this.#directBytes > HIGH_WATER_BYTES) this.congested = true;
    } else if (outcome === 'unusable') {
      if (!this.socket.write(text, 'latin1')) this.congested = true;
    } else {
      this.#failWrite(outcome);
    }
  }

  /** Writes finish in order. */
  readonly #onDirectWritten = (status: number): void => {
    this.#directBytes -= this.#directWrites.shift() ?? 0;
    if (status < 0) {
      this.#failWrite(status);
      return;
    }
    // Bytes behind these went through the stream, which says itself when they have left.
    if (this.congested && this.#directBytes === 0 && !this.socket.writableNeedDrain) this.#drained();
  };

  #failWrite(status: number): void {
    this.socket.destroy(Object.assign(new Error('write failed'), { errno: status, code: 'EPIPE' }));
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
    if (!this.socket.write(buffer.subarray(0, used), this.#onWritten)) this.congested = true;
  }

  /** Writes finish in order, so the oldest buffer is the one that came free; after an error none is reused. */
  readonly #onWritten = (error?: Error | null): void => {
    const buffer = this.#inFlight.shift();
    if (buffer !== undefined && (error === null || error === undefined)) this.#context.pool.give(buffer);
  };

  #dropQueued(): void {
    this.#text = '';
    if (this.#buffer !== null) this.#context.pool.give(this.#buffer);
    this.#buffer = null;
    this.#used = 0;
  }
}
