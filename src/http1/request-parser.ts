// The parser of a downstream connection: bytes in, requests out.

import type { Buffer } from 'node:buffer';
import type { FailureCode } from '../model/failures.ts';
import { CR, LF } from './bytes.ts';
import { FieldScanner, Scan, type UnderscorePolicy } from './field-scanner.ts';
import type { HeadLimits } from './limits.ts';
import { MessageParser, Stage } from './message-parser.ts';
import { type ParseFailure, requestFailure } from './parse-failure.ts';
import { RequestHead } from './request-head.ts';
import { RequestLineScanner } from './request-line.ts';
import { Step } from './step.ts';

/** CRLF before a request line: how much of the one allowed has come. */
const Empty = { None: 0, Cr: 1, Line: 2 } as const;
type Empty = (typeof Empty)[keyof typeof Empty];

/**
 * Reads the requests of one connection, strictly by RFC 9112: CRLF only, single spaces, no folding, HTTP/1.0 and
 * 1.1. One empty line before a request line is passed over (section 2.2); a second is refused, so that a client
 * cannot keep a connection busy with nothing.
 */
export class RequestParser extends MessageParser {
  /** Valid from `Step.Head` until `next` is called after `Step.End`. */
  readonly head = new RequestHead();
  readonly #line = new RequestLineScanner();
  readonly #fields: FieldScanner;
  readonly #lineBytes: number;
  #inFields = false;
  #empty: Empty = Empty.None;

  constructor(limits: HeadLimits, underscores: UnderscorePolicy = 'drop') {
    super(limits, underscores, Stage.Start);
    this.#lineBytes = limits.lineBytes;
    this.#fields = new FieldScanner(this.head, limits.headerCount, underscores);
  }

  /** Between messages with nothing buffered. */
  get idle(): boolean {
    return this.stage === Stage.Start && this.#empty !== Empty.Cr;
  }

  /** Of the request that is read or refused: whether its method is known to be HEAD, whose answer has no content. */
  get methodIsHead(): boolean {
    return this.#line.methodIsHead;
  }

  get failureCode(): FailureCode {
    return this.failure === '' ? 'bad-request' : requestFailure(this.failure);
  }

  protected get messageHead(): RequestHead {
    return this.head;
  }

  protected get stageAfterEnd(): Stage {
    return Stage.Start;
  }

  protected get headLength(): number {
    return this.#fields.position;
  }

  protected get oversize(): ParseFailure {
    return !this.#inFields && this.#line.beforeVersion ? 'target-too-long' : 'header-too-large';
  }

  protected skip(buffer: Buffer, start: number): number {
    const byte = buffer[start];
    if (this.#empty === Empty.Cr) {
      if (byte !== LF) return this.#refuse('bare-cr');
      this.#empty = Empty.Line;
      return 1;
    }
    if (byte !== CR) return 0;
    if (this.#empty === Empty.Line) return this.#refuse('empty-line-repeated');
    this.#empty = Empty.Cr;
    // Of what comes after it nothing is known, also where it is no request.
    this.#line.begin();
    return 1;
  }

  protected beginHead(): void {
    this.head.reset();
    this.#line.begin();
    this.#inFields = false;
    this.#empty = Empty.None;
  }

  protected scanHead(bytes: Buffer, base: number, end: number): Scan {
    if (!this.#inFields) {
      const scan = this.#line.scan(bytes, base, end);
      if (scan === Scan.More) return scan;
      if (scan === Scan.Failed) return this.#failScan(this.#line.failure);
      this.#inFields = true;
      this.head.minor = this.#line.minor;
      this.head.fieldsStart = this.#line.position;
      this.#fields.begin(this.#line.position);
    }
    const scan = this.#fields.scan(bytes, base, end);
    return scan === Scan.Failed ? this.#failScan(this.#fields.failure) : scan;
  }

  protected completeHead(bytes: Buffer, base: number): Step {
    this.head.takeRequestLine(bytes, base, this.#line.methodEnd, this.#line.targetEnd);
    const failure = this.head.text.length > this.#lineBytes ? this.#longLine() : '';
    if (failure !== '') {
      this.failure = failure;
      return Step.Failed;
    }
    return this.#judge(bytes, base);
  }

  #judge(bytes: Buffer, base: number): Step {
    const failure = this.head.judge(bytes, base);
    if (failure === '') return Step.Head;
    this.failure = failure;
    return Step.Failed;
  }

  /** Only a head that is longer than a line may be can hold such a line. */
  #longLine(): ParseFailure | '' {
    const { head } = this;
    const limit = this.#lineBytes;
    if (head.fieldsStart - 2 > limit) return 'target-too-long';
    for (let i = 0; i < head.count; i++) {
      if (head.offsets[4 * i + 3]! - head.offsets[4 * i]! > limit) return 'header-line-too-long';
    }
    return '';
  }

  #failScan(failure: ParseFailure | ''): Scan {
    this.failure = failure;
    return Scan.Failed;
  }

  #refuse(failure: ParseFailure): number {
    this.failure = failure;
    return -1;
  }
}
