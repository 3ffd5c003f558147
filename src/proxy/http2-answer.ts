// Answers as they go out on a stream of HTTP/2: heads in frames of their own, content as the windows open, and the end with it.

import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { Framing } from '../http1/step.ts';
import type { ServerConnection } from '../http2/server-connection.ts';
import type { ExchangeFacts } from './exchange-facts.ts';
import type { Answer } from './http/answers.ts';
import type { HttpDate } from './http/date.ts';
import {
  writeAnswerHead,
  writeConnectHead,
  writeInterimHead,
  writeResponseHead,
} from './http/http2-heads.ts';
import type { Http2Request, RequestStream } from './http2-request.ts';
import type { HeaderEdits } from './router/header-edits.ts';
import type { SendQueue } from './wire/send-queue.ts';

/** Reused with its request. */
export class Http2Answer {
  readonly #codec: ServerConnection<Http2Request>;
  readonly #queue: SendQueue<RequestHead, Http2Request>;
  readonly #date: HttpDate;
  /** Content bytes left of an answer whose length is known, or -1. */
  #left = -1;

  /** @param queue of the stream that is answered */
  constructor(
    codec: ServerConnection<Http2Request>,
    queue: SendQueue<RequestHead, Http2Request>,
    date: HttpDate,
  ) {
    this.#codec = codec;
    this.#queue = queue;
    this.#date = date;
  }

  interim(stream: RequestStream, head: ResponseHead, edits: HeaderEdits | null): void {
    writeInterimHead(this.#codec.beginHead(stream), head, edits);
    this.#codec.endHead(false);
  }

  head(stream: RequestStream, head: ResponseHead, facts: ExchangeFacts): void {
    writeResponseHead(this.#codec.beginHead(stream), head, facts, this.#date);
    // The end of a body of known length needs no frame of its own; in HTTP/2 trailers may follow even that.
    this.#left =
      head.framing === Framing.Length && (head.major === 1 || head.ended) ? head.contentLength : -1;
    this.#codec.endHead(head.framing === Framing.None || this.#left === 0);
  }

  body(buffer: Buffer, start: number, end: number): void {
    if (this.#left > 0) this.#left -= end - start;
    this.#queue.data(buffer, start, end, this.#left === 0);
  }

  end(trailers: string): void {
    this.#queue.end(trailers);
  }

  /** A whole answer of our own. */
  own(stream: RequestStream, answer: Answer, requestId: string): void {
    const body = stream.head.method === 'HEAD' ? '' : answer.body;
    writeAnswerHead(this.#codec.beginHead(stream), answer, requestId, this.#date);
    this.#codec.endHead(body === '');
    if (body !== '') this.#queue.data(Buffer.from(body, 'latin1'), 0, body.length, true);
  }

  /** The 2xx that makes the stream a tunnel (RFC 8441, section 5), with what the target's 101 says. */
  connect(stream: RequestStream, head: ResponseHead): void {
    writeConnectHead(this.#codec.beginHead(stream), head);
    this.#codec.endHead(false);
  }
}
