// One connection by its descriptor, in the place of libuv's handle: reads when it is told to, keeps what the kernel does not take.

import { OWNER, type PendingWrite, type SocketHandle, type SocketName } from '../socket-handle.ts';
import type { Poller, Watched } from './poller.ts';
import { EPOLLERR, EPOLLHUP, EPOLLOUT, EPOLLPRI, EPOLLRDHUP, type Sockets } from './sockets.ts';

const UV_EOF = -4095;
const EINTR = -4;
const EAGAIN = -11;
const ECANCELED = -125;
/** As libuv has them where only the delay is said, in seconds. */
const ASKED_AGAIN_SECONDS = 1;
const ASKED_TIMES = 10;
/** As libuv: others have their turn then. */
const READS_IN_TURN = 32;
/** Longer ones are sent as bytes (sockets.c, tls.c). */
const TEXT_BYTES = 64 * 1024 - 1;
const NOTHING = new Uint8Array(0);

/** How bytes come and go. */
export interface ByteCalls extends Pick<Sockets, 'receive' | 'sendText' | 'sendBytes' | 'shutdown'> {
  /** The descriptor is closed next. */
  forget?(fd: number): void;
}

interface ConnectRequest {
  oncomplete: (status: number) => void;
}

interface Waiting {
  readonly bytes: Uint8Array;
  readonly write: PendingWrite;
}

export class EpollHandle implements SocketHandle, Watched {
  onread: (this: SocketHandle) => void = ignore;
  /** -1 before it connects and once it is closed. */
  fd: number;
  writeQueueSize = 0;
  bytesRead = 0;
  bytesWritten = 0;
  [OWNER]?: unknown = undefined;
  peerName?: SocketName;
  ownName?: SocketName;
  readonly #poller: Poller;
  readonly #state: Int32Array;
  #calls: ByteCalls;
  #slot = -1;
  #buffer: Buffer | null = null;
  #reads = false;
  /** Something can be read, as far as is known: the kernel tells of it once. */
  #readable = false;
  /** Behind what one read takes lies more that is not told of: the end, or what follows an urgent byte, at which reads stop. */
  #moreBehind = false;
  #connecting: ConnectRequest | null = null;
  #waiting: Waiting[] | null = null;
  /** Of the first that waits. */
  #sent = 0;
  #awaitsRoom = false;
  #noDelay = false;

  /**
   * @param state `state[0]` says what was read, as that of libuv's handles
   * @param fd an accepted connection, or -1
   */
  constructor(poller: Poller, state: Int32Array, fd: number) {
    this.#poller = poller;
    this.#state = state;
    this.#calls = poller.sockets;
    this.fd = fd;
  }

  /** Bytes come and go by these calls from now on. Nothing may wait to be written. */
  by(calls: ByteCalls): void {
    this.#calls = calls;
  }

  // Reading ----------------------------------------------------------------------------------------------------------

  useUserBuffer(buffer: Buffer): void {
    this.#buffer = buffer;
  }

