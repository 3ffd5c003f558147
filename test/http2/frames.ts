// Frames by hand: bytes that a peer could send, and what the codec sends back as lines of text.

import { Buffer } from 'node:buffer';
import { BlockDecoder } from '../../src/http2/block-decoder.ts';
import { Flag, FrameType } from '../../src/http2/frames.ts';
import { PREFACE } from '../../src/http2/preface.ts';
import { decodeBlock, type Field } from './hpack.ts';

export function frame(type: number, flags: number, streamId: number, payload: Buffer | string = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload;
  const bytes = Buffer.alloc(9 + body.length);
  bytes.writeUIntBE(body.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  body.copy(bytes, 9);
  return bytes;
}

export function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * i);
  return bytes;
}

function integer(value: number, prefix: number, pattern: number): number[] {
  if (value < prefix) return [pattern | value];
  const bytes = [pattern | prefix];
  let rest = value - prefix;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}

/** A field as a literal with a new name; `pattern` is 0x00, 0x10 or 0x40 (RFC 7541, section 6.2). */
export function literal([name, value]: Field, pattern = 0): Buffer {
  const parts = [Buffer.from([pattern])];
  for (const text of [name, value]) {
    parts.push(Buffer.from(integer(text.length, 127, 0)), Buffer.from(text, 'latin1'));
  }
  return Buffer.concat(parts);
}

/** A header block that uses no table. */
export const block = (...fields: readonly Field[]): Buffer =>
  Buffer.concat(fields.map((field) => literal(field)));

export const GET: readonly Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'example.com'],
];
export const POST: readonly Field[] = [[':method', 'POST'], ...GET.slice(1)];

export const settings = (...pairs: readonly (readonly [number, number])[]): Buffer => {
  const payload = Buffer.alloc(6 * pairs.length);
  for (const [i, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, 6 * i);
    payload.writeUInt32BE(value, 6 * i + 2);
  }
  return frame(FrameType.Settings, 0, 0, payload);
};
export const settingsAck = frame(FrameType.Settings, Flag.Ack, 0);
/** The whole block in one frame. */
export const headers = (id: number, fields: readonly Field[], ended = true): Buffer =>
  frame(FrameType.Headers, Flag.EndHeaders | (ended ? Flag.EndStream : 0), id, block(...fields));
export const data = (id: number, text: string | Buffer, ended = false): Buffer =>
  frame(FrameType.Data, ended ? Flag.EndStream : 0, id, text);
/** DATA or HEADERS with padding. */
export const padded = (
  type: number,
  flags: number,
  id: number,
  payload: Buffer | string,
  padding: number,
): Buffer =>
  frame(
    type,
    flags | Flag.Padded,
    id,
    Buffer.concat([
      Buffer.from([padding]),
      typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload,
      Buffer.alloc(padding),
    ]),
  );
export const reset = (id: number, code: number): Buffer => frame(FrameType.RstStream, 0, id, uint32(code));
export const windowUpdate = (id: number, increment: number): Buffer =>
  frame(FrameType.WindowUpdate, 0, id, uint32(increment));
export const ping = (text = '12345678', ack = false): Buffer =>
  frame(FrameType.Ping, ack ? Flag.Ack : 0, 0, text);
export const priority = (id: number, dependsOn = 0): Buffer =>
  frame(FrameType.Priority, 0, id, Buffer.concat([uint32(dependsOn), Buffer.from([15])]));
export const goaway = (lastId: number, code: number): Buffer =>
  frame(FrameType.Goaway, 0, 0, uint32(lastId, code));
export const continuation = (id: number, payload: Buffer | string, last: boolean): Buffer =>
  frame(FrameType.Continuation, last ? Flag.EndHeaders : 0, id, payload);

/** What every client says first. */
export const OPENING = Buffer.concat([PREFACE, settings()]);

const NAMES = ['DATA', 'HEADERS', 'PRIORITY', 'RST', 'SETTINGS', 'PUSH', 'PING', 'GOAWAY', 'WINDOW', 'CONT'];

/** Reads what the codec wrote, one line for each frame. */
export class FrameLog {
  readonly lines: string[] = [];
  /** All increments, by stream. */
  readonly windows = new Map<number, number>();
  #bytes = Buffer.alloc(0);
  #block = Buffer.alloc(0);
  #blockFlags = 0;
  readonly #decoder = new BlockDecoder();

  write(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    if (this.#bytes.length >= PREFACE.length && this.#bytes.subarray(0, PREFACE.length).equals(PREFACE))
      this.#bytes = this.#bytes.subarray(PREFACE.length);
    while (this.#bytes.length >= 9) {
      const length = this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < 9 + length) return;
      const payload = this.#bytes.subarray(9, 9 + length);
      this.#take(this.#bytes[3]!, this.#bytes[4]!, this.#bytes.readUInt32BE(5), payload);
      this.#bytes = this.#bytes.subarray(9 + length);
    }
  }

  #take(type: number, flags: number, id: number, payload: Buffer): void {
    const name = NAMES[type] ?? `TYPE${type}`;
    if (type === FrameType.Headers || type === FrameType.Continuation) {
      if (type === FrameType.Headers) {
        this.#block = Buffer.alloc(0);
        this.#blockFlags = flags;
      }
      this.#block = Buffer.concat([this.#block, payload]);
      if ((flags & Flag.EndHeaders) === 0) return;
      const fields = decodeBlock(this.#decoder, this.#block);
      const text = fields?.map(([n, v]) => `${n}=${v}`).join(' ') ?? 'broken';
      this.lines.push(`HEADERS ${id} ${text}${(this.#blockFlags & Flag.EndStream) !== 0 ? ' end' : ''}`);
    } else if (type === FrameType.Data) {
      const end = (flags & Flag.EndStream) !== 0 ? ' end' : '';
      this.lines.push(`${name} ${id} ${payload.length > 20 ? payload.length : payload.latin1Slice()}${end}`);
    } else if (type === FrameType.WindowUpdate) {
      this.windows.set(id, (this.windows.get(id) ?? 0) + payload.readUInt32BE(0));
    } else if (type === FrameType.Goaway) {
      this.lines.push(
        `${name} ${payload.readUInt32BE(0)} ${payload.readUInt32BE(4)} ${payload.latin1Slice(8)}`.trim(),
      );
    } else if (type === FrameType.RstStream) {
      this.lines.push(`${name} ${id} ${payload.readUInt32BE(0)}`);
    } else if (type === FrameType.Settings) {
      if ((flags & Flag.Ack) !== 0) this.lines.push(`${name} ack`);
    } else if (type === FrameType.Ping) {
      this.lines.push(`${name}${(flags & Flag.Ack) !== 0 ? ' ack' : ''}`);
    } else {
      this.lines.push(`${name} ${id}`);
    }
  }
}
