// The body that the backend answers with and the driver expects, so that both need to know nothing but its length.

const LINE = 'The quick brown fox jumps over the lazy dog. ';

/** ASCII text of exactly `length` bytes. */
export function fixedBody(length: number): string {
  return LINE.repeat(Math.ceil(length / LINE.length)).slice(0, length);
}
