// One stream of a connection: its head, its states and its windows.

import type { MessageHead } from '../http1/message-head.ts';

/** One half of a stream (RFC 9113, section 5.1). */
export const Half = { Idle: 0, Open: 1, Closed: 2 } as const;
export type Half = (typeof Half)[keyof typeof Half];

/**
 * A stream, filled again for a later one after `Connection.release`. Its fields are written by the connection alone;
 * `owner` belongs to the session.
 */
export class Stream<H extends MessageHead = MessageHead, O = unknown> {
  /** 1 to 2^31-1. */
  id = 0;
  /**
   * How often it has been opened. Whoever has told the session something compares it before going on: the object may have been
   * released meanwhile, and serve another stream, of another connection perhaps and of the same id.
   */
  generation = 0;
  /** The head that was received: valid from `onHead` until the stream is released. */
  readonly head: H;
  /** Whatever the session keeps for this stream. */
  owner: O | null = null;
  /** What the peer sends: `Open` until END_STREAM or a reset. */
  receiving: Half = Half.Idle;
  /** What we send. */
  sending: Half = Half.Idle;
  /** The request method, which decides whether its response may have content; client role only. */
  method = '';
  /** Bytes that the peer lets us send on this stream; negative after a smaller SETTINGS_INITIAL_WINDOW_SIZE. */
  sendWindow = 0;
  /** Bytes that the peer may still send on this stream. */
  receiveWindow = 0;
  /** Received and handed over, but not yet consumed. */
  unconsumed = 0;
  /** `sendData` took less than it was given: `onWindow` will be called. */
  blocked = false;
  /** Stands in the connection's queue of streams that wait for a window. */
  queued = false;
  /** The final head has come: what follows are data and trailers. */
  hasHead = false;
  /** Consumed, but not yet said to the peer. */
  credit = 0;
  /** Has the large window. */
  large = false;
  /** Content bytes that Content-Length promises and that have not come, or -1 when it does not say. */
  missing = -1;
  /** Neither side may send any more. */
  closed = true;
  /** The session has let go of it. */
  released = false;

  constructor(head: H) {
    this.head = head;
  }

  /** Becomes the stream `id`. */
  open(id: number, sendWindow: number, receiveWindow: number): void {
    this.id = id;
    this.generation += 1;
    this.receiving = Half.Open;
    this.sending = Half.Open;
    this.method = '';
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
    this.unconsumed = 0;
    this.blocked = false;
    this.hasHead = false;
    this.credit = 0;
    this.large = false;
    this.missing = -1;
    this.closed = false;
    this.released = false;
  }
}
