// What sockets are built on: the handle of one connection, libuv's or our own.

/** A TCP socket as libuv's handles are in Node 26; `EpollHandle` is like them. Numbers below 0 are libuv errors. */
export interface SocketHandle {
  /** Called with this handle for each read; what was read is in `state[0]`. */
  onread: (this: SocketHandle) => void;
  /** The note of `net` that it has called `readStart`. */
  reading?: boolean;
  readonly fd: number;
  /** Bytes that wait in this process. */
  readonly writeQueueSize: number;
  readonly bytesRead: number;
  /** All bytes that were handed over so far. */
  readonly bytesWritten: number;
  useUserBuffer(buffer: Buffer): void;
  readStart(): number;
  readStop(): number;
  /** 0 or an error when it was done (or failed) at once, else the write that goes on. */
  writeLatin1String(request: null, text: string): number | PendingWrite;
  writeBuffer(request: null, bytes: Uint8Array): number | PendingWrite;
  /**
   * Ours alone: how many bytes of `bytes[start, end)` the kernel has taken. Nothing is kept, and nothing taken while an earlier write
   * waits.
   */
  writeNow?(bytes: Uint8Array, start: number, end: number): number;
  /** 1 when there was nothing to wait for. */
  shutdown(request: object): number;
  close(callback?: () => void): void;
  reset(callback: () => void): number;
  setNoDelay(on: boolean): number;
  /** Without interval and count, the system's. */
  setKeepAlive(on: boolean, delaySeconds: number, intervalSeconds?: number, count?: number): number;
  connect(request: object, address: string, port: number): number;
  connect6(request: object, address: string, port: number): number;
  getsockname(out: SocketName): number;
  getpeername(out: SocketName): number;
  [OWNER]?: unknown;
  /** Below one of Node's TLS. */
  _parent?: SocketHandle;
  /** Both ends of an accepted one, as far as they are known. */
  peerName?: SocketName;
  ownName?: SocketName;
}

/** A socket that listens, bound by the supervisor and received over IPC: what `net` keeps in `_handle`. */
export interface ListeningHandle extends Pick<SocketHandle, 'setNoDelay' | 'setKeepAlive' | 'fd'> {
  onconnection: ((status: number, client: SocketHandle) => void) | null;
  listen(backlog: number): number;
  close(callback?: () => void): void;
  getsockname(out: SocketName): number;
}

export interface SocketName {
  address?: string;
  port?: number;
}

/** A write that the kernel could not take at once; libuv keeps what is left of a text, not of a buffer. */
export interface PendingWrite {
  oncomplete: (status: number) => void;
  /** Set when it was done before `oncomplete` could be. */
  writeStatus?: number | null;
}

/** Who is called for a handle. */
export const OWNER: unique symbol = Symbol('owner');
