// What sockets are made by, where it can be had: descriptors past libuv, or libuv's TCP handles without a stream around each.

import { BurstShare } from './burst-share.ts';
import { EpollHandle } from './epoll/epoll-handle.ts';
import { EpollListening } from './epoll/epoll-listening.ts';
import { EpollTls } from './epoll/epoll-tls.ts';
import { EpollTlsContexts } from './epoll/epoll-tls-contexts.ts';
import type { Poller } from './epoll/poller.ts';
import type { LoadedTls, TlsNative } from './epoll/tls.ts';
import { NodeTls, type TlsHandle } from './node-tls.ts';
import type { ListeningHandle, SocketHandle } from './socket-handle.ts';
import type { TlsContext, TlsContexts } from './tls-context.ts';
import type { TlsServer } from './tls-session.ts';
import { WriteBacklog } from './write-backlog.ts';

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
  /** Null where TLS takes Node's contexts. */
  readonly createTlsContexts: (() => TlsContexts) | null;
  /** To be called a few times a second: gives back what TLS keeps for connections that are not used. */
  readonly rest: () => void;
  /** Of an accepted connection, which nobody reads any more. @throws Error where there is no memory for it */
  readonly createTlsServer: (handle: SocketHandle, context: TlsContext) => TlsServer;
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
 * @param poller null where connections are to be libuv's
 * @param tls null where TLS is to be Node's
 */
export function loadTcpBinding(
  node: NodeJS.Process,
  poller: Poller | null,
  tls: LoadedTls | null,
): TcpBinding | null {
  if (Number.parseInt(node.versions.node, 10) < LEAST_MAJOR) return null;
  try {
    const libuv = bindingOf(node);
    if (poller === null || libuv === null) return libuv;
    const plain = past(libuv, poller);
    return tls === null ? plain : withTls(plain, tls);
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
  const toLibuv = (handle: SocketHandle): SocketHandle => {
    if (!(handle instanceof EpollHandle)) return handle;
    const own = new TCP(constants.SOCKET);
    own.open(handle.release());
    if (handle.peerName !== undefined) own.peerName = handle.peerName;
    if (handle.ownName !== undefined) own.ownName = handle.ownName;
    return own;
  };
  return {
    backlog: new WriteBacklog(),
    ends: new BurstShare(setImmediate),
    state: streamBaseState,
    defer: setImmediate,
    listening: (handle) => handle,
    createHandle: () => new TCP(constants.SOCKET),
    toLibuv,
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
    rest: () => {},
    createTlsContexts: null,
    createTlsServer: (handle, { native, asked }) => {
      const below = toLibuv(handle);
      const tls = wrap(below, native, true, false);
      tls._parent = below;
      return { handle: tls, session: new NodeTls(tls, asked) };
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
    // TLS may be libuv's.
    createShutdown: (handle, done) =>
      handle instanceof EpollHandle ? { oncomplete: done } : libuv.createShutdown(handle, done),
    createConnect: (oncomplete) => ({ oncomplete }),
  };
}

/** TLS of accepted connections by their descriptors too (docs/decisions/0034-tls-past-libuv.md). */
function withTls(plain: TcpBinding, tls: LoadedTls): TcpBinding {
  return {
    ...plain,
    rest: () => tls.calls.rest(),
    createTlsContexts: () => new EpollTlsContexts(tls.calls),
    createTlsServer: (handle, { native }) => {
      if (!(handle instanceof EpollHandle)) throw new TypeError('not a handle of ours');
      const session = new EpollTls(handle, tls);
      if (tls.calls.open(handle.fd, native as TlsNative) < 0) throw new Error('no memory for TLS');
      handle.by(session);
      return { handle, session };
    },
  };
}
