// Writes header blocks (RFC 7541) from heads, from lines made for HTTP/1.1, and field by field.

import type { Buffer } from 'node:buffer';
import { FieldId, fieldIdOf } from '../http1/field-id.ts';
import type { MessageHead } from '../http1/message-head.ts';
import { ENTRY_OVERHEAD } from './dynamic-table.ts';
import { EncoderIndex, hashOf, NEVER_INDEXED, STATIC_NAME_OF_ID, staticNameOf } from './encoder-index.ts';
import { encodeHuffman, huffmanLength } from './huffman.ts';
import { writeInteger } from './integers.ts';
import type { Workspace } from './workspace.ts';

/** What we use at most of the table that the peer offers. */
const MAX_TABLE = 4096;
/** Longer fields enter no table: one of them would drive out what is worth more. */
const LONGEST_ENTRY = 1024;
/** Bytes around a string that is written: its length, and a representation with a name index. */
const AROUND = 16;

const STATIC_STATUS = new Uint8Array(600);
for (const [i, status] of [200, 204, 206, 304, 400, 404, 500].entries()) STATIC_STATUS[status] = 8 + i;
const STATUS_NAME = 8;
const AUTHORITY_NAME = 1;
const METHOD_NAME = 2;
const PATH_NAME = 4;
const SCHEME_NAME = 6;

/** Never written (RFC 9113, section 8.2.2); Host is said by `:authority`. */
const LEFT_OUT = new Uint8Array(256);
for (const id of [
  FieldId.Host,
  FieldId.Connection,
  FieldId.KeepAlive,
  FieldId.ProxyConnection,
  FieldId.TransferEncoding,
  FieldId.Upgrade,
  FieldId.Http2Settings,
]) {
  LEFT_OUT[id] = 1;
}

const Representation = { Literal: 0x00, Never: 0x10, Adding: 0x40 } as const;

/**
 * One connection's encoder. Names are written in lower case whatever they are given in; what HTTP/2 forbids (Connection
 * and its like, Transfer-Encoding, Host, TE but for `trailers`) is left out, so that heads and lines made for HTTP/1.1
 * can be given. The block is collected in the workspace, so one block is made at a time.
 */
export class HeadEncoder {
  readonly #workspace: Workspace;
  readonly #index = new EncoderIndex(MAX_TABLE);
  /** The smallest size since the last block, or -1: the peer is told at the beginning of the next. */
  #smallest = -1;
  #to: Buffer;
  #end = 0;

  constructor(workspace: Workspace) {
    this.#workspace = workspace;
    this.#to = workspace.block;
  }

  /** The block so far is `block[0, length)`. */
  get block(): Buffer {
    return this.#to;
  }

  get length(): number {
    return this.#end;
  }

  /** SETTINGS_HEADER_TABLE_SIZE of the peer. */
  resize(bytes: number): void {
    const size = Math.min(bytes, MAX_TABLE);
    const { table } = this.#index;
    if (size === table.maxSize) return;
    this.#smallest = this.#smallest < 0 ? size : Math.min(this.#smallest, size);
    table.resize(size);
  }

  /** Begins a block. */
  begin(): void {
    this.#to = this.#workspace.block;
    this.#end = 0;
    if (this.#smallest < 0) return;
    const size = this.#index.table.maxSize;
    if (this.#smallest < size) this.#end = writeInteger(this.#to, this.#end, this.#smallest, 31, 0x20);
    this.#end = writeInteger(this.#to, this.#end, size, 31, 0x20);
    this.#smallest = -1;
  }

  /** `:status`. */
  status(status: number): void {
    const index = STATIC_STATUS[status]!;
    if (index !== 0) this.#indexed(index);
    else this.#pseudo(STATUS_NAME, ':status', String(status));
  }

  /** The pseudo fields of a request; `protocol` is that of extended CONNECT, else ''. `authority` may be ''. */
  request(method: string, scheme: string, authority: string, path: string, protocol: string): void {
    if (method === 'GET') this.#indexed(METHOD_NAME);
    else if (method === 'POST') this.#indexed(METHOD_NAME + 1);
    else this.#pseudo(METHOD_NAME, ':method', method);
    if (protocol !== '') this.#pseudo(0, ':protocol', protocol);
    if (method !== 'CONNECT' || protocol !== '') {
      if (scheme === 'http') this.#indexed(SCHEME_NAME);
      else this.#indexed(SCHEME_NAME + 1);
      if (path === '/') this.#indexed(PATH_NAME);
      else this.#pseudo(PATH_NAME, ':path', path);
    }
    if (authority !== '') this.#pseudo(AUTHORITY_NAME, ':authority', authority);
  }

  /**
   * The fields of a head but for those in `drop` (a byte for each field id), those that Connection names, and
   * `dropNames` (lower case): the choice that `copyFields` makes for HTTP/1.1, without a string for each.
   */
  copy(head: MessageHead, drop: Uint8Array, dropNames: ReadonlySet<string> | null): void {
    const from = this.#take(head.text);
    const { ids, offsets, count, hasNominations } = head;
    for (let i = 0; i < count; i++) {
      const id = ids[i]!;
      if (drop[id] === 1 || (hasNominations && head.isConnectionNominated(i))) continue;
      if (dropNames?.has(head.name(i).toLowerCase()) === true) continue;
      const o = 4 * i;
      this.#field(
        from,
        offsets[o]!,
        offsets[o + 1]!,
        offsets[o + 2]!,
        offsets[o + 3]!,
        id,
        head.isSensitive(i),
      );
    }
  }

  /** Latin-1 lines `Name: value`, each with CRLF; white space around values is taken off. */
  lines(text: string): void {
    const from = this.#take(text);
    const end = text.length;
    let start = 0;
    while (start < end) {
      let colon = start;
      while (colon < end && from[colon] !== 58) colon++;
      let lineEnd = colon;
      while (lineEnd < end && from[lineEnd] !== 13) lineEnd++;
      let valueStart = Math.min(colon + 1, lineEnd);
      let valueEnd = lineEnd;
      while (valueStart < valueEnd && isSpace(from[valueStart]!)) valueStart++;
      while (valueEnd > valueStart && isSpace(from[valueEnd - 1]!)) valueEnd--;
      if (colon > start)
        this.#field(from, start, colon, valueStart, valueEnd, fieldIdOf(from, start, colon), false);
      start = lineEnd + 2;
    }
  }

  /** One field; the name is a token, the value valid as it is. */
  field(name: string, value: string): void {
    const from = this.#take(name + value);
    const nameEnd = name.length;
    this.#field(from, 0, nameEnd, nameEnd, nameEnd + value.length, fieldIdOf(from, 0, nameEnd), false);
  }

  /** Puts text where its bytes can be looked at. */
  #take(text: string): Buffer {
    const from = this.#workspace.textOf(text.length);
    from.latin1Write(text, 0);
    return from;
  }

