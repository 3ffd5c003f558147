// Streams that wait for a window, in the order in which they began to wait.

import type { MessageHead } from '../http1/message-head.ts';
import type { ConnectionHandler } from './handler.ts';
import type { Stream } from './stream.ts';

/** The connection's window, as `resume` sees it. */
interface Window {
  readonly sendWindow: number;
  readonly failed: boolean;
}

/** With fewer it is not worth looking who waits no more. */
const SWEPT_FROM = 64;

export class WaitingStreams<H extends MessageHead, O> {
  #streams: Stream<H, O>[] = [];
  /** With so many those go that wait no more: a client that opens no window can give up as many streams as it likes. */
  #sweptAt = SWEPT_FROM;

  add(stream: Stream<H, O>): void {
    stream.blocked = true;
    if (stream.queued) return;
    if (this.#streams.length >= this.#sweptAt) this.#sweep();
    stream.queued = true;
    this.#streams.push(stream);
  }

  #sweep(): void {
    for (const stream of this.#streams) stream.queued = stream.blocked;
    this.#streams = this.#streams.filter(({ queued }) => queued);
    this.#sweptAt = Math.max(SWEPT_FROM, 2 * this.#streams.length);
  }

  /**
   * Lets each go on that can, while the connection's window lasts. Those that block again wait behind the others, so
   * that a small window is shared in turns.
   */
  resume(window: Window, handler: ConnectionHandler<H, O>): void {
    if (this.#streams.length === 0) return;
    const waiting = this.#streams;
    this.#streams = [];
    let i = 0;
    for (; i < waiting.length && window.sendWindow > 0 && !window.failed; i++) {
      const stream = waiting[i]!;
      stream.queued = false;
      if (!stream.blocked) continue;
      if (stream.sendWindow <= 0) this.add(stream);
      else {
        stream.blocked = false;
        handler.onWindow(stream);
      }
    }
    if (i < waiting.length) this.#streams = [...waiting.slice(i), ...this.#streams];
  }
}
