// What both parsers share: collecting a head that arrives in pieces, and the body behind it.

import type { Buffer } from 'node:buffer';
import type { FailureCode } from '../model/failures.ts';
import { ChunkedBody } from './chunked-body.ts';
import { Scan, type UnderscorePolicy } from './field-scanner.ts';
import type { HeadLimits } from './limits.ts';
import type { MessageHead } from './message-head.ts';
import type { ParseFailure } from './parse-failure.ts';
import { PartialBytes } from './partial-bytes.ts';
import { Framing, Step } from './step.ts';

/** `Closed` accepts no byte; `Start` is before the first byte of a message. */
export const Stage = {
  Closed: 0,
  Start: 1,
  Head: 2,
  Length: 3,
  Chunked: 4,
  UntilClose: 5,
  End: 6,
  Failed: 7,
} as const;
export type Stage = (typeof Stage)[keyof typeof Stage];

/**
 * The base of both parsers. A head that lies whole in the given buffer is read there; one that does not is copied,
 * at most `headerBytes` of it, and the scan goes on where it stopped. Every byte is judged once and in order, so the
 * verdict cannot depend on how the bytes were cut.
 */
export abstract class MessageParser {
  /** After `next`: how far the buffer is consumed. */
  position = 0;
  /** After `Step.Body`: the decoded bytes are `buffer[dataStart, dataEnd)`. */
  dataStart = 0;
  dataEnd = 0;
  /** After `Step.End` of a chunked message: its forwardable trailer lines, each with CRLF. */
  trailers = '';
  /** After `Step.Failed`: why. */
  failure: ParseFailure | '' = '';
  readonly #limits: HeadLimits;
  readonly #underscores: UnderscorePolicy;
  readonly #partial = new PartialBytes();
  #chunked: ChunkedBody | null = null;
  #remaining = 0;
  #stage: Stage;

  constructor(limits: HeadLimits, underscores: UnderscorePolicy, stage: Stage) {
    this.#limits = limits;
    this.#underscores = underscores;
    this.#stage = stage;
  }

  /** What the failure means for the exchange; only after `Step.Failed`. */
  abstract get failureCode(): FailureCode;

  protected abstract get messageHead(): MessageHead;
  /** How many bytes to pass over before a message begins; -1 fails (`failure` is set), 0 begins it here. */
  protected abstract skip(buffer: Buffer, start: number): number;
  /** A message begins: reset head and scanners. */
  protected abstract beginHead(): void;
  protected abstract scanHead(bytes: Buffer, base: number, end: number): Scan;
  /** The head of `length` bytes is complete: judge it. Returns Head, Interim, or Failed with `failure` set. */
  protected abstract completeHead(bytes: Buffer, base: number, length: number): Step;
  /** The reason for a head that reached the limit of bytes. */
  protected abstract get oversize(): ParseFailure;
  /** The stage after the end of a message. */
  protected abstract get stageAfterEnd(): Stage;

  protected get stage(): Stage {
    return this.#stage;
  }

  protected set stage(stage: Stage) {
    this.#stage = stage;
  }

  /**
   * Reads on in `buffer[start, end)`; call again from `position` until it answers NeedMore, which has consumed all.
   * After a head without a body the next call answers End and consumes nothing.
   */
  next(buffer: Buffer, start: number, end: number): Step {
    switch (this.#stage) {
      case Stage.Start:
      case Stage.Head:
        return this.#readHead(buffer, start, end);
      case Stage.Length:
        return this.#readLength(start, end);
      case Stage.Chunked:
        return this.#readChunked(buffer, start, end);
      case Stage.UntilClose:
        return start === end ? this.#needMore(end) : this.#body(start, end);
      case Stage.End:
        this.#stage = this.stageAfterEnd;
        this.position = start;
        return Step.End;
      case Stage.Closed:
        return start === end ? this.#needMore(end) : this.fail('response-unexpected', start);
      case Stage.Failed:
        this.position = start;
        return Step.Failed;
    }
  }

