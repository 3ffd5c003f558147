// Answers as they go out on an HTTP/1.1 connection: heads in our own framing, and whether the connection stays open.

import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { lastChunk } from '../http1/write.ts';
import type { ExchangeFacts } from './exchange-facts.ts';
import { type Answer, answerText } from './http/answers.ts';
import { writeBody } from './http/body.ts';
import type { HttpDate } from './http/date.ts';
import {
  buildInterimHead,
  buildResponseHead,
  type DownstreamFraming,
  downstreamFraming,
} from './http/response-head.ts';
import type { HeaderEdits } from './router/header-edits.ts';
import type { Wire } from './wire/wire.ts';

export class Http1Answer {
  /** Whether the connection stays open after the answer in progress; what its head says. */
  keepAlive = false;
  readonly #wire: Wire;
  readonly #date: HttpDate;
  #framing: DownstreamFraming = 'none';

  constructor(wire: Wire, date: HttpDate) {
    this.#wire = wire;
    this.#date = date;
  }

  /** 1xx answers pass to clients that can read them (RFC 9110, section 15.2). */
  interim(head: ResponseHead, { minor }: RequestHead, edits: HeaderEdits | null): void {
    if (minor === 1) this.#wire.text(buildInterimHead(head, edits));
  }

  head(head: ResponseHead, facts: ExchangeFacts, { minor }: RequestHead, mayKeepAlive: boolean): void {
    this.#framing = downstreamFraming(head, minor);
    this.keepAlive = this.#framing !== 'until-close' && mayKeepAlive;
    this.#wire.text(
      buildResponseHead(head, {
        framing: this.#framing,
        requestId: facts.requestId,
        date: this.#date,
        edits: facts.match.rule!.filters.response,
        captures: facts.match.captures,
        clientMinor: minor,
        keepAlive: this.keepAlive,
      }),
    );
  }

  body(buffer: Buffer, start: number, end: number): void {
    writeBody(this.#wire, this.#framing === 'chunked', buffer, start, end);
  }

  end(trailers: string): void {
    if (this.#framing === 'chunked') this.#wire.text(lastChunk(trailers));
  }

  /** A whole answer of our own. */
  own(answer: Answer, requestId: string, { minor, method }: RequestHead, mayKeepAlive: boolean): void {
    this.keepAlive = !answer.close && mayKeepAlive;
    this.#wire.text(
      answerText(answer, {
        date: this.#date.toString(),
        requestId,
        keepAlive: this.keepAlive,
        clientMinor: minor,
        isHead: method === 'HEAD',
      }),
    );
  }

  /** To what was no request that could be read; the connection closes with it. */
  refusal(answer: Answer, isHead: boolean): void {
    this.keepAlive = false;
    this.#wire.text(
      answerText(answer, {
        date: this.#date.toString(),
        requestId: '',
        keepAlive: false,
        clientMinor: 1,
        isHead,
      }),
    );
  }
}
