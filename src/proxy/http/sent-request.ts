// What was sent of a request, kept while it may have to be sent again.

import { CHUNK_SUFFIX, chunkPrefix } from '../../http1/write.ts';

/** A longer request is not replayable. */
const REPLAY_LIMIT = 64 * 1024;

export class SentRequest {
  /** Head and, while the request is replayable, all that followed; latin1. Empty before the first attempt. */
  text = '';
  /** The method allows it, and nothing that was sent has been forgotten. */
  replayable = false;

  reset(): void {
    this.text = '';
    this.replayable = false;
  }

  keep(text: string): void {
    if (!this.replayable) return;
    if (this.text.length + text.length > REPLAY_LIMIT) this.replayable = false;
    else this.text += text;
  }

  keepBody(chunked: boolean, buffer: Buffer, start: number, end: number): void {
    if (!this.replayable) return;
    const body = buffer.latin1Slice(start, end);
    this.keep(chunked ? chunkPrefix(end - start) + body + CHUNK_SUFFIX : body);
  }
}