  /**
   * Lets go of the last head when nothing is under way; call it when a connection turns idle, which otherwise keeps
   * that text until its next message.
   */
  releaseHead(): void {
    if (this.#stage !== Stage.Start && this.#stage !== Stage.Closed) return;
    this.messageHead.release();
    this.trailers = '';
  }

  /** Refuses what comes from here on. */
  protected fail(failure: ParseFailure, position: number): Step {
    this.failure = failure;
    this.position = position;
    this.#stage = Stage.Failed;
    this.#partial.release();
    return Step.Failed;
  }

  #readHead(buffer: Buffer, start: number, end: number): Step {
    let base = start;
    if (this.#stage === Stage.Start) {
      while (base < end) {
        const skipped = this.skip(buffer, base);
        if (skipped < 0) return this.fail(this.failure as ParseFailure, base);
        if (skipped === 0) break;
        base += skipped;
      }
      if (base === end) return this.#needMore(end);
      this.trailers = '';
      this.beginHead();
      this.#stage = Stage.Head;
    }
    const limit = this.#limits.headerBytes;
    const partial = this.#partial;
    if (partial.length > 0) return this.#readPartialHead(buffer, base, end);
    const scanEnd = Math.min(end, base + limit);
    const scan = this.scanHead(buffer, base, scanEnd);
    if (scan === Scan.Done) return this.#complete(buffer, base, base);
    if (scan === Scan.Failed) return this.fail(this.failure as ParseFailure, base);
    if (scanEnd - base >= limit) return this.fail(this.oversize, base);
    partial.append(buffer, base, end);
    return this.#needMore(end);
  }

  #readPartialHead(buffer: Buffer, start: number, end: number): Step {
    const partial = this.#partial;
    const limit = this.#limits.headerBytes;
    const before = partial.length;
    partial.append(buffer, start, Math.min(end, start + limit - before));
    const scan = this.scanHead(partial.bytes, 0, partial.length);
    if (scan === Scan.Failed) return this.fail(this.failure as ParseFailure, start);
    if (scan === Scan.More) {
      return partial.length >= limit ? this.fail(this.oversize, start) : this.#needMore(end);
    }
    const step = this.#complete(partial.bytes, 0, start - before);
    partial.release();
    return step;
  }

  #complete(bytes: Buffer, base: number, origin: number): Step {
    const head = this.messageHead;
    const length = this.headLength;
    if (!head.repeatsFields) head.text = bytes.latin1Slice(base, base + length);
    this.position = origin + length;
    const step = this.completeHead(bytes, base, length);
    if (step === Step.Failed) return this.fail(this.failure as ParseFailure, this.position);
    if (step === Step.Interim) this.#stage = Stage.Start;
    else this.#beginBody(head);
    return step;
  }

  protected abstract get headLength(): number;

  #beginBody(head: MessageHead): void {
    switch (head.framing) {
      case Framing.None:
        this.#stage = Stage.End;
        break;
      case Framing.Length:
        this.#remaining = head.contentLength;
        this.#stage = head.contentLength === 0 ? Stage.End : Stage.Length;
        break;
      case Framing.Chunked:
        this.#chunked ??= new ChunkedBody(this.#limits, head, this.#underscores);
        this.#chunked.begin();
        this.#stage = Stage.Chunked;
        break;
      case Framing.UntilClose:
        this.#stage = Stage.UntilClose;
        break;
    }
  }

  #readLength(start: number, end: number): Step {
    if (start === end) return this.#needMore(end);
    const n = Math.min(this.#remaining, end - start);
    this.#remaining -= n;
    if (this.#remaining === 0) this.#stage = Stage.End;
    return this.#body(start, start + n);
  }

  #readChunked(buffer: Buffer, start: number, end: number): Step {
    const chunked = this.#chunked!;
    const step = chunked.next(buffer, start, end);
    if (step === Step.Failed) return this.fail(chunked.failure as ParseFailure, start);
    this.position = chunked.position;
    this.dataStart = chunked.dataStart;
    this.dataEnd = chunked.dataEnd;
    if (step === Step.End) {
      this.trailers = chunked.trailers;
      this.#stage = this.stageAfterEnd;
    }
    return step;
  }

  #body(start: number, end: number): Step {
    this.dataStart = start;
    this.dataEnd = end;
    this.position = end;
    return Step.Body;
  }

  #needMore(end: number): Step {
    this.position = end;
    return Step.NeedMore;
  }
}
