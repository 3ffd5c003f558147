// One parsed head: its text, and flat offsets into it instead of an object for each field.

import { FieldId } from './field-id.ts';
import { sameIgnoringCase } from './same-ignoring-case.ts';
import { Framing } from './step.ts';

const FIRST_CAPACITY = 16;
/** A typed array of so many lies outside the heap, and making it was 3% of a connection that carries one request. */
const FIRST_OFFSETS: readonly number[] = Array.from({ length: 4 * FIRST_CAPACITY }, () => 0);
const NO_BYTES = new Uint8Array(0);
const NO_OPTIONS: string[] = [];

/** The same text in memory of its own: a slice would keep all of the head that it was cut from, and a sum its parts. */
export function unsliced(text: string): string {
  return Buffer.from(text, 'latin1').latin1Slice();
}

/**
 * A head that a parser fills again for each message of a connection. Field `i` has its name in
 * `text[offsets[4i], offsets[4i+1])` and its value, without surrounding white space, in
 * `text[offsets[4i+2], offsets[4i+3])`.
 */
export class MessageHead {
  /** Latin-1 text of the whole head: start line (none in HTTP/2), field lines, last CRLF. */
  text = '';
  /** Number of fields. */
  count = 0;
  /** Replaced by a longer array when a head has more fields than any before it on this connection. */
  offsets: number[] = FIRST_OFFSETS.slice();
  /** `FieldId` of each field. */
  ids: Uint8Array = new Uint8Array(FIRST_CAPACITY);
  /** Bit `1 << id` for each id below 32 that occurs. */
  seen = 0;
  /** The same for ids that occur more than once. */
  repeated = 0;
  /** Fields marked `FieldId.Dropped`. */
  droppedCount = 0;
  /** Whether every line reads `name: value` with one space before and none after the value. */
  plain = true;
  /** Whether the field lines are those of the head before, byte by byte. */
  repeatsFields = false;
  /** Another one for each head whose field lines do not repeat; 0 in HTTP/2, where none is said to. */
  fieldsVersion = 0;
  /** Offset of the first field line in `text`. */
  fieldsStart = 0;
  /** HTTP major version. */
  major: 1 | 2 = 1;
  /** HTTP minor version; 1 in HTTP/2, which may be taken for HTTP/1.1 wherever a rule is about what a peer can do. */
  minor: 0 | 1 = 1;
  framing: Framing = Framing.None;
  /** The value of Content-Length, or -1. A response to HEAD, or a 304, has one without having a body. */
  contentLength = -1;
  /** What the peer's version and Connection say (RFC 9112, section 9.3). */
  keepAlive = true;
  /** The Upgrade value when Connection names upgrade and the version is 1.1, else ''. */
  upgrade = '';
  /** Whether Connection names anything beside close, keep-alive and upgrade. */
  hasNominations = false;
  /** A byte for each field that must never enter a compression table (RFC 7541, section 6.2.3); null when there is none. */
  sensitive: Uint8Array | null = null;
  /** What framing and Connection of the head before said, where that can be said again; else its version is -1. */
  #minorBefore: -1 | 0 | 1 = -1;
  #framingBefore: Framing = Framing.None;
  #lengthBefore = -1;
  #keptAlive = true;
  #made = '';
  #madeFor = '';
  #madeVersion = -1;
  #nominated: Uint8Array = NO_BYTES;
  #options: string[] = NO_OPTIONS;

  /** Empties the head for the next message; the arrays stay. */
  reset(): void {
    this.count = 0;
    this.seen = 0;
    this.repeated = 0;
    this.droppedCount = 0;
    this.plain = true;
    this.repeatsFields = false;
    this.framing = Framing.None;
    this.contentLength = -1;
    this.keepAlive = true;
    this.upgrade = '';
    this.hasNominations = false;
  }

  /**
   * Framing and Connection are read by now, and good. An upgrade, and fields that Connection names, are read each time.
   */
  remember(): void {
    this.#minorBefore = this.upgrade === '' && !this.hasNominations ? this.minor : -1;
    this.#framingBefore = this.framing;
    this.#lengthBefore = this.contentLength;
    this.#keptAlive = this.keepAlive;
  }