  readStart(): number {
    const status = this.#slot < 0 ? this.#watch() : 0;
    if (status < 0) return status;
    this.#reads = true;
    if (this.#readable) this.#readLater();
    return 0;
  }

  readStop(): number {
    this.#reads = false;
    return 0;
  }

  /** Reads first: what is sent takes the error of a reset with it, and a read behind that would say that the peer has ended. */
  onReady(events: number): void {
    if (this.#connecting !== null) this.#connected(events);
    if ((events & ~EPOLLOUT) !== 0) {
      this.#readable = true;
      this.#moreBehind = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) !== 0;
      this.#readOn();
    }
    if ((events & EPOLLOUT) !== 0 && this.#waiting !== null) this.#sendWaiting();
  }

  #readOn(): void {
    for (let reads = 0; this.#reads && this.#readable; reads += 1) {
      if (reads === READS_IN_TURN) return this.#readLater();
      const buffer = this.#buffer!;
      const result = this.#calls.receive(this.fd, buffer);
      // Whoever reads now may be another.
      if (result === EINTR) continue;
      // Less than there was room for is all there is, and what comes next is told of.
      if (result < buffer.length && !(this.#moreBehind && result > 0)) this.#readable = false;
      if (result === EAGAIN) return;
      if (result <= 0) this.#reads = false;
      else this.bytesRead += result;
      this.#state[0] = result === 0 ? UV_EOF : result;
      this.onread();
    }
  }

  /** Something can be read that no event has told of. */
  readNow(): void {
    this.#readable = true;
    this.#readOn();
  }

  /** What the read that is going on tells of is not the last there is. */
  moreLiesBehind(): void {
    this.#moreBehind = true;
  }

  #readLater(): void {
    this.#poller.defer(() => this.#readOn());
  }

  #watch(): number {
    const slot = this.#poller.watch(this.fd, this);
    if (slot >= 0) this.#slot = slot;
    return slot;
  }

  // Writing ----------------------------------------------------------------------------------------------------------

  writeLatin1String(_request: null, text: string): number | PendingWrite {
    if (this.#mustWait || text.length > TEXT_BYTES)
      return this.writeBuffer(null, Buffer.from(text, 'latin1'));
    const result = this.#calls.sendText(this.fd, text);
    if (result < 0 && result !== EAGAIN) return result;
    this.bytesWritten += text.length;
    if (result === text.length) return 0;
    return this.#wait(Buffer.from(result < 0 ? text : text.slice(result), 'latin1'));
  }

  writeBuffer(_request: null, bytes: Uint8Array): number | PendingWrite {
    const result = this.#mustWait ? 0 : this.#send(bytes, 0);
    if (result < 0 && result !== EAGAIN) return result;
    this.bytesWritten += bytes.length;
    if (result === bytes.length && !this.#mustWait) return 0;
    return this.#wait(result > 0 ? bytes.subarray(result) : bytes);
  }

  /** An error shows with the next write that has to leave. */
  writeNow(bytes: Uint8Array, start: number, end: number): number {
    const result = this.#mustWait ? 0 : this.#calls.sendBytes(this.fd, bytes, start, end);
    if (result <= 0) return 0;
    this.bytesWritten += result;
    return result;
  }

  /** These calls hold something that has to leave. */
  flushLater(): void {
    if (this.#waiting === null) this.#wait(NOTHING);
  }

  #send(bytes: Uint8Array, start: number): number {
    return this.#calls.sendBytes(this.fd, bytes, start, bytes.length);
  }

  /** Behind what waits already. */
  get #mustWait(): boolean {
    return this.#waiting !== null || this.#connecting !== null;
  }

  #wait(bytes: Uint8Array): number | PendingWrite {
    const status = this.#awaitsRoom || this.#connecting !== null ? 0 : this.#awaitRoom();
    if (status < 0) return status;
    const write: PendingWrite = { oncomplete: ignore };
    this.writeQueueSize += bytes.length;
    this.#waiting ??= [];
    this.#waiting.push({ bytes, write });
    return write;
  }

  /** From the first time on: an accepted connection is not told of room before, which it nearly always has. */
  #awaitRoom(): number {
    const watched = this.#slot < 0 ? this.#watch() : 0;
    const status = watched < 0 ? watched : this.#poller.awaitRoom(this.fd, this.#slot);
    this.#awaitsRoom = status >= 0;
    return status;
  }

  #sendWaiting(): void {
    while (this.#waiting !== null) {
      const { bytes, write } = this.#waiting[0]!;
      const result = this.#send(bytes, this.#sent);
      if (result === EAGAIN) return;
      if (result >= 0) {
        this.#sent += result;
        this.writeQueueSize -= result;
        if (this.#sent < bytes.length) continue;
      } else {
        this.writeQueueSize -= bytes.length - this.#sent;
      }
      this.#sent = 0;
      this.#waiting.shift();
      if (this.#waiting.length === 0) this.#waiting = null;
      write.oncomplete(Math.min(result, 0));
    }
  }

  // Connecting -------------------------------------------------------------------------------------------------------

  connect(request: object, address: string, port: number): number {
    return this.#connect(request as ConnectRequest, 4, address, port);
  }

  connect6(request: object, address: string, port: number): number {
    return this.#connect(request as ConnectRequest, 6, address, port);
  }

  #connect(request: ConnectRequest, family: 4 | 6, address: string, port: number): number {
    const { sockets } = this.#poller;
    const fd = sockets.open(family);
    if (fd < 0) return fd;
    this.fd = fd;
    if (this.#noDelay) sockets.setNoDelay(fd, 1);
    const status = sockets.connect(fd, address, port);
    if (status < 0) return this.#failLater(request, status);
    const slot = this.#poller.watchConnecting(fd, this);
    if (slot < 0) return slot;
    this.#connecting = request;
    this.#slot = slot;
    this.#awaitsRoom = true;
    return 0;
  }

  /** As libuv, which tells of what it knows at once in its next pass: whoever waits meanwhile is answered first. */
  #failLater(request: ConnectRequest, status: number): number {
    this.#connecting = request;
    setImmediate(() => {
      if (this.#connecting !== request) return;
      this.#connecting = null;
      request.oncomplete(status);
    });
    return 0;
  }

  #connected(events: number): void {
    const request = this.#connecting!;
    const failed = (events & (EPOLLERR | EPOLLHUP)) !== 0;
    if (!failed && (events & EPOLLOUT) === 0) return;
    this.#connecting = null;
    request.oncomplete(failed ? this.#poller.sockets.error(this.fd) : 0);
  }

  // The end ----------------------------------------------------------------------------------------------------------

  shutdown(): number {
    const status = this.#calls.shutdown(this.fd);
    return status < 0 ? status : 1;
  }

  close(callback?: () => void): void {
    this.#close(0, callback);
  }

  reset(callback: () => void): number {
    this.#close(1, callback);
    return 0;
  }

  #close(reset: 0 | 1, callback: (() => void) | undefined): void {
    const waiting = this.#waiting;
    const connecting = this.#connecting;
    this.#waiting = null;
    this.#connecting = null;
    const fd = this.#leave();
    if (fd >= 0) {
      this.#calls.forget?.(fd);
      this.#poller.sockets.close(fd, reset);
    }
    if (waiting === null && connecting === null) {
      if (callback !== undefined) this.#poller.soon(callback);
      return;
    }
    this.#poller.soon(() => {
      connecting?.oncomplete(ECANCELED);
      this.writeQueueSize = 0;
      if (waiting !== null) for (const { write } of waiting) write.oncomplete(ECANCELED);
      callback?.();
    });
  }

  /** Gives the descriptor to the caller, open and watched no more: nothing may wait. */
  release(): number {
    if (this.#slot >= 0) this.#poller.sockets.leave(this.fd);
    return this.#leave();
  }

  #leave(): number {
    const { fd } = this;
    if (this.#slot >= 0) this.#poller.forget(this.#slot);
    this.#slot = -1;
    this.fd = -1;
    this.#reads = false;
    return fd;
  }

  // Options and names ------------------------------------------------------------------------------------------------

  setNoDelay(on: boolean): number {
    this.#noDelay = on;
    return this.fd < 0 ? 0 : this.#poller.sockets.setNoDelay(this.fd, on ? 1 : 0);
  }

  setKeepAlive(
    on: boolean,
    delaySeconds: number,
    intervalSeconds = ASKED_AGAIN_SECONDS,
    count = ASKED_TIMES,
  ): number {
    return this.#poller.sockets.setKeepAlive(this.fd, on ? 1 : 0, delaySeconds, intervalSeconds, count);
  }

  getsockname(out: SocketName): number {
    return this.#name(0, out);
  }

  getpeername(out: SocketName): number {
    return this.#name(1, out);
  }

  #name(peer: 0 | 1, out: SocketName): number {
    const { sockets } = this.#poller;
    const status = sockets.name(this.fd, peer);
    if (status < 0) return status;
    out.address = sockets.address();
    out.port = sockets.port();
    return 0;
  }
}

function ignore(): void {}
