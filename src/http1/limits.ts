// How large one message head, its chunk extensions and its trailer section may be.

/** Bounds of one parser; the same verdict is reached whether the bytes come whole or one by one. */
export interface HeadLimits {
  /** Bytes of a head from the first byte of its start line to its last CRLF. RFC 9112, section 3 asks for 8,000 and more. */
  readonly headerBytes: number;
  /** Bytes of the request line or of one field line of a request, without its CRLF. Responses have no such bound. */
  readonly lineBytes: number;
  /** Field lines of one head, and of one trailer section. */
  readonly headerCount: number;
  /**
   * Chunk extension bytes that a message may be ahead of its body bytes: one long extension is refused, and so
   * is a flood of one-byte chunks that each carry a short one (RFC 9112, section 7.1.1 asks for such a bound).
   */
  readonly chunkExtensionBytes: number;
  /** Bytes of a trailer section, its last CRLF included. */
  readonly trailerBytes: number;
}

/** Interim responses before a final one, in either version. Real ones are a 100, a 103, or a 102 now and then. */
export const MAX_INTERIM = 32;
/**
 * Bytes of their heads together, no more than one final head of a target may have. They are written for a client that does not
 * read as well: no window holds heads back (RFC 9113, section 5.2.1), and a target's connection that rests holds back other clients.
 */
export const MAX_INTERIM_BYTES = 65_536;

/** What is taken of a target's answer, by requests and probes alike: whom clients get an answer from is well. */
export const ANSWER_LIMITS: HeadLimits = {
  headerBytes: 65_536,
  lineBytes: 65_536,
  headerCount: 256,
  chunkExtensionBytes: 4096,
  trailerBytes: 8192,
};
