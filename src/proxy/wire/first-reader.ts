// Reads an accepted handle before it is known who will own it, and hands it on without closing it.

import net from 'node:net';
import type { SocketHandle } from './socket-handle.ts';
import { type SocketUser, TcpSocket } from './tcp-socket.ts';
import type { WireContext } from './wire.ts';

export interface FirstReaderOwner {
  /** Bytes are valid only during the call. */
  onFirstBytes(buffer: Buffer, length: number): void;
  /** The peer has ended its side, or the connection is gone; called once. */
  onFirstEnd(): void;
}

export interface FirstReader {
  /** The handle belongs to the caller, and is not read any more. */
  detach(): void;
  destroy(): void;
}

/** On the handle itself where that can be had, else on a socket of `net`. */
export function readFirst(handle: SocketHandle, owner: FirstReaderOwner, context: WireContext): FirstReader {
  return context.tcp === null
    ? new NetReader(handle, owner, context)
    : new HandleReader(handle, owner, context);
}

class HandleReader implements FirstReader, SocketUser {
  readonly #socket: TcpSocket;
  readonly #owner: FirstReaderOwner;
  readonly #buffer: Buffer;
  #ended = false;

  constructor(handle: SocketHandle, owner: FirstReaderOwner, context: WireContext) {
    this.#owner = owner;
    this.#buffer = context.reads.first;
    this.#socket = new TcpSocket(handle, context.reads.first, context.tcp!);
    this.#socket.begin(this, true);
  }

  detach(): void {
    this.#ended = true;
    this.#socket.detach();
  }

  destroy(): void {
    this.#ended = true;
    this.#socket.destroy();
  }

  onSocketRead(length: number): void {
    if (!this.#ended) this.#owner.onFirstBytes(this.#buffer, length);
  }

  onSocketEnd(): void {
    this.#end();
  }

  onSocketClose(): void {
    this.#end();
  }

  onSocketConnect(): void {}

  onSocketDrain(): void {}

  onSocketFinish(): void {}

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#owner.onFirstEnd();
  }
}

class NetReader implements FirstReader {
  readonly #handle: SocketHandle;
  readonly #socket: net.Socket;
  #ended = false;

  constructor(handle: SocketHandle, owner: FirstReaderOwner, context: WireContext) {
    this.#handle = handle;
    const options: unknown = {
      handle,
      allowHalfOpen: true,
      onread: {
        buffer: context.reads.first,
        callback: (length: number, buffer: Uint8Array): boolean => {
          if (!this.#ended) owner.onFirstBytes(buffer as Buffer, length);
          return true;
        },
      },
    };
    const socket = new net.Socket(options as net.SocketConstructorOpts);
    this.#socket = socket;
    const end = (): void => {
      if (this.#ended) return;
      this.#ended = true;
      owner.onFirstEnd();
    };
    socket.on('error', () => {});
    socket.on('end', end);
    socket.on('close', end);
  }

  detach(): void {
    this.#ended = true;
    this.#handle.readStop();
    this.#handle.reading = false;
    // Without the handle the socket is garbage.
    (this.#socket as unknown as { _handle: SocketHandle | null })._handle = null;
  }

  destroy(): void {
    this.#ended = true;
    this.#socket.destroy();
  }
}
