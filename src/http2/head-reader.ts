// Fills heads from decoded fields and applies the rules of RFC 9113, section 8, as strictly as HTTP/1.1 is read.

import { Buffer } from 'node:buffer';
import { FieldId } from '../http1/field-id.ts';
import type { UnderscorePolicy } from '../http1/field-scanner.ts';
import type { HeadLimits } from '../http1/limits.ts';
import type { MessageHead } from '../http1/message-head.ts';
import type { FieldTaker } from './block-decoder.ts';
import { gatherCookies } from './cookies.ts';
import type { MessageFailure } from './failures.ts';
import {
  BAD,
  NAME_ALIAS,
  NAME_CAPITALS,
  NAME_EMPTY,
  NAME_INVALID,
  NAME_UNDERSCORE,
  ODD_NAME,
  PSEUDO_MASK,
  PSEUDO_SHIFT,
  Pseudo,
  SENSITIVE,
  VALUE_INVALID,
} from './field-info.ts';

/** RFC 9113, section 8.2.2. */
const CONNECTION_SPECIFIC =
  (1 << FieldId.Connection) |
  (1 << FieldId.KeepAlive) |
  (1 << FieldId.ProxyConnection) |
  (1 << FieldId.TransferEncoding) |
  (1 << FieldId.Upgrade);
const TE_BIT = 1 << FieldId.Te;
const SEMICOLON = 59;
const SPACE = 32;
const CR = 13;
const LF = 10;

/**
 * What the readers of requests, responses and trailers share. One serves all connections of a worker: a block is read
 * in one go. The head's text is made of the lines as an HTTP/1.1 head would have them, without a start line.
 */
export abstract class HeadReader<H extends MessageHead> implements FieldTaker {
  lines: Buffer = Buffer.alloc(0);
  full = false;
  /** Why the head is refused; '' when it is good. */
  failure: MessageFailure | '' = '';
  protected head!: H;
  #limits!: HeadLimits;
  #underscores: UnderscorePolicy = 'drop';
  #size = 0;
  /** The end of the cookie line when that was the last one, else -1: a further crumb is joined to it. */
  #cookieEnd = -1;
  #cookies = 0;

  /** Begins a head, which is emptied. */
  begin(head: H, limits: HeadLimits, underscores: UnderscorePolicy): void {
    head.reset();
    head.major = 2;
    head.minor = 1;
    head.sensitive = null;
    head.fieldsStart = 0;
    this.head = head;
    this.full = false;
    this.failure = '';
    this.#limits = limits;
    this.#underscores = underscores;
    this.#size = 0;
    this.#cookieEnd = -1;
    this.#cookies = 0;
  }

