// Counts complete request heads in a byte stream that may be cut anywhere.

const CR = 13;
const LF = 10;

/** Heads that ended in the chunk, and how many bytes of the next `CR LF CR LF` stand at its end. */
export interface HeadCount {
  readonly heads: number;
  readonly matched: number;
}

/** @param matched what the call for the chunk before returned; 0 for the first */
export function countHeads(chunk: Uint8Array, matched: number): HeadCount {
  let heads = 0;
  let state = matched;
  for (let index = 0; index < chunk.length; index += 1) {
    const wanted = state === 0 || state === 2 ? CR : LF;
    const byte = chunk[index];
    if (byte === wanted) state += 1;
    else state = byte === CR ? 1 : 0;
    if (state === 4) {
      heads += 1;
      state = 0;
    }
  }
  return { heads, matched: state };
}
