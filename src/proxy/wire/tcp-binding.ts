// What Node's own `net` is built on, where it can be had: libuv's TCP handles without a stream around each.

import { BurstShare } from './burst-share.ts';
import { WriteBacklog } from './write-backlog.ts';

/** A libuv TCP handle (Node 26). Numbers below 0 are libuv errors. */
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
  /** Both ends of an accepted one, as far as they are known. */
  peerName?: SocketName;
  ownName?: SocketName;
}

/** A TLS connection of OpenSSL over a TCP handle, which it owns from then on; one write at a time. */
export interface TlsHandle extends SocketHandle {
  /** Where its own `close` finds the handle below. */
  _parent: SocketHandle;
  onhandshakedone: (this: TlsHandle) => void;
  onerror: (this: TlsHandle, error: NodeJS.ErrnoException) => void;
  /** Bytes that were read before TLS took over. */
  receive(bytes: Buffer): void;
  /** @param protocols as they stand in a ClientHello (RFC 7301, section 3.1) */
  setALPNProtocols(protocols: Buffer): void;
  setVerifyMode(requestCert: boolean, rejectUnauthorized: boolean): void;
  setOCSPResponse(response: Buffer): void;
  getALPNNegotiatedProtocol(): string | false;
  getProtocol(): string | null;
  getCipher(): { readonly name: string };
  isSessionReused(): boolean;
  getPeerCertificate(abbreviated: boolean): { readonly raw?: Buffer } | undefined;
  /** Null when the peer's certificate is good, or when none was asked for. */
  verifyError(): (Error & { readonly code: string }) | null;
  /** Frees what OpenSSL holds; not from within one of its callbacks. */
  destroySSL(): void;
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

export interface TcpBinding {
  readonly backlog: WriteBacklog;
  /** Of sockets whose peers end them. */
  readonly ends: BurstShare;
  /** `[bytes read or error]` of the read that is being told of. */
  readonly state: Int32Array;
  readonly createHandle: () => SocketHandle;
  /** Called with a status. */
  readonly createShutdown: (done: (status: number) => void) => object;
  readonly createConnect: (done: (status: number) => void) => object;
  /** @param context Node's native secure context */
  readonly createTlsServer: (handle: SocketHandle, context: object) => TlsHandle;
}

interface Internals {
  readonly stream_wrap: {
    readonly streamBaseState: Int32Array;
    readonly kReadBytesOrError: number;
    readonly ShutdownWrap: new () => { oncomplete: (status: number) => void };
  };
  readonly tcp_wrap: {
    readonly TCP: new (type: number) => SocketHandle;
    readonly TCPConnectWrap: new () => { oncomplete: (status: number) => void };
    readonly constants: { readonly SOCKET: number };
  };
  readonly tls_wrap: {
    wrap(handle: SocketHandle, context: object, isServer: boolean, hasActiveWrite: boolean): TlsHandle;
  };
}

/** Since this version a write takes null for its request, and answers with its status. */
const LEAST_MAJOR = 26;

/**
 * Null where it cannot be used: an older Node, or one that keeps its internals to itself (the permission model does).
 * Then `net.Socket` is used, which costs more (docs/decisions/0011-sockets-on-handles.md).
 */
export function loadTcpBinding(node: NodeJS.Process): TcpBinding | null {
  if (Number.parseInt(node.versions.node, 10) < LEAST_MAJOR) return null;
  const { binding } = node as unknown as {
    binding<K extends keyof Internals>(name: K): Internals[K];
  };
  try {
    const { streamBaseState, kReadBytesOrError, ShutdownWrap } = binding('stream_wrap');
    const { TCP, TCPConnectWrap, constants } = binding('tcp_wrap');
    const { wrap } = binding('tls_wrap');
    if (kReadBytesOrError !== 0) return null;
    return {
      backlog: new WriteBacklog(),
      ends: new BurstShare(setImmediate),
      state: streamBaseState,
      createHandle: () => new TCP(constants.SOCKET),
      createShutdown: (done) => {
        const request = new ShutdownWrap();
        request.oncomplete = done;
        return request;
      },
      createConnect: (done) => {
        const request = new TCPConnectWrap();
        request.oncomplete = done;
        return request;
      },
      createTlsServer: (handle, context) => {
        const tls = wrap(handle, context, true, false);
        tls._parent = handle;
        return tls;
      },
    };
  } catch {
    return null;
  }
}
