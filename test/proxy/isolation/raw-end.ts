// One end of a connection whose bytes leave when a step says so, cut anywhere.

import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';

export abstract class RawEnd {
  readonly socket: Socket;
  readonly name: string;
  readonly #raw: Socket;
  /** Nothing more comes from the other side, or goes to it. */
  over = false;
  /** We have said that we send no more. */
  finished = false;
  /** Who is told of what is wrong with what came. */
  wrong: ((error: unknown) => void) | null = null;
  #queued: Buffer = Buffer.alloc(0);

  /** @param raw what TLS lies over, where there is any */
  constructor(socket: Socket, name: string, raw = socket) {
    this.socket = socket;
    this.#raw = raw;
    this.name = name;
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => this.#hear(() => this.onBytes(bytes)));
    socket.on('end', () => this.#hear(() => this.onFin()));
    socket.on('close', () => this.#hear(() => this.end()));
  }

  #hear(take: () => void): void {
    if (this.over) return;
    try {
      take();
    } catch (error) {
      this.wrong?.(error);
    }
  }

  protected abstract onBytes(bytes: Buffer): void;
  /** Called once, and not for an end of our own making. */
  protected abstract onOver(): void;

  /** The other side sends no more. */
  protected onFin(): void {
    this.end();
  }

  get queuedBytes(): number {
    return this.#queued.length;
  }

  queue(bytes: Buffer | string): void {
    const more = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
    this.#queued = Buffer.concat([this.#queued, more]);
  }

  /** @param share of what is queued, 0 to 1 */
  write(share: number): void {
    if (this.over || this.finished) return;
    const length = Math.ceil(this.#queued.length * share);
    if (length === 0) return;
    this.socket.write(this.#queued.subarray(0, length));
    this.#queued = this.#queued.subarray(length);
  }

  /** Sends what is queued, and that nothing follows. */
  finish(): void {
    this.write(1);
    this.finished = true;
    this.socket.end();
  }

  /**
   * @param reset without the kernel's farewell; not under TLS, whose client Node crashes with the reset of what it lies
   * over, nor behind an end that is on its way, for which libuv refuses it
   */
  destroy(reset: boolean): void {
    this.over = true;
    if (reset && !this.finished && this.#raw === this.socket) this.#raw.resetAndDestroy();
    this.socket.destroy();
  }

  protected end(): void {
    if (this.over) return;
    this.over = true;
    this.onOver();
    this.socket.destroy();
  }
}
