// Streams that wait for a window, in the order in which they began to wait.

import type { MessageHead } from '../http1/message-head.ts';
import type { ConnectionHandler } from './handler.ts';
import type { Stream } from './stream.ts';

/** The connection's window, as `resume` sees it. */
interface Window {
  readonly sendWindow: number;
  readonly failed: boolean;
}

export class WaitingStreams<H extends MessageHead, O> {
  #streams: Stream<H, O>[] = [];

  add(stream: Stream<H, O>): void {
    stream.blocked = true;
    if (stream.queued) return;
    stream.queued = true;
    this.#streams.push(stream);
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
