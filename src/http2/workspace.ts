// Scratch memory that all connections of a worker share: heads are read and written one at a time.

import { Buffer } from 'node:buffer';
import { ResponseHead } from '../http1/response-head.ts';
import { RequestReader } from './request-reader.ts';
import { ResponseReader, TrailerReader } from './response-reader.ts';
import { SpareStreams } from './spare-streams.ts';

const FIRST_BYTES = 16 * 1024;

export class Workspace {
  /** Of all connections to targets: each carries a hundred requests or so. */
  readonly responseStreams = new SpareStreams(() => new ResponseHead());
  readonly request = new RequestReader();
  readonly response = new ResponseReader();
  readonly trailers = new TrailerReader();
  /** Where header blocks are written. */
  block: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #text: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #lines: Buffer = Buffer.alloc(0);

  /** Makes room for heads of `listBytes` that come in blocks of at most `blockBytes`. */
  reserve(listBytes: number, blockBytes: number): void {
    // The list is full when one more field is read: a string of the block, which Huffman code made up to 8/5 shorter,
    // and a name of as many bytes or from the table.
    const bytes = listBytes + 4 * blockBytes + FIRST_BYTES;
    if (bytes <= this.#lines.length) return;
    this.#lines = Buffer.allocUnsafeSlow(bytes);
    this.request.lines = this.#lines;
    this.response.lines = this.#lines;
    this.trailers.lines = this.#lines;
  }

  /** At least `bytes` for text that is to be encoded. */
  textOf(bytes: number): Buffer {
    if (bytes > this.#text.length) this.#text = Buffer.allocUnsafeSlow(2 * bytes);
    return this.#text;
  }

  /** A larger `block` with what is in it. */
  growBlock(bytes: number): Buffer {
    const grown = Buffer.allocUnsafeSlow(2 * bytes);
    this.block.copy(grown);
    this.block = grown;
    return grown;
  }
}
