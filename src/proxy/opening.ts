// The first bytes of an accepted connection, read before its session begins: a PROXY header, whoever sent it.

import net from 'node:net';
import { PartialBytes } from '../http1/partial-bytes.ts';
import type { ProxyProtocolIn } from '../model/config.ts';
import type { ProxyHeader } from '../proxy-protocol/header.ts';
import { readHeader } from '../proxy-protocol/read-header.ts';
import type { Deadline } from './deadlines.ts';
import type { SocketHandle } from './wire/tcp-binding.ts';
import type { WireContext } from './wire/wire.ts';

/** Why a connection came to nothing before its session: labels of the refusal counter. */
export type OpeningFailure =
  /** The bytes are no header, and one is required. */
  | 'proxy-missing'
  | 'proxy-malformed'
  | 'proxy-oversize'
  | 'proxy-checksum'
  /** The client left, or ended its side, within the header. */
  | 'proxy-incomplete'
  | 'proxy-timeout'
  | 'closed';

export interface OpeningOwner {
  /**
   * The first bytes are read; the caller takes the handle, which is not reading.
   * @param header null when the connection speaks for itself
   * @param early what came behind the header, for the session
   */
  onOpened(opening: Opening, header: ProxyHeader | null, early: Buffer | null): void;
  /** The connection is closed now, or will be when its last bytes have left; called once, never after `onOpened`. */
  onOpeningFailed(opening: Opening, reason: OpeningFailure): void;
}

export class Opening implements Deadline {
  dueAtMs = Number.POSITIVE_INFINITY;
  filedTick = -1;
  readonly handle: SocketHandle;
  /** Of the other end of the socket: the sender of the header. */
  readonly peer: string;
  readonly #owner: OpeningOwner;
  readonly #context: WireContext;
  readonly #rules: ProxyProtocolIn;
  readonly #received = new PartialBytes();
  readonly #socket: net.Socket;
  #ended = false;

  constructor(
    handle: SocketHandle,
    peer: string,
    rules: ProxyProtocolIn,
    owner: OpeningOwner,
    context: WireContext,
  ) {
    this.handle = handle;
    this.peer = peer;
    this.#rules = rules;
    this.#owner = owner;
    this.#context = context;
    this.#socket = this.#listen();
    context.deadlines.set(this, context.now() + rules.timeoutMs);
  }

  onDeadline(): void {
    // A sender always says something; a client of its own may wait for the server's word.
    if (this.#rules.mode === 'optional' && this.#received.length === 0) this.#open(null, 0);
    else this.#fail('proxy-timeout');
  }

  /** Ends it now: the listener is shut down. */
  close(): void {
    this.#fail('closed');
  }

  #listen(): net.Socket {
    const options: unknown = {
      handle: this.handle,
      allowHalfOpen: true,
      onread: {
        buffer: this.#context.readBuffer,
        callback: (length: number, buffer: Uint8Array): boolean => {
          this.#onBytes(buffer as Buffer, length);
          return true;
        },
      },
    };
    const socket = new net.Socket(options as net.SocketConstructorOpts);
    socket.on('error', () => {});
    socket.on('end', () => this.#fail('proxy-incomplete'));
    socket.on('close', () => this.#fail('proxy-incomplete'));
    return socket;
  }

  #onBytes(buffer: Buffer, length: number): void {
    if (this.#ended) return;
    const received = this.#received;
    received.append(buffer, 0, length);
    const reading = readHeader(received.bytes, received.length);
    if (reading.kind === 'more') return;
    if (reading.kind === 'refused') return this.#fail(`proxy-${reading.why}`);
    if (reading.kind === 'header') return this.#open(reading.header, reading.length);
    if (this.#rules.mode === 'required') this.#fail('proxy-missing');
    else this.#open(null, 0);
  }

  #open(header: ProxyHeader | null, length: number): void {
    if (this.#ended) return;
    this.#finish();
    const received = this.#received;
    const early =
      received.length > length ? Buffer.from(received.bytes.subarray(length, received.length)) : null;
    received.release();
    // The socket has only been the handle's first reader: without it, it is garbage.
    this.handle.readStop();
    this.handle.reading = false;
    (this.#socket as unknown as { _handle: SocketHandle | null })._handle = null;
    const { turn } = this.#context;
    turn.enter();
    try {
      this.#owner.onOpened(this, header, early);
    } finally {
      turn.leave();
    }
  }

  #fail(reason: OpeningFailure): void {
    if (this.#ended) return;
    this.#finish();
    this.#received.release();
    this.#socket.destroy();
    this.#owner.onOpeningFailed(this, reason);
  }

  #finish(): void {
    this.#ended = true;
    this.#context.deadlines.clear(this);
  }
}