  #indexed(index: number): void {
    this.#reserve(AROUND);
    this.#end = writeInteger(this.#to, this.#end, index, 127, 0x80);
  }

  #pseudo(staticName: number, name: string, value: string): void {
    const from = this.#take(name + value);
    const nameEnd = name.length;
    this.#write(
      from,
      0,
      nameEnd,
      nameEnd,
      nameEnd + value.length,
      staticName,
      hashOf(from, 0, nameEnd, 0),
      false,
    );
  }

  #field(
    from: Uint8Array,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    id: number,
    sensitive: boolean,
  ): void {
    if (LEFT_OUT[id] === 1) return;
    if (id === FieldId.Te && !isTrailers(from, valueStart, valueEnd)) return;
    let staticName = 0;
    let nameHash = id;
    for (let p = nameStart; p < nameEnd; p++) {
      const byte = from[p]!;
      if (byte >= 65 && byte <= 90) from[p] = byte + 32;
    }
    if (id === FieldId.Unknown || id === FieldId.Dropped) {
      nameHash = hashOf(from, nameStart, nameEnd, 0);
      staticName = staticNameOf(from, nameStart, nameEnd, nameHash);
    } else {
      staticName = STATIC_NAME_OF_ID[id]!;
    }
    const never = sensitive || NEVER_INDEXED[id] === 1;
    this.#write(from, nameStart, nameEnd, valueStart, valueEnd, staticName, nameHash, never);
  }

  #write(
    from: Uint8Array,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    staticName: number,
    nameHash: number,
    never: boolean,
  ): void {
    const index = this.#index;
    const nameLength = nameEnd - nameStart;
    const valueLength = valueEnd - valueStart;
    this.#reserve(nameLength + valueLength + 2 * AROUND);
    let representation: number = never ? Representation.Never : Representation.Literal;
    let hash = 0;
    const size = nameLength + valueLength + ENTRY_OVERHEAD;
    if (!never && size <= LONGEST_ENTRY && size <= index.table.maxSize) {
      hash = hashOf(from, valueStart, valueEnd, nameHash);
      const found = index.find(from, nameStart, nameLength, valueStart, valueLength, hash);
      if (found !== 0) {
        this.#end = writeInteger(this.#to, this.#end, found, 127, 0x80);
        return;
      }
      if (index.wasSeen(hash)) representation = Representation.Adding;
    }
    const adds = representation === Representation.Adding;
    const name = staticName !== 0 ? staticName : index.findName(from, nameStart, nameLength, nameHash);
    this.#end = writeInteger(this.#to, this.#end, name, adds ? 63 : 15, representation);
    if (name === 0) this.#string(from, nameStart, nameEnd, adds);
    this.#string(from, valueStart, valueEnd, adds);
    if (adds) index.add(from, nameStart, nameLength, valueStart, valueLength, hash, nameHash);
  }

  /**
   * What enters the table is written once and may take its time to become short; everything else is written as it is,
   * since coding each byte costs more than sending a quarter of them.
   */
  #string(from: Uint8Array, start: number, end: number, once: boolean): void {
    const to = this.#to;
    const length = end - start;
    if (once) {
      const coded = huffmanLength(from, start, end);
      if (coded < length) {
        const at = writeInteger(to, this.#end, coded, 127, 0x80);
        this.#end = encodeHuffman(from, start, end, to, at);
        return;
      }
    }
    let p = writeInteger(to, this.#end, length, 127, 0);
    for (let i = start; i < end; i++) to[p++] = from[i]!;
    this.#end = p;
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#to.length) return;
    this.#to = this.#workspace.growBlock(this.#end + bytes);
  }
}

function isSpace(byte: number): boolean {
  return byte === 32 || byte === 9;
}

function isTrailers(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== 8) return false;
  for (let i = 0; i < 8; i++) if ((bytes[start + i]! | 32) !== 'trailers'.charCodeAt(i)) return false;
  return true;
}
