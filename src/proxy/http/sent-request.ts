// What was sent of a request's body, kept while it may have to be sent again.

/** A longer body is not replayable. */
const REPLAY_LIMIT = 64 * 1024;

export class SentRequest {
  /** What was sent of the body, as long as all of it is kept; latin1. */
  body = '';
  /** Lines with CRLF; '' before the end, and when there were none. */
  trailers = '';
  /** The client has sent all of it. */
  complete = false;
  /** The method allows it, and nothing that was sent has been forgotten. */
  replayable = false;
  /** Nothing that was sent has been forgotten: it may be sent again where nobody has looked at it. */
  whole = true;
  /** The body is kept whatever the method. */
  #keepsAll = false;

  reset(): void {
    this.body = '';
    this.trailers = '';
    this.complete = false;
    this.replayable = false;
    this.whole = true;
    this.#keepsAll = false;
  }

  /** @param refusable a target may refuse the request after a part of the body was sent */
  begin(replayable: boolean, refusable: boolean): void {
    this.replayable = replayable;
    this.#keepsAll = replayable || refusable;
  }

  keepBody(buffer: Buffer, start: number, end: number): void {
    if (this.#keepsAll && this.body.length + end - start <= REPLAY_LIMIT) {
      this.body += buffer.latin1Slice(start, end);
      return;
    }
    this.#keepsAll = false;
    this.replayable = false;
    this.whole = false;
    this.body = '';
  }

  end(trailers: string): void {
    this.trailers = trailers;
    this.complete = true;
  }
}
