// What a connection is told when it is made: its limits, and what it announces in SETTINGS.

import type { UnderscorePolicy } from '../http1/field-scanner.ts';
import type { HeadLimits } from '../http1/limits.ts';

/** Bounds of one connection. */
export interface ConnectionOptions {
  /** Bounds of a head and of a trailer section; `headerBytes` is announced as SETTINGS_MAX_HEADER_LIST_SIZE. */
  readonly head: HeadLimits;
  /** Names with an underscore, as in HTTP/1.1; servers only. */
  readonly underscores: UnderscorePolicy;
  /** Streams that the peer may have open at once; servers only. 1 to 2^31-1; 100 is usual. */
  readonly maxStreams: number;
  /** Bytes that a stream may have on its way to us unread, 0 to 2^31-1; 65,535 when not announced. */
  readonly streamWindow: number;
  /** What streams have instead once their bytes are taken as they come, so many of them at once; clients only. */
  readonly large?: { readonly window: number; readonly streams: number };
  /**
   * The same for all streams together, 65,535 to 2^31-1. A server opens it with what is taken, so that it bounds what the streams
   * of one client hold; a client opens it at once, so that streams whose bytes nobody takes hold up no others.
   */
  readonly connectionWindow: number;
  /** Announce extended CONNECT (RFC 8441); servers only. */
  readonly extendedConnect: boolean;
}
