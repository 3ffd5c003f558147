// The head of a response: status and reason, with the rules that need the whole head.

import { readConnection, readFraming } from './framing.ts';
import { MessageHead } from './message-head.ts';
import type { ParseFailure } from './parse-failure.ts';
import { Framing } from './step.ts';

/** A response head, filled again for each response of a connection. */
export class ResponseHead extends MessageHead {
  /** 100 to 599. */
  status = 0;
  /** Often ''. */
  reason = '';

  override release(): void {
    super.release();
    this.reason = '';
  }

  /** Applies the rules that need the whole head (RFC 9112, section 6.3); '' when it is good. */
  judge(method: string): ParseFailure | '' {
    const failure = readFraming(this) || readConnection(this);
    if (failure !== '') return failure;
    const status = this.status;
    if (method === 'HEAD' || status < 200 || status === 204 || status === 304) this.framing = Framing.None;
    else if (method === 'CONNECT' && status < 300) this.framing = Framing.None;
    else if (this.framing === Framing.None) this.framing = Framing.UntilClose;
    if (this.framing === Framing.UntilClose) this.keepAlive = false;
    return '';
  }
}
