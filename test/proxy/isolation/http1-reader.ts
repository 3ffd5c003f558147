// Reads messages of HTTP/1.1 as strictly as a test can: whatever is odd fails.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import type { Fields } from './ledger.ts';

export type Body = 'none' | 'rest' | 'chunked' | number;

export interface Http1Handler {
  /** @returns how the content is delimited */
  onHead(first: string, fields: Fields): Body;
  onContent(bytes: Buffer): void;
  onMessageEnd(trailers: Fields): void;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');

export function fieldsOf(lines: readonly string[]): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = /^([!-9;-~]+): ?(.*)$/.exec(line) ?? [];
    assert.ok(name !== undefined, `not a field: ${JSON.stringify(line)}`);
    assert.ok(!fields.has(name.toLowerCase()) || name.toLowerCase() !== 'x-tag', 'two tags in one head');
    fields.set(name.toLowerCase(), value!);
  }
  return fields;
}

type At = 'head' | 'content' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailers' | 'rest';

export class Http1Reader {
  readonly #handler: Http1Handler;
  #at: At = 'head';
  #bytes: Buffer = Buffer.alloc(0);
  #left = 0;

  constructor(handler: Http1Handler) {
    this.#handler = handler;
  }

  /** Nothing of a message has come. */
  get rests(): boolean {
    return this.#at === 'head' && this.#bytes.length === 0;
  }

  /** What is read to the end of the connection. */
  get readsRest(): boolean {
    return this.#at === 'rest';
  }

  /** What follows is no message any more. */
  readRest(): void {
    this.#at = 'rest';
  }

  read(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    while (this.#step()) {}
  }

  /** @returns whether there was enough to go on with */
  #step(): boolean {
    switch (this.#at) {
      case 'head': {
        const text = this.#until(HEAD_END);
        if (text === null) return false;
        const [first, ...lines] = text.split('\r\n');
        this.#begin(this.#handler.onHead(first!, fieldsOf(lines)));
        return true;
      }
      case 'chunk-size': {
        const line = this.#until(LINE_END);
        if (line === null) return false;
        assert.match(line, /^[0-9a-f]+$/i, 'not the size of a chunk');
        this.#left = Number.parseInt(line, 16);
        this.#at = this.#left === 0 ? 'trailers' : 'chunk';
        return true;
      }
      case 'chunk-end':
        if (this.#bytes.length < 2) return false;
        assert.equal(this.#until(LINE_END), '', 'not the end of a chunk');
        this.#at = 'chunk-size';
        return true;
      case 'trailers': {
        if (this.#bytes.length < 2) return false;
        const isBare = this.#bytes.subarray(0, 2).equals(LINE_END);
        const text = this.#until(isBare ? LINE_END : HEAD_END);
        if (text === null) return false;
        this.#end(fieldsOf(isBare ? [] : text.split('\r\n')));
        return true;
      }
      default:
        return this.#content();
    }
  }

  #content(): boolean {
    const length = this.#at === 'rest' ? this.#bytes.length : Math.min(this.#left, this.#bytes.length);
    if (length === 0) return false;
    const bytes = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    this.#left -= length;
    this.#handler.onContent(bytes);
    if (this.#at === 'rest' || this.#left > 0) return true;
    if (this.#at === 'chunk') this.#at = 'chunk-end';
    else this.#end(new Map());
    return true;
  }

  #begin(body: Body): void {
    if (body === 'rest' || body === 'chunked') this.#at = body === 'rest' ? 'rest' : 'chunk-size';
    else if (body === 'none') return;
    else if (body === 0) this.#end(new Map());
    else [this.#at, this.#left] = ['content', body];
  }

  #end(trailers: Fields): void {
    this.#at = 'head';
    this.#handler.onMessageEnd(trailers);
  }

  /** The text before `mark`, which is passed over; null when it has not come. */
  #until(mark: Buffer): string | null {
    const at = this.#bytes.indexOf(mark);
    if (at < 0) return null;
    const text = this.#bytes.toString('latin1', 0, at);
    this.#bytes = this.#bytes.subarray(at + mark.length);
    return text;
  }
}

/** How the content of a message is delimited that says so itself. */
export function bodyOf(fields: Fields): Body {
  if (fields.get('transfer-encoding') === 'chunked') return 'chunked';
  const length = fields.get('content-length');
  return length === undefined ? 'rest' : Number(length);
}
