// What was sent of a request's body, kept while it may have to be sent again.

/** A longer body is not replayable. */
const REPLAY_LIMIT = 64 * 1024;

export class SentRequest {
  /** While the request is replayable, all of the body that was sent; latin1. */
  body = '';
  /** Lines with CRLF; '' before the end, and when there were none. */
  trailers = '';
  /** The method allows it, and nothing that was sent has been forgotten. */
  replayable = false;

  reset(): void {
    this.body = '';
    this.trailers = '';
    this.replayable = false;
  }

  keepBody(buffer: Buffer, start: number, end: number): void {
    if (!this.replayable) return;
    if (this.body.length + end - start > REPLAY_LIMIT) this.replayable = false;
    else this.body += buffer.latin1Slice(start, end);
  }
}
