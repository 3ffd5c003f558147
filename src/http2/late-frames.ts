// What a peer may still have on its way for streams that are over: it cannot know yet, so that this is no abuse.

import { FIRST_WINDOW } from './frames.ts';
import type { ConnectionOptions } from './options.ts';

/** For each stream that we have reset, beside content with something in it: a head, trailers or an empty end, a reset of its own. */
const FRAMES = 4;

/** As much as our windows let the peer send, and no more, so that whoever goes on sending is found out. */
export class LateFrames {
  readonly #window: number;
  readonly #mostBytes: number;
  #frames = 0;
  #bytes = 0;

  constructor({ streamWindow, large, connectionWindow }: ConnectionOptions) {
    this.#window = Math.max(FIRST_WINDOW, streamWindow, large?.window ?? 0);
    this.#mostBytes = Math.max(FIRST_WINDOW, connectionWindow);
  }

  /** A stream was reset. */
  expect(): void {
    this.#frames += FRAMES;
    this.#bytes = Math.min(this.#mostBytes, this.#bytes + this.#window);
  }

  /** A stream has ended in order: its peer may have given it up before, as a target does that has not read the end of the request. */
  expectReset(): void {
    this.#frames += 1;
  }

  /** @returns whether this frame may have been on its way */
  takesFrame(): boolean {
    if (this.#frames === 0) return false;
    this.#frames -= 1;
    return true;
  }

  /** @param length that of a DATA frame, with its padding */
  takesData(length: number): boolean {
    if (length === 0) return this.takesFrame();
    if (length > this.#bytes) return false;
    this.#bytes -= length;
    return true;
  }
}
