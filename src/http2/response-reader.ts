// Reads the pseudo field of responses (RFC 9113, section 8.3.2), and the trailer sections of both.

import { FieldId } from '../http1/field-id.ts';
import type { HeadLimits } from '../http1/limits.ts';
import { MessageHead } from '../http1/message-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { Framing } from '../http1/step.ts';
import type { MessageFailure } from './failures.ts';
import { Pseudo } from './field-info.ts';
import { HeadReader } from './head-reader.ts';

export class ResponseReader extends HeadReader<ResponseHead> {
  #method = '';
  #status = 0;

  /** @param method that of the request: it decides whether there is content */
  beginResponse(head: ResponseHead, limits: HeadLimits, method: string): void {
    this.begin(head, limits, 'trust');
    this.#method = method;
    this.#status = 0;
  }

  protected takePseudo(kind: number, at: number, nameLength: number, valueLength: number): number {
    if (kind !== Pseudo.Status) return this.fail('pseudo-field-unknown', at);
    if (this.#status !== 0) return this.fail('pseudo-field-duplicate', at);
    const { lines } = this;
    const start = at + nameLength + 2;
    if (valueLength !== 3) return this.fail('status-invalid', at);
    let status = 0;
    for (let p = start; p < start + 3; p++) {
      const digit = lines[p]! - 48;
      if (digit < 0 || digit > 9) return this.fail('status-invalid', at);
      status = status * 10 + digit;
    }
    // There is no 101 in HTTP/2 (RFC 9113, section 8.6).
    if (status < 100 || status > 599 || status === 101) return this.fail('status-invalid', at);
    this.#status = status;
    return at;
  }

  protected judge(ended: boolean): MessageFailure | '' {
    if (this.#status === 0) return 'pseudo-field-missing';
    const head = this.head;
    const failure = head.takeHttp2(this.#status, this.#method, ended);
    if (failure !== '') return failure;
    // An interim response is followed by a final one (RFC 9113, section 8.1).
    if (ended && head.status < 200) return 'status-invalid';
    return ended && head.framing === Framing.Length && head.contentLength > 0
      ? 'content-length-mismatch'
      : '';
  }
}

/** Trailers are read into a head of their own and passed on as text. */
export class TrailerReader extends HeadReader<MessageHead> {
  readonly section = new MessageHead();

  protected override get oversize(): MessageFailure {
    return 'trailer-too-large';
  }

  protected takePseudo(_kind: number, at: number): number {
    return this.fail('pseudo-field-in-trailers', at);
  }

  protected judge(): MessageFailure | '' {
    return this.section.has(FieldId.Host) ? 'trailer-forbidden' : '';
  }
}
