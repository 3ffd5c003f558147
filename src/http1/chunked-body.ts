// Decodes a chunked body and reads its trailer section (RFC 9112, section 7.1).

import type { Buffer } from 'node:buffer';
import { CR, LF } from './bytes.ts';
import { ChunkLineScanner } from './chunk-line.ts';
import { FieldScanner, Scan, type UnderscorePolicy } from './field-scanner.ts';
import type { HeadLimits } from './limits.ts';
import { MessageHead } from './message-head.ts';
import type { ParseFailure } from './parse-failure.ts';
import { PartialBytes } from './partial-bytes.ts';
import { Step } from './step.ts';
import { forwardableTrailers } from './trailers.ts';

const At = {
  Line: 0,
  Data: 1,
  DataCr: 2,
  DataLf: 3,
  AfterLastChunk: 4,
  FinalLf: 5,
  Trailers: 6,
  End: 7,
} as const;
type At = (typeof At)[keyof typeof At];

/** One decoder for each parser that ever meets a chunked message. */
export class ChunkedBody {
  failure: ParseFailure | '' = '';
  position = 0;
  dataStart = 0;
  dataEnd = 0;
  /** Forwardable trailer lines, after the end. */
  trailers = '';
  readonly #limits: HeadLimits;
  readonly #underscores: UnderscorePolicy;
  readonly #head: MessageHead;
  readonly #line = new ChunkLineScanner();
  readonly #partial = new PartialBytes();
  #section: MessageHead | null = null;
  #fields: FieldScanner | null = null;
  #at: At = At.Line;
  #remaining = 0;
  /** Extension bytes that are not yet outweighed by body bytes. */
  #excess = 0;

  constructor(limits: HeadLimits, head: MessageHead, underscores: UnderscorePolicy) {
    this.#limits = limits;
    this.#head = head;
    this.#underscores = underscores;
  }

  /** Starts a body. */
  begin(): void {
    this.#at = At.Line;
    this.#line.begin();
    this.#excess = 0;
    this.trailers = '';
    this.#partial.release();
  }

  /** The parser's `next` while in the body: NeedMore, Body, End or Failed. */
  next(buffer: Buffer, start: number, end: number): Step {
    let p = start;
    while (p < end) {
      switch (this.#at) {
        case At.Line: {
          const maxExtension = this.#limits.chunkExtensionBytes - this.#excess;
          const scan = this.#line.scan(buffer, p, end, maxExtension);
          if (scan === Scan.Failed) return this.#fail(this.#line.failure as ParseFailure);
          p = this.#line.position;
          if (scan === Scan.Done) this.#beginChunk();
          break;
        }
        case At.Data: {
          const n = Math.min(this.#remaining, end - p);
          this.#remaining -= n;
          if (this.#remaining === 0) this.#at = At.DataCr;
          this.dataStart = p;
          this.dataEnd = p + n;
          this.position = p + n;
          return Step.Body;
        }
        case At.DataCr:
          if (buffer[p] !== CR) return this.#fail('chunk-data-end');
          this.#at = At.DataLf;
          p++;
          break;
        case At.DataLf:
          if (buffer[p] !== LF) return this.#fail('chunk-data-end');
          this.#at = At.Line;
          this.#line.begin();
          p++;
          break;
        case At.AfterLastChunk:
          if (buffer[p] === CR) {
            this.#at = At.FinalLf;
            p++;
          } else this.#beginTrailers();
          break;
        case At.FinalLf:
          if (buffer[p] !== LF) return this.#fail('bare-cr');
          return this.#end(p + 1);
        case At.Trailers:
          return this.#readTrailers(buffer, p, end);
        case At.End:
          return this.#end(p);
      }
    }
    this.position = end;
    return Step.NeedMore;
  }

  #beginChunk(): void {
    const size = this.#line.size;
    this.#excess = Math.max(0, this.#excess + this.#line.extensionBytes - size);
    this.#remaining = size;
    this.#at = size === 0 ? At.AfterLastChunk : At.Data;
  }

  #beginTrailers(): void {
    this.#section ??= new MessageHead();
    this.#fields ??= new FieldScanner(this.#section, this.#limits.headerCount, this.#underscores);
    this.#section.reset();
    this.#fields.begin(0);
    this.#at = At.Trailers;
  }

  #readTrailers(buffer: Buffer, start: number, end: number): Step {
    const section = this.#section!;
    const fields = this.#fields!;
    const partial = this.#partial;
    const before = partial.length;
    partial.append(buffer, start, Math.min(end, start + this.#limits.trailerBytes - before));
    const scan = fields.scan(partial.bytes, 0, partial.length);
    if (scan === Scan.Failed) return this.#fail(fields.failure as ParseFailure);
    if (scan === Scan.More) {
      if (partial.length >= this.#limits.trailerBytes) return this.#fail('trailer-too-large');
      this.position = end;
      return Step.NeedMore;
    }
    section.text = partial.bytes.toString('latin1', 0, fields.position);
    const lines = forwardableTrailers(section, this.#head);
    section.text = '';
    partial.release();
    if (lines === null) return this.#fail('trailer-forbidden');
    this.trailers = lines;
    return this.#end(start + fields.position - before);
  }

  #end(position: number): Step {
    this.#at = At.End;
    this.position = position;
    return Step.End;
  }

  #fail(failure: ParseFailure): Step {
    this.failure = failure;
    this.#partial.release();
    return Step.Failed;
  }
}
