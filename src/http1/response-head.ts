// The head of a response: status and reason, with the rules that need the whole head.

import { readConnection, readFraming } from './framing.ts';
import { MessageHead } from './message-head.ts';
import type { ParseFailure } from './parse-failure.ts';
import { Framing } from './step.ts';
import { reasonOf } from './write.ts';

/** A response head, filled again for each response of a connection. */
export class ResponseHead extends MessageHead {
  /** 100 to 599. */
  status = 0;
  /** Often ''. */
  reason = '';
  /** HTTP/2: the response ended with its head; in HTTP/1.1 only its framing says so. */
  ended = false;

  /** The body will have another length than the head says. */
  forgetLength(): void {
    if (this.framing === Framing.Length) this.framing = Framing.Chunked;
    this.contentLength = -1;
  }

  override release(): void {
    super.release();
    this.reason = '';
  }

  /** Applies the rules that need the whole head (RFC 9112, section 6.3); '' when it is good. */
  judge(method: string): ParseFailure | '' {
    this.ended = false;
    if (!this.recall()) {
      const failure = readFraming(this) || readConnection(this);
      if (failure !== '') return failure;
      this.remember();
    }
    const status = this.status;
    if (method === 'HEAD' || status < 200 || status === 204 || status === 304) this.framing = Framing.None;
    else if (method === 'CONNECT' && status < 300) this.framing = Framing.None;
    else if (this.framing === Framing.None) this.framing = Framing.UntilClose;
    if (this.framing === Framing.UntilClose) this.keepAlive = false;
    return '';
  }

  /**
   * The same for a head that came in HTTP/2 (RFC 9113, section 8.3.2). A body whose length is not said counts as chunked,
   * and so does what follows a CONNECT that was accepted.
   */
  takeHttp2(status: number, method: string, ended: boolean): ParseFailure | '' {
    this.status = status;
    this.reason = reasonOf(status);
    this.ended = ended;
    const failure = readFraming(this);
    if (failure !== '') return failure;
    if (method === 'HEAD' || status < 200 || status === 204 || status === 304) this.framing = Framing.None;
    else if (!ended && (this.framing === Framing.None || (method === 'CONNECT' && status < 300)))
      this.framing = Framing.Chunked;
    else if (ended && this.framing === Framing.None) {
      // HTTP/1.1 would take a response that says nothing of its length for one that lasts until the connection ends.
      this.framing = Framing.Length;
      this.contentLength = 0;
    }
    return '';
  }
}