  /** @returns whether framing and Connection are those of the head before, and need not be read */
  recall(): boolean {
    if (!this.repeatsFields || this.minor !== this.#minorBefore) return false;
    this.framing = this.#framingBefore;
    this.contentLength = this.#lengthBefore;
    this.keepAlive = this.#keptAlive;
    return true;
  }

  /** What was made of these same field lines, and of nothing else but `of`; '' where nothing was. */
  madeOfFields(of: string): string {
    return this.#madeVersion === this.fieldsVersion && this.#madeFor === of ? this.#made : '';
  }

  /** Keeps a text for as long as the field lines repeat. */
  keepMade(of: string, text: string): void {
    this.#madeVersion = this.fieldsVersion;
    this.#madeFor = of;
    this.#made = unsliced(text);
  }

  /** Lets go of all text: the slices of a head keep the whole of it in memory, up to the limit of its size. */
  release(): void {
    this.reset();
    this.text = '';
    this.#options = NO_OPTIONS;
  }

  /** Whether field `i` must stay out of compression tables on its further way too. */
  isSensitive(i: number): boolean {
    return this.sensitive !== null && this.sensitive[i] === 1;
  }

  markSensitive(i: number, sensitive = true): void {
    if (this.sensitive === null) {
      if (!sensitive) return;
      this.sensitive = new Uint8Array(this.ids.length);
    }
    this.sensitive[i] = sensitive ? 1 : 0;
  }

  /** Doubles the room for fields. */
  grow(): void {
    this.offsets = [...this.offsets, ...this.offsets];
    const ids = new Uint8Array(this.ids.length * 2);
    ids.set(this.ids);
    this.ids = ids;
    if (this.sensitive === null) return;
    const sensitive = new Uint8Array(ids.length);
    sensitive.set(this.sensitive);
    this.sensitive = sensitive;
  }

  /** Gives field `i` another value; its line becomes the last one. */
  replace(i: number, value: string): void {
    const name = this.name(i);
    const start = this.text.length - 2;
    const { count } = this;
    if (count === this.ids.length) this.grow();
    this.ids[count] = this.ids[i]!;
    this.ids[i] = FieldId.Dropped;
    this.offsets[4 * count] = start;
    this.offsets[4 * count + 1] = start + name.length;
    this.offsets[4 * count + 2] = start + name.length + 2;
    this.offsets[4 * count + 3] = start + name.length + 2 + value.length;
    this.text = `${this.text.slice(0, start)}${name}: ${value}\r\n\r\n`;
    this.count = count + 1;
    this.repeatsFields = false;
    this.markSensitive(count, false);
  }

  /** Whether a field with this id (below 32) occurs. */
  has(id: FieldId): boolean {
    return (this.seen & (1 << id)) !== 0;
  }

  /** Index of the first field with `id`, or -1. */
  find(id: FieldId): number {
    if (id > FieldId.Unknown && id < 32 && (this.seen & (1 << id)) === 0) return -1;
    return this.findNext(id, 0);
  }

  /** Index of the first field with `id` at or after `from`, or -1. */
  findNext(id: FieldId, from: number): number {
    const ids = this.ids;
    for (let i = from; i < this.count; i++) if (ids[i] === id) return i;
    return -1;
  }

  /** Name of field `i` as received. */
  name(i: number): string {
    return this.text.slice(this.offsets[4 * i]!, this.offsets[4 * i + 1]!);
  }

  /** Value of field `i` without surrounding white space. */
  value(i: number): string {
    return this.text.slice(this.offsets[4 * i + 2]!, this.offsets[4 * i + 3]!);
  }

  /** Value of the first field with `id`, '' when there is none. */
  valueOf(id: FieldId): string {
    const i = this.find(id);
    return i < 0 ? '' : this.value(i);
  }

  /** Index of the first field with this name (any case), or -1; for names without an id. */
  findName(name: string): number {
    for (let i = 0; i < this.count; i++) {
      const start = this.offsets[4 * i]!;
      if (this.offsets[4 * i + 1]! - start === name.length && sameIgnoringCase(this.text, start, name))
        return i;
    }
    return -1;
  }

  /**
   * Whether a Connection field names field `i`, which then must not be forwarded (RFC 9110, section 7.6.1). Host
   * never counts as named: no client may talk a proxy into dropping it.
   */
  isConnectionNominated(i: number): boolean {
    return this.hasNominations && this.#nominated[i] === 1;
  }

  /** Whether Connection names `name`, which may be that of a trailer field. */
  isConnectionOption(name: string): boolean {
    if (!this.hasNominations) return false;
    return this.#options.some((option) => option.length === name.length && sameIgnoringCase(option, 0, name));
  }

  /** Marks every field whose name is `text[start, end)`; called for each connection option that is not a known one. */
  nominate(start: number, end: number): void {
    if (!this.hasNominations) {
      this.hasNominations = true;
      this.#options = [];
      if (this.#nominated.length < this.count) this.#nominated = new Uint8Array(this.ids.length);
      else this.#nominated.fill(0);
    }
    const option = this.text.slice(start, end);
    this.#options.push(option);
    for (let i = 0; i < this.count; i++) {
      const nameStart = this.offsets[4 * i]!;
      if (this.offsets[4 * i + 1]! - nameStart !== option.length || this.ids[i] === FieldId.Host) continue;
      if (sameIgnoringCase(this.text, nameStart, option)) this.#nominated[i] = 1;
    }
  }
}