  count(size: number): void {
    this.#size += size;
    if (this.#size <= this.#limits.headerBytes) return;
    this.full = true;
    // What is too large is not judged further: that is the answer that helps.
    this.failure = this.oversize;
  }

  take(at: number, nameLength: number, valueLength: number, info: number): number {
    if (this.failure !== '') return at;
    if ((info & BAD) !== 0) return this.fail(badPseudo(info) ?? failureOf(info), at);
    const end = at + nameLength + valueLength + 4;
    const pseudo = (info & PSEUDO_MASK) >> PSEUDO_SHIFT;
    // As a line of HTTP/1.1, with its colon and space.
    if (nameLength + valueLength + 2 > this.#limits.lineBytes)
      return this.fail(pseudo === Pseudo.Path ? 'target-too-long' : 'header-line-too-long', at);
    if (pseudo !== 0) {
      if (this.head.count > (this.hasHostLine ? 1 : 0)) return this.fail('pseudo-field-late', at);
      return this.takePseudo(pseudo, at, nameLength, valueLength, info);
    }
    const head = this.head;
    let id = (info & 0xff) as FieldId;
    if ((info & ODD_NAME) !== 0 && this.#underscores !== 'trust') {
      if ((info & NAME_UNDERSCORE) !== 0) {
        if (this.#underscores === 'refuse') return this.fail('field-name-underscore', at);
        if (this.#underscores === 'drop') id = FieldId.Dropped;
      }
      if ((info & NAME_ALIAS) !== 0) id = FieldId.Dropped;
      if (id === FieldId.Dropped) head.droppedCount++;
    }
    if (id === FieldId.Cookie) {
      if (this.#cookieEnd === at) return this.#joinCookie(at, nameLength, valueLength);
      this.#cookies++;
      this.#cookieEnd = end;
    }
    return this.add(id, at, nameLength, valueLength, info);
  }

  /** Ends the block: the text of the head, and the rules that need all of it. `ended`: no content follows. */
  finish(ended: boolean): void {
    if (this.failure !== '') return;
    const head = this.head;
    const { count } = head;
    let end = count === 0 ? 0 : head.offsets[4 * count - 1]! + 2;
    if (this.#cookies > 1) end = gatherCookies(head, this.lines, end);
    this.lines[end] = CR;
    this.lines[end + 1] = LF;
    head.text = this.lines.latin1Slice(0, end + 2);
    if ((head.seen & CONNECTION_SPECIFIC) !== 0) this.failure = 'field-connection-specific';
    else if ((head.seen & TE_BIT) !== 0 && !this.#isTeTrailers()) this.failure = 'te-invalid';
    else this.failure = this.judge(ended);
  }

  /** A list over the limit: what HTTP/1.1 says for a head or a trailer section. */
  protected get oversize(): MessageFailure {
    return 'header-too-large';
  }

  /** Whether the first line is the Host that was made of `:authority`. */
  protected get hasHostLine(): boolean {
    return false;
  }

  protected abstract takePseudo(
    kind: number,
    at: number,
    nameLength: number,
    valueLength: number,
    info: number,
  ): number;

  protected abstract judge(ended: boolean): MessageFailure | '';

  protected fail(failure: MessageFailure, at: number): number {
    this.failure = failure;
    return at;
  }

  /** Adds the line at `lines[at]` to the head. */
  protected add(id: FieldId, at: number, nameLength: number, valueLength: number, info: number): number {
    const head = this.head;
    const i = head.count;
    if (i === this.#limits.headerCount) return this.fail('header-count', at);
    if (i === head.ids.length) head.grow();
    const { offsets } = head;
    const o = 4 * i;
    const valueStart = at + nameLength + 2;
    offsets[o] = at;
    offsets[o + 1] = at + nameLength;
    offsets[o + 2] = valueStart;
    offsets[o + 3] = valueStart + valueLength;
    head.ids[i] = id;
    head.count = i + 1;
    if (id !== FieldId.Unknown && id < 32) {
      const bit = 1 << id;
      head.repeated |= head.seen & bit;
      head.seen |= bit;
    }
    if ((info & SENSITIVE) !== 0) head.markSensitive(i);
    return valueStart + valueLength + 2;
  }

  /** Browsers send each cookie as a field of its own (RFC 9113, section 8.2.3). */
  #joinCookie(at: number, nameLength: number, valueLength: number): number {
    const { lines, head } = this;
    const from = at + nameLength + 2;
    lines[at - 2] = SEMICOLON;
    lines[at - 1] = SPACE;
    for (let i = 0; i < valueLength; i++) lines[at + i] = lines[from + i]!;
    const end = at + valueLength;
    lines[end] = CR;
    lines[end + 1] = LF;
    head.offsets[4 * head.count - 1] = end;
    this.#cookieEnd = end + 2;
    return end + 2;
  }

  #isTeTrailers(): boolean {
    return (this.head.repeated & TE_BIT) === 0 && this.head.valueOf(FieldId.Te).toLowerCase() === 'trailers';
  }
}

/** What a broken value of a pseudo field is called, as in a request line. */
function badPseudo(info: number): MessageFailure | null {
  switch ((info & PSEUDO_MASK) >> PSEUDO_SHIFT) {
    case Pseudo.None:
      return null;
    case Pseudo.Path:
      return 'target-invalid';
    case Pseudo.Authority:
      return 'host-invalid';
    case Pseudo.Method:
      return 'method-invalid';
    case Pseudo.Status:
      return 'status-invalid';
    default:
      return 'pseudo-field-invalid';
  }
}

function failureOf(info: number): MessageFailure {
  if ((info & NAME_EMPTY) !== 0) return 'field-name-empty';
  if ((info & NAME_CAPITALS) !== 0) return 'field-name-uppercase';
  if ((info & NAME_INVALID) !== 0) return 'field-name-invalid';
  return (info & VALUE_INVALID) !== 0 ? 'field-value-invalid' : 'field-value-space';
}
