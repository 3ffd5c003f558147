// Connections by both kinds of handle, ours and libuv's, with their peers, for tests that hold them to the same.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import process from 'node:process';
import { setImmediate as turn } from 'node:timers/promises';
import { loadPoller } from '../../../../src/proxy/wire/epoll/load-poller.ts';
import { loadTls } from '../../../../src/proxy/wire/epoll/tls.ts';
import type { PendingWrite, SocketHandle } from '../../../../src/proxy/wire/socket-handle.ts';
import { loadTcpBinding, type TcpBinding } from '../../../../src/proxy/wire/tcp-binding.ts';
import { assertNoSocketLeft } from '../../../support/data-plane.ts';
import { serverHandle } from '../../../support/server-handle.ts';

export const UV_EOF = -4095;
export const ECONNRESET = -104;
export const ECONNREFUSED = -111;
export const ECANCELED = -125;

const poller = loadPoller();

export function kindsOf(): readonly (readonly [string, TcpBinding])[] {
  const libuv = loadTcpBinding(process, null, null);
  if (libuv === null) return [];
  const own = poller === null ? null : loadTcpBinding(process, poller, loadTls());
  return own === null
    ? [["libuv's handle", libuv]]
    : [
        ["libuv's handle", libuv],
        ['a descriptor', own],
      ];
}

/** What is read of a handle, in order. */
export class Reader {
  buffer: Buffer;
  text = '';
  /** Of the read that was not bytes. */
  end = 0;
  reads = 0;
  onRead: () => void = () => {};

  constructor(handle: SocketHandle, { state }: TcpBinding, bytes = 64 * 1024) {
    this.buffer = Buffer.alloc(bytes);
    handle.useUserBuffer(this.buffer);
    handle.onread = (): void => {
      const result = state[0]!;
      this.reads += 1;
      if (result > 0) this.text += this.buffer.latin1Slice(0, result);
      else this.end = result;
      this.onRead();
    };
  }
}

/** Resolves once nothing is wrong any more. */
export async function asserted(check: () => void): Promise<void> {
  for (const endsAtMs = performance.now() + 5000; performance.now() < endsAtMs; await turn()) {
    try {
      return check();
    } catch {
      // Not yet.
    }
  }
  check();
}

/** The connections of one test, of one kind. */
export class HandleStage {
  readonly handles = new Set<SocketHandle>();
  readonly #peers = new Set<net.Socket>();
  readonly #tcp: TcpBinding;

  constructor(tcp: TcpBinding) {
    this.#tcp = tcp;
  }

  /** Ends the connections of a test. */
  async clear(): Promise<void> {
    for (const handle of this.handles) handle.close();
    for (const peer of this.#peers) peer.destroy();
    this.handles.clear();
    this.#peers.clear();
    await assertNoSocketLeft();
  }

  closed(handle: SocketHandle): Promise<void> {
    this.handles.delete(handle);
    return new Promise((resolve) => handle.close(resolve));
  }

  /** An accepted connection, and the socket of its peer. */
  async accept(host = '127.0.0.1'): Promise<{ handle: SocketHandle; peer: net.Socket }> {
    const listening = this.#tcp.listening(serverHandle(host));
    const accepted = new Promise<SocketHandle>((resolve) => {
      listening.onconnection = (_status, client) => resolve(client);
    });
    assert.equal(listening.listen(16), 0);
    const name: { port?: number } = {};
    listening.getsockname(name);
    const peer = net.connect({ port: name.port!, host, noDelay: true, allowHalfOpen: true });
    this.#peers.add(peer);
    peer.on('error', () => {});
    const handle = await accepted;
    listening.close();
    this.handles.add(handle);
    if (peer.connecting) await once(peer, 'connect');
    return { handle, peer };
  }

  /** A server whose only connection is the one that `connect` begins. */
  async server(): Promise<{ port: number; peer: Promise<net.Socket> }> {
    const listening = net.createServer({ allowHalfOpen: true, noDelay: true });
    listening.listen(0, '127.0.0.1');
    await once(listening, 'listening');
    const { port } = listening.address() as net.AddressInfo;
    const peer = once(listening, 'connection').then(([socket]) => {
      listening.close();
      this.#peers.add(socket as net.Socket);
      return socket as net.Socket;
    });
    return { port, peer };
  }

  connect(port: number): { handle: SocketHandle; status: Promise<number> } {
    const handle = this.#tcp.createHandle();
    this.handles.add(handle);
    const status = new Promise<number>((resolve) => {
      assert.equal(handle.connect(this.#tcp.createConnect(resolve), '127.0.0.1', port), 0);
    });
    return { handle, status };
  }

  written(write: number | PendingWrite): Promise<number> | number {
    if (typeof write === 'number') return write;
    if (typeof write.writeStatus === 'number') return write.writeStatus;
    return new Promise((resolve) => {
      write.oncomplete = resolve;
    });
  }

  /** Writes until the kernel takes no more at all. */
  fill(handle: SocketHandle): { bytes: number; writes: PendingWrite[] } {
    const piece = Buffer.alloc(256 * 1024, 'x');
    for (let bytes = piece.length; ; bytes += piece.length) {
      const write = handle.writeBuffer(null, piece);
      if (typeof write !== 'number') return { bytes, writes: [write] };
      assert.equal(write, 0);
    }
  }
}
