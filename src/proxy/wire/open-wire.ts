// Makes wires: of connections that were accepted, and to targets.

import net from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { sendBeforeHandshake } from '../tls/before-handshake.ts';
import type { SecureSocket } from './secure-socket.ts';
import type { SocketHandle } from './socket-handle.ts';
import { TcpSocket } from './tcp-socket.ts';
import type { TlsSocket } from './tls-socket.ts';
import { Wire, type WireContext, type WireOwner } from './wire.ts';

/** What a socket of Node's takes before it asks its writer to wait. */
const HIGH_WATER_BYTES = 256 * 1024;

/** An accepted plain connection, which reads into the shared buffer (docs/decisions/0003-accepting-connections.md). */
export function acceptedWire(handle: SocketHandle, owner: WireOwner, context: WireContext): Wire {
  if (context.tcp === null) return overNet({ handle }, owner, context).wire;
  const socket = new TcpSocket(handle, context.reads.first, context.tcp);
  const wire = new Wire(socket, owner, context);
  socket.begin(wire, true);
  return wire;
}

/** @param host an IP address, or a name, which `net` looks up */
export function connectingWire(host: string, port: number, owner: WireOwner, context: WireContext): Wire {
  if (context.tcp === null || net.isIP(host) === 0) {
    const { wire, socket } = overNet({}, owner, context);
    socket.once('connect', () => wire.onSocketConnect());
    socket.connect({ host, port, autoSelectFamily: false, lookup: context.lookup });
    return wire;
  }
  const socket = new TcpSocket(null, context.reads.first, context.tcp);
  const wire = new Wire(socket, owner, context);
  socket.begin(wire, false);
  socket.connect(host, port);
  return wire;
}

/**
 * A TLS connection to a target, which connects at once; `secureConnect` comes when its handshake is over.
 * @param first goes out in the clear before the handshake; null where nothing does
 */
export function secureWireTo(
  address: { readonly host: string; readonly port: number },
  options: ConnectionOptions,
  first: (() => Buffer) | null,
  owner: WireOwner,
  context: WireContext,
): Wire {
  const reading = readInto(context);
  const given: unknown = {
    ...options,
    ...address,
    lookup: context.lookup,
    autoSelectFamily: false,
    allowHalfOpen: true,
    highWaterMark: HIGH_WATER_BYTES,
    onread: reading.onread,
  };
  const socket = connect(given as ConnectionOptions);
  if (first !== null) sendBeforeHandshake(socket, first, context.tcp !== null);
  reading.wire = new Wire(socket, owner, context);
  listen(reading.wire, socket);
  return reading.wire;
}

/** An accepted TLS socket after its handshake. */
export function secureWire(
  socket: TlsSocket | (TLSSocket & SecureSocket),
  owner: WireOwner,
  context: WireContext,
): Wire {
  const wire = new Wire(socket, owner, context);
  if (!(socket instanceof TcpSocket)) listen(wire, socket);
  socket.takenBy(wire);
  return wire;
}

function overNet(
  more: { readonly handle?: object },
  owner: WireOwner,
  context: WireContext,
): { readonly wire: Wire; readonly socket: net.Socket } {
  const reading = readInto(context);
  const options = {
    ...more,
    allowHalfOpen: true,
    writableHighWaterMark: HIGH_WATER_BYTES,
    onread: reading.onread,
  };
  const socket = new net.Socket(options as net.SocketConstructorOpts);
  const wire = new Wire(socket, owner, context);
  reading.wire = wire;
  listen(wire, socket);
  return { wire, socket };
}

interface Reading {
  /** Null until there is a socket. */
  wire: Wire | null;
  readonly onread: net.OnReadOpts;
}

/** A socket of Node's reads into the shared buffer too. */
function readInto({ reads }: WireContext): Reading {
  const reading: Reading = {
    wire: null,
    onread: {
      buffer: reads.first,
      callback: (length, buffer): boolean => {
        reading.wire?.receive(buffer as Buffer, length);
        return true;
      },
    },
  };
  return reading;
}

/** A socket of Node's tells its error before its end. */
function listen(wire: Wire, socket: net.Socket | TLSSocket): void {
  let error: NodeJS.ErrnoException | null = null;
  socket.on('end', () => wire.onSocketEnd());
  socket.on('drain', () => wire.onSocketDrain());
  socket.on('finish', () => wire.onSocketFinish());
  socket.on('error', (cause: NodeJS.ErrnoException) => {
    error = cause;
  });
  socket.on('close', () => wire.onSocketClose(error));
}
