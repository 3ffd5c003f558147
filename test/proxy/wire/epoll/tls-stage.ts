// TLS on a descriptor with a client of Node's, whose bytes come in pieces of any size, for tests of `EpollTls`.

import { once } from 'node:events';
import type net from 'node:net';
import process from 'node:process';
import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import tls from 'node:tls';
import { loadPoller } from '../../../../src/proxy/wire/epoll/load-poller.ts';
import { loadTls } from '../../../../src/proxy/wire/epoll/tls.ts';
import type { PendingWrite, SocketHandle } from '../../../../src/proxy/wire/socket-handle.ts';
import { loadTcpBinding, type TcpBinding } from '../../../../src/proxy/wire/tcp-binding.ts';
import type { TlsContext, TlsContextOptions } from '../../../../src/proxy/wire/tls-context.ts';
import type { TlsSession } from '../../../../src/proxy/wire/tls-session.ts';
import { certificateFor } from '../../../support/certificates.ts';
import { tlsContextOptions } from '../../../support/tls.ts';
import { HandleStage, Reader } from './handle-stage.ts';

/** Null where it is not built. */
export const OWN_TLS: TcpBinding | null =
  loadTls() === null ? null : loadTcpBinding(process, loadPoller(), loadTls());

export interface Secured {
  readonly handle: SocketHandle;
  readonly session: TlsSession;
  readonly reader: Reader;
  /** The client's TCP socket, which nobody reads before `client` does. */
  readonly peer: net.Socket;
}

export interface Connected extends Secured {
  readonly client: tls.TLSSocket;
}

/** The connections of one test. */
export class TlsStage {
  readonly #tcp = OWN_TLS!;
  readonly #stage = new HandleStage(this.#tcp);
  readonly #clients: tls.TLSSocket[] = [];

  async clear(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.destroy();
    await this.#stage.clear();
  }

  async context(over: Partial<TlsContextOptions> = {}): Promise<TlsContext> {
    const { cert, key } = await certificateFor('tls.example.com');
    return this.#tcp.createTlsContexts!().create(tlsContextOptions({ cert: [cert], key: [key], ...over }));
  }

  /** An accepted connection that is read as TLS. @param bufferBytes what it is read into */
  async accept(context: TlsContext, bufferBytes = 64 * 1024): Promise<Secured> {
    const { handle: plain, peer } = await this.#stage.accept();
    const { handle, session } = this.#tcp.createTlsServer(plain, context);
    const reader = new Reader(handle, this.#tcp, bufferBytes);
    return { handle, session, reader, peer };
  }

  /** With a client whose handshake is over on both sides. @param piece bytes of the client that leave at a time */
  async connect(
    context: TlsContext,
    { piece = Number.POSITIVE_INFINITY, bufferBytes = 64 * 1024, options = {} as tls.ConnectionOptions } = {},
  ): Promise<Connected> {
    const secured = await this.accept(context, bufferBytes);
    const { handle, session, peer } = secured;
    const done = new Promise<void>((resolve, reject) => {
      session.onhandshakedone = resolve;
      session.onerror = reject;
    });
    handle.readStart();
    const client = tls.connect({
      socket: inPieces(peer, piece),
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
      ...options,
    });
    this.#clients.push(client);
    client.on('error', () => {});
    await Promise.all([done, once(client, 'secureConnect')]);
    return { ...secured, client };
  }

  closed(handle: SocketHandle): Promise<void> {
    return this.#stage.closed(handle);
  }

  written(write: number | PendingWrite): Promise<number> | number {
    return this.#stage.written(write);
  }
}

/** What is written to it leaves by `peer`, so many bytes at a time. */
function inPieces(peer: net.Socket, piece: number): Duplex {
  const stream = new Duplex({
    allowHalfOpen: true,
    read: () => peer.resume(),
    write: (chunk: Buffer, _encoding, done) => void writeAll(peer, chunk, piece).then(done, done),
    final: (done) => {
      peer.end(done);
    },
    destroy: (error, done) => {
      peer.destroy();
      done(error);
    },
  });
  peer.on('data', (chunk: Buffer) => {
    if (!stream.push(chunk)) peer.pause();
  });
  peer.on('end', () => stream.push(null));
  return stream;
}

async function writeAll(peer: net.Socket, chunk: Buffer, piece: number): Promise<undefined> {
  for (let at = 0; at < chunk.length; at += piece) {
    if (!peer.writable) return;
    peer.write(chunk.subarray(at, Math.min(at + piece, chunk.length)));
    if (piece < chunk.length) await turn();
  }
}
