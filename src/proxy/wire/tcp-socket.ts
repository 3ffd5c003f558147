// A plain TCP socket straight on its handle, our own or libuv's: what a wire needs of `net.Socket`, without a stream for each direction.

import { writeSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import type { Waiter } from './pass-share.ts';
import { OWNER, type PendingWrite, type SocketHandle, type SocketName } from './socket-handle.ts';
import type { TcpBinding } from './tcp-binding.ts';
import type { WriteBacklog } from './write-backlog.ts';

/** Told of what happens to a socket, each from the event loop and never during a call. */
export interface SocketUser {
  onSocketConnect(): void;
  /** Bytes lie in the shared buffer and are valid only during the call. */
  onSocketRead(length: number): void;
  /** The peer sends no more. */
  onSocketEnd(): void;
  /** Everything that was written has left, after `write` had said false. */
  onSocketDrain(): void;
  /** Our end has been taken by the kernel, and all that was written before it. */
  onSocketFinish(): void;
  /** Called exactly once, last. */
  onSocketClose(error: NodeJS.ErrnoException | null): void;
}

/** libuv's end of file, and a socket that has lost its peer; the same numbers on every platform that has them. */
const UV_EOF = -4095;
/** What a write says where the peer has closed and takes nothing more. */
const PEER_CLOSED: ReadonlySet<string> = new Set(['EPIPE', 'ECONNRESET']);

/** Names and meanings are those of `net.Socket` with `allowHalfOpen`. What is protected is for TLS, which wraps the handle. */
export class TcpSocket implements Waiter {
  destroyed = false;
  connecting = false;
  writableEnded = false;
  writableFinished = false;
  readableEnded = false;
  /**
   * Why nothing that is written arrives any more, on a socket that connects: what its peer said before lies in the kernel yet, an
   * answer to an upload perhaps, and is read to its end, which is that of a reset connection.
   */
  broken: NodeJS.ErrnoException | null = null;
  /** What `net` calls it; null once closed. */
  _handle: SocketHandle | null;
  protected user: SocketUser | null = null;
  readonly #binding: TcpBinding;
  readonly #connects: boolean;
  #paused = false;
  #needsDrain = false;
  /** Writes that libuv has not finished. */
  protected writes = 0;
  /** Its part of the worker's backlog. */
  #queuedBytes = 0;
  #error: NodeJS.ErrnoException | null = null;
  #ownName: SocketName | null = null;
  #peerName: SocketName | null = null;
  /** How the peer has ended, while that waits for its turn: libuv reads no further. */
  #end: NodeJS.ErrnoException | 'eof' | null = null;

  /** @param handle an accepted handle, or null for a socket that will connect */
  constructor(handle: SocketHandle | null, readBuffer: Buffer, binding: TcpBinding) {
    const own = handle ?? binding.createHandle();
    this.#binding = binding;
    this.#connects = handle === null;
    this._handle = own;
    own[OWNER] = this;
    own.onread = onRead;
    own.useUserBuffer(readBuffer);
  }

  /** Says who is called, and for an accepted socket starts to read. */
  begin(user: SocketUser, accepted: boolean): void {
    this.user = user;
    if (accepted) this.#read();
  }

  /** @param address an IP address */
  connect(address: string, port: number): void {
    const handle = this._handle!;
    this.connecting = true;
    const request = this.#binding.createConnect((status) => this.#connected(status));
    const status = address.includes(':')
      ? handle.connect6(request, address, port)
      : handle.connect(request, address, port);
    if (status !== 0) this.destroy(systemError(status, 'connect'));
  }

  get writableLength(): number {
    return this.writes === 0 ? 0 : (this._handle?.writeQueueSize ?? 0);
  }

  get writableNeedDrain(): boolean {
    return this.#needsDrain;
  }

  get localPort(): number | undefined {
    return this.#own().port;
  }

  get localAddress(): string | undefined {
    return this.#own().address;
  }

  get remotePort(): number | undefined {
    return this.#peer().port;
  }

  get remoteAddress(): string | undefined {
    return this.#peer().address;
  }

  /** Of a connection neither end changes: the kernel is asked once. */
  #own(): SocketName {
    this.#ownName ??= this._handle?.ownName ?? null;
    if (this.#ownName !== null) return this.#ownName;
    const name: SocketName = {};
    this._handle?.getsockname(name);
    if (!this.connecting) this.#ownName = name;
    return name;
  }

  #peer(): SocketName {
    this.#peerName ??= this._handle?.peerName ?? null;
    if (this.#peerName !== null) return this.#peerName;
    const name: SocketName = {};
    this._handle?.getpeername(name);
    if (!this.connecting) this.#peerName = name;
    return name;
  }

  /** False when more waits than should; `onSocketDrain` tells when it has left. */
  writeText(text: string): boolean {
    if (this.broken !== null) return true;
    return this.#written(this._handle!.writeLatin1String(null, text), null);
  }

  /** @param onWritten told when the bytes are no longer needed, with an error when they did not leave */
  writeBytes(bytes: Uint8Array, onWritten: (error: Error | null) => void): boolean {
    if (this.broken !== null) {
      onWritten(this.broken);
      return true;
    }
    return this.#written(this._handle!.writeBuffer(null, bytes), onWritten);
  }

  /**
   * Lets the kernel take of `buffer[start, end)` what it has room for, after all that was written before; nothing refers to
   * the buffer afterwards. An error shows with the next ordinary write.
   * @returns how many bytes it has taken
   */
  writeNow(buffer: Buffer, start: number, end: number): number {
    const handle = this._handle;
    if (this.writes > 0 || this.connecting || this.writableEnded || handle === null) return 0;
    if (handle.writeNow !== undefined) return handle.writeNow(buffer, start, end);
    try {
      return writeSync(handle.fd, buffer, start, end - start);
    } catch {
      return 0;
    }
  }

  end(): void {
    if (this.writableEnded || this.destroyed) return;
    this.writableEnded = true;
    // libuv resets nothing whose end is on its way, and what waits may yet have to be cut short: the end comes last.
    if (!this.connecting && this.writes === 0) this.#shutdown();
  }

  /**
   * Closes at once, which ends our side behind all that was written, without an end to wait for. The peer has to have
   * nothing more to say: the kernel resets a connection that is closed before something that came was read.
   * @returns false where something still waits in this process
   */
  closeWritten(): boolean {
    if (this._handle === null || this.connecting || this.writes > 0) return false;
    this.destroy();
    return true;
  }

  destroy(error: NodeJS.ErrnoException | null = null): void {
    const handle = this.#leave(error);
    handle?.close(this.#onClosed);
  }

  /** Closes with a TCP reset, which nothing may be closed with whose end is on its way (see `Wire.reset`). */
  resetAndDestroy(): void {
    const handle = this.#leave(null);
    handle?.reset(this.#onClosed);
  }

  isPaused(): boolean {
    return this.#paused;
  }

  pause(): void {
    this.#paused = true;
    this._handle?.readStop();
  }

  /** libuv refuses to start what it has started (EALREADY), as if it could not be read. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (!this.connecting) this.#read();
  }

  setNoDelay(on: boolean): void {
    this._handle?.setNoDelay(on);
  }

  setKeepAlive(on: boolean, delayMs: number, intervalMs: number, count: number): void {
    this._handle?.setKeepAlive(on, Math.floor(delayMs / 1000), Math.floor(intervalMs / 1000), count);
  }

  /** From the next read on. */
  readInto(buffer: Buffer): void {
    this._handle?.useUserBuffer(buffer);
  }

  /** One read, from the event loop. */
  takeRead(result: number): void {
    if (result > 0) this.user!.onSocketRead(result);
    else if (result < 0) this.#peerEnded(result === UV_EOF ? 'eof' : systemError(result, 'read'));
  }

  #peerEnded(end: NodeJS.ErrnoException | 'eof'): void {
    const waits = this.#end !== null;
    // An error says more than an orderly end, which is all that a connection has to say that is broken already.
    if (!waits || end !== 'eof') this.#end = end;
    if (waits) return;
    const { ends } = this.#binding;
    if (ends.mayGoOn()) this.onTurn();
    else ends.wait(this);
  }

  /** Its user is told of the end. */
  onTurn(): void {
    const end = this.#end;
    this.#end = null;
    if (this._handle === null) return;
    if (end === 'eof') this.#ended();
    else this.destroy(end);
  }

  /** Gives the handle back, which is not read any more: the socket has only been its reader. */
  detach(): void {
    const handle = this._handle;
    if (handle === null) return;
    handle.readStop();
    handle.onread = ignore;
    this.destroyed = true;
    this._handle = null;
    this.user = null;
  }

  /** No read is told of once it is paused. */
  get stopsAtOnce(): boolean {
    return true;
  }

  get backlog(): WriteBacklog {
    return this.#binding.backlog;
  }

  get state(): Int32Array {
    return this.#binding.state;
  }

  #read(): void {
    if (this.readableEnded || this.#end !== null || this._handle === null) return;
    const status = this._handle.readStart();
    if (status !== 0) this.destroy(systemError(status, 'read'));
  }

  #ended(): void {
    if (this.readableEnded) return;
    if (this.broken !== null) return this.destroy(this.broken);
    this.readableEnded = true;
    this.user!.onSocketEnd();
    this.#closeWhenBothEnded();
  }

  #connected(status: number): void {
    if (this.destroyed) return;
    this.connecting = false;
    if (status !== 0) return this.destroy(systemError(status, 'connect'));
    this.user!.onSocketConnect();
    if (this.destroyed) return;
    if (this.writableEnded) this.#shutdown();
    if (!this.#paused) this.#read();
  }

  #written(result: number | PendingWrite, onWritten: ((error: Error | null) => void) | null): boolean {
    if (typeof result !== 'number') return this.#pending(result, onWritten);
    const error = result === 0 ? null : systemError(result, 'write');
    onWritten?.(error);
    if (error !== null && !this.#readsOnAfter(error)) this.destroy(error);
    return true;
  }

  #pending(write: PendingWrite, onWritten: ((error: Error | null) => void) | null): boolean {
    this.writes += 1;
    const done = (status: number): void => this.#wrote(status, onWritten);
    write.oncomplete = done;
    const status = write.writeStatus;
    if (typeof status === 'number') {
      write.writeStatus = null;
      done(status);
    }
    return this.hasRoom();
  }

  /** Takes what waits into account: false when that is more than should. */
  protected hasRoom(): boolean {
    this.#countQueued();
    if (this.#queuedBytes >= this.#binding.backlog.limitBytes) this.#needsDrain = true;
    return !this.#needsDrain;
  }

  #countQueued(): void {
    const bytes = this.writableLength;
    this.#binding.backlog.bytes += bytes - this.#queuedBytes;
    this.#queuedBytes = bytes;
  }

  #wrote(status: number, onWritten: ((error: Error | null) => void) | null): void {
    this.writes -= 1;
    this.#countQueued();
    const error = status < 0 ? systemError(status, 'write') : null;
    onWritten?.(error);
    if (this.destroyed) return;
    if (error !== null) {
      if (!this.#readsOnAfter(error)) this.#peerEnded(error);
    } else if (this.writes === 0) this.drained();
  }

  #readsOnAfter(error: NodeJS.ErrnoException): boolean {
    if (!this.#connects || this.readableEnded || !PEER_CLOSED.has(error.code!)) return false;
    this.broken ??= error;
    return true;
  }

  /** Nothing is being written any more. */
  protected drained(): void {
    if (this.writableEnded) this.#shutdown();
    if (!this.#needsDrain) return;
    this.#needsDrain = false;
    this.user!.onSocketDrain();
  }

  #shutdown(): void {
    if (this.readableEnded && this.closeWritten()) return;
    const handle = this._handle!;
    const status = handle.shutdown(
      this.#binding.createShutdown(handle, (result) => {
        if (this.destroyed) return;
        // The peer may have closed wholly by now; its reset shows where it is read.
        if (result < 0 && getSystemErrorName(result) !== 'ENOTCONN')
          this.destroy(systemError(result, 'shutdown'));
        else this.#finished();
      }),
    );
    if (status === 0) return;
    if (status === 1 || getSystemErrorName(status) === 'ENOTCONN') queueMicrotask(() => this.#finished());
    else this.destroy(systemError(status, 'shutdown'));
  }

  #finished(): void {
    if (this.destroyed) return;
    this.writableFinished = true;
    this.user!.onSocketFinish();
    this.#closeWhenBothEnded();
  }

  /** Nothing can come or go any more. */
  #closeWhenBothEnded(): void {
    if (this.readableEnded && this.writableFinished) this.destroy();
  }

  #leave(error: NodeJS.ErrnoException | null): SocketHandle | null {
    const handle = this._handle;
    if (handle === null) return null;
    this.destroyed = true;
    this.connecting = false;
    this.#error = error;
    this._handle = null;
    this.#countQueued();
    handle.onread = ignore;
    return handle;
  }

  readonly #onClosed = (): void => {
    this.handleClosed();
    this.user?.onSocketClose(this.#error);
    this.user = null;
  };

  protected handleClosed(): void {}
}

/** One function for all handles: which socket it is about, its handle tells. */
function onRead(this: SocketHandle): void {
  const socket = this[OWNER] as TcpSocket;
  socket.takeRead(socket.state[0]!);
}

function ignore(): void {}

/** By message: when a thousand peers leave at once, the trace of each error would cost more than the end of its socket. */
const errors = new Map<string, NodeJS.ErrnoException>();

function systemError(status: number, call: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(status);
  const message = `${call} ${code}`;
  let error = errors.get(message);
  if (error === undefined) {
    error = Object.freeze(Object.assign(new Error(message), { errno: status, code, syscall: call }));
    errors.set(message, error);
  }
  return error;
}
