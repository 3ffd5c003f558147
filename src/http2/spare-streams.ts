// Stream objects, with their heads, that wait for their next use.

import type { MessageHead } from '../http1/message-head.ts';
import { Stream } from './stream.ts';

/** As many as are usually open at once. */
const SPARE = 64;

export class SpareStreams<H extends MessageHead> {
  readonly #makeHead: () => H;
  readonly #spare: Stream<H, unknown>[] = [];

  constructor(makeHead: () => H) {
    this.#makeHead = makeHead;
  }

  take<O>(): Stream<H, O> {
    const spare = this.#spare.pop() as Stream<H, O> | undefined;
    return spare ?? new Stream<H, O>(this.#makeHead());
  }

  /** @param stream has no owner, and nobody will use it any more */
  give(stream: Stream<H, unknown>): void {
    if (this.#spare.length < SPARE) this.#spare.push(stream);
  }

  /** Lets go of all but so many. */
  keep(most: number): void {
    if (this.#spare.length > most) this.#spare.length = most;
  }
}
