// What one call of a parser found.

/**
 * `NeedMore`: everything given is consumed. `Head`: a head is complete. `Body`: decoded bytes lie in
 * `buffer[dataStart, dataEnd)`. `End`: the message ended here. `Failed`: the bytes are refused for good.
 * `Interim`: the head of a 1xx response other than 101; the final one follows.
 */
export const Step = { NeedMore: 0, Head: 1, Body: 2, End: 3, Failed: 4, Interim: 5 } as const;
export type Step = (typeof Step)[keyof typeof Step];

/** How the end of a body is found (RFC 9112, section 6.3). */
export const Framing = { None: 0, Length: 1, Chunked: 2, UntilClose: 3 } as const;
export type Framing = (typeof Framing)[keyof typeof Framing];
