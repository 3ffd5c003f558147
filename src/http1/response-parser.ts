// The parser of an upstream connection: bytes in, responses out, one for each request that was announced.

import type { Buffer } from 'node:buffer';
import type { FailureCode } from '../model/failures.ts';
import { FieldScanner, Scan } from './field-scanner.ts';
import { type HeadLimits, MAX_INTERIM, MAX_INTERIM_BYTES } from './limits.ts';
import { MessageParser, Stage } from './message-parser.ts';
import { type ParseFailure, responseFailure } from './parse-failure.ts';
import { ResponseHead } from './response-head.ts';
import { StatusLineScanner } from './status-line.ts';
import { Step } from './step.ts';

const SWITCHING_PROTOCOLS = 101;

/**
 * Reads the responses of one connection as strictly as requests are read. A byte that comes before `begin`, or after
 * the end of a response, fails: an answer that nobody asked for must not become the next client's.
 */
export class ResponseParser extends MessageParser {
  /** Valid from `Step.Head` or `Step.Interim` until the call of `next` that follows its end. */
  readonly head = new ResponseHead();
  readonly #line = new StatusLineScanner();
  readonly #fields: FieldScanner;
  #method = '';
  #inFields = false;
  #interim = 0;
  #interimBytes = 0;
  #started = false;

  constructor(limits: HeadLimits) {
    super(limits, 'trust', Stage.Closed);
    this.#fields = new FieldScanner(this.head, limits.headerCount, 'trust');
  }

  /**
   * Announces the request whose response comes next; its method decides about the body (RFC 9112, section 6.3).
   * When the last response has not ended the parser fails: such a connection must not be used again.
   */
  begin(method: string): void {
    if (this.stage !== Stage.Closed) {
      this.fail(this.failure === '' ? 'response-unexpected' : this.failure, 0);
      return;
    }
    this.#method = method;
    this.#interim = 0;
    this.#interimBytes = 0;
    this.#started = false;
    this.stage = Stage.Start;
  }

  /** No response is owed and no byte of one is held. */
  get idle(): boolean {
    return this.stage === Stage.Closed;
  }

  /** The connection ended: End for a body that lasts until then, else Failed. */
  eof(): Step {
    switch (this.stage) {
      case Stage.UntilClose:
      case Stage.End:
        this.stage = Stage.Closed;
        return Step.End;
      case Stage.Failed:
        return Step.Failed;
      case Stage.Length:
      case Stage.Chunked:
        return this.fail('incomplete-body', this.position);
      default:
        return this.fail(this.#started ? 'incomplete-head' : 'closed-before-response', this.position);
    }
  }

  get failureCode(): FailureCode {
    return this.failure === '' ? 'upstream-protocol' : responseFailure(this.failure);
  }

  protected get messageHead(): ResponseHead {
    return this.head;
  }

  protected get stageAfterEnd(): Stage {
    return Stage.Closed;
  }

  protected get headLength(): number {
    return this.#fields.position;
  }

  protected get oversize(): ParseFailure {
    return 'header-too-large';
  }

  protected skip(): number {
    return 0;
  }

  protected beginHead(): void {
    this.head.reset();
    this.#line.begin();
    this.#inFields = false;
    this.#started = true;
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

  protected completeHead(): Step {
    const head = this.head;
    const line = this.#line;
    head.status = line.status;
    head.reason = line.reasonEnd > REASON_START ? reasonOf(head.text, line.reasonEnd) : '';
    let failure = head.judge(this.#method);
    if (failure === '' && head.status < 200 && head.status !== SWITCHING_PROTOCOLS) {
      this.#interim += 1;
      this.#interimBytes += head.text.length;
      if (this.#interim <= MAX_INTERIM && this.#interimBytes <= MAX_INTERIM_BYTES) return Step.Interim;
      failure = 'interim-flood';
    }
    if (failure === '') return Step.Head;
    this.failure = failure;
    return Step.Failed;
  }

  #failScan(failure: ParseFailure | ''): Scan {
    this.failure = failure;
    return Scan.Failed;
  }
}

const REASON_START = 13;

function reasonOf(text: string, end: number): string {
  if (end === REASON_START + 2 && text.startsWith('OK', REASON_START)) return 'OK';
  return text.slice(REASON_START, end);
}
