// What sockets are made by, where it can be had: descriptors past libuv, or libuv's TCP handles without a stream around each.

import { BurstShare } from './burst-share.ts';
import { EpollHandle } from './epoll/epoll-handle.ts';
import { EpollListening } from './epoll/epoll-listening.ts';
import type { Poller } from './epoll/poller.ts';
import type { ListeningHandle, SocketHandle } from './socket-handle.ts';
import { WriteBacklog } from './write-backlog.ts';

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

export interface TcpBinding {
  readonly backlog: WriteBacklog;
  /** Of sockets whose peers end them. */
  readonly ends: BurstShare;
  /** `[bytes read or error]` of the read that is being told of. */
  readonly state: Int32Array;
  /** Runs a task after what the event loop has at hand, and before it waits for more. */
  readonly defer: (task: () => void) => void;
  /** What accepts from a socket of the supervisor. */
  readonly listening: (handle: ListeningHandle) => ListeningHandle;
  readonly createHandle: () => SocketHandle;
  /** A handle of libuv for the same connection, of which nothing may wait to be written: Node's TLS and `net` take no other. */
  readonly toLibuv: (handle: SocketHandle) => SocketHandle;
  /** Called with a status. */
  readonly createShutdown: (handle: SocketHandle, done: (status: number) => void) => object;
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
    readonly TCP: new (type: number) => SocketHandle & { open(fd: number): number };
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
 * @param poller null where plain connections are to be libuv's
 */
export function loadTcpBinding(node: NodeJS.Process, poller: Poller | null): TcpBinding | null {
  if (Number.parseInt(node.versions.node, 10) < LEAST_MAJOR) return null;
  try {
    const libuv = bindingOf(node);
    return poller === null || libuv === null ? libuv : past(libuv, poller);
  } catch {
    return null;
  }
}

function bindingOf(node: NodeJS.Process): TcpBinding | null {
  const { binding } = node as unknown as {
    binding<K extends keyof Internals>(name: K): Internals[K];
  };
  const { streamBaseState, kReadBytesOrError, ShutdownWrap } = binding('stream_wrap');
  const { TCP, TCPConnectWrap, constants } = binding('tcp_wrap');
  const { wrap } = binding('tls_wrap');
  if (kReadBytesOrError !== 0) return null;
  return {
    backlog: new WriteBacklog(),
    ends: new BurstShare(setImmediate),
    state: streamBaseState,
    defer: setImmediate,
    listening: (handle) => handle,
    createHandle: () => new TCP(constants.SOCKET),
    toLibuv: (handle) => {
      if (!(handle instanceof EpollHandle)) return handle;
      const own = new TCP(constants.SOCKET);
      own.open(handle.release());
      if (handle.peerName !== undefined) own.peerName = handle.peerName;
      if (handle.ownName !== undefined) own.ownName = handle.ownName;
      return own;
    },
    createShutdown: (_handle, done) => {
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
}

/** Plain connections by their descriptors (docs/decisions/0032-sockets-past-libuv.md). */
function past(libuv: TcpBinding, poller: Poller): TcpBinding {
  const { state } = libuv;
  return {
    ...libuv,
    ends: new BurstShare(poller.defer),
    defer: poller.defer,
    listening: (handle) => new EpollListening(handle, poller, state),
    createHandle: () => new EpollHandle(poller, state, -1),
    // TLS is libuv's.
    createShutdown: (handle, done) =>
      handle instanceof EpollHandle ? { oncomplete: done } : libuv.createShutdown(handle, done),
    createConnect: (oncomplete) => ({ oncomplete }),
  };
}
