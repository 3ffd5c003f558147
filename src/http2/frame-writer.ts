// Writes frames one behind the other into buffers of the sink.

import type { Buffer } from 'node:buffer';
import { copyInto } from './copy-into.ts';
import type { ErrorCode } from './error-code.ts';
import { Flag, FrameType, HEADER_BYTES, MAX_FRAME_BYTES } from './frames.ts';
import type { OutputSink } from './output.ts';

export class FrameWriter {
  /** Bytes of all frames but DATA since the connection began; the bound on unread output is kept over it. */
  controlBytes = 0;
  readonly #sink: OutputSink;
  #buffer: Buffer | null = null;
  #used = 0;
  #pending = false;

  constructor(sink: OutputSink) {
    this.#sink = sink;
  }

  /** Bytes as they are: the preface. */
  bytes(from: Buffer): void {
    const at = this.#room(from.length);
    from.copy(this.#buffer!, at);
  }

  /** DATA; at most `MAX_FRAME_BYTES`. */
  data(streamId: number, from: Buffer, start: number, end: number, endStream: boolean): void {
    const length = end - start;
    const at = this.#frame(length, FrameType.Data, endStream ? Flag.EndStream : 0, streamId);
    const to = this.#buffer!;
    if (length > 64) copyInto(to, at, from, start, end);
    else for (let i = 0; i < length; i++) to[at + i] = from[start + i]!;
  }

  /** HEADERS, with CONTINUATION when the block does not fit in one. */
  block(streamId: number, block: Buffer, length: number, endStream: boolean): void {
    this.controlBytes += length + HEADER_BYTES;
    let start = 0;
    let type: number = FrameType.Headers;
    let flags = endStream ? Flag.EndStream : 0;
    do {
      const end = Math.min(length, start + MAX_FRAME_BYTES);
      if (end === length) flags |= Flag.EndHeaders;
      const at = this.#frame(end - start, type, flags, streamId);
      block.copy(this.#buffer!, at, start, end);
      start = end;
      type = FrameType.Continuation;
      flags = 0;
    } while (start < length);
  }

  /** SETTINGS; `pairs` are identifiers and values in turn. */
  settings(pairs: readonly number[]): void {
    let at = this.#control(pairs.length * 3, FrameType.Settings, 0, 0);
    const to = this.#buffer!;
    for (let i = 0; i < pairs.length; i += 2) {
      at = to.writeUInt16BE(pairs[i]!, at);
      at = to.writeUInt32BE(pairs[i + 1]!, at);
    }
  }

  settingsAck(): void {
    this.#control(0, FrameType.Settings, Flag.Ack, 0);
  }

  /** PING, or the answer to one with the same 8 bytes. */
  ping(from: Uint8Array, start: number, ack: boolean): void {
    const at = this.#control(8, FrameType.Ping, ack ? Flag.Ack : 0, 0);
    for (let i = 0; i < 8; i++) this.#buffer![at + i] = from[start + i]!;
  }

  reset(streamId: number, code: ErrorCode): void {
    const at = this.#control(4, FrameType.RstStream, 0, streamId);
    this.#number(at, code);
  }

  windowUpdate(streamId: number, increment: number): void {
    const at = this.#control(4, FrameType.WindowUpdate, 0, streamId);
    this.#number(at, increment);
  }

  /** `detail` is ASCII for whoever looks into the frame. */
  goaway(lastStreamId: number, code: ErrorCode, detail: string): void {
    const at = this.#control(8 + detail.length, FrameType.Goaway, 0, 0);
    this.#number(at, lastStreamId);
    this.#number(at + 4, code);
    this.#buffer!.latin1Write(detail, at + 8);
  }

  /** Hands over what has been written. */
  flush(): void {
    this.#pending = false;
    const buffer = this.#buffer;
    if (buffer === null) return;
    this.#buffer = null;
    this.#sink.send(buffer, this.#used);
    this.#used = 0;
  }

  /** Gives the buffer back unsent. */
  drop(): void {
    this.#used = 0;
    this.flush();
  }

  #control(length: number, type: number, flags: number, streamId: number): number {
    this.controlBytes += length + HEADER_BYTES;
    return this.#frame(length, type, flags, streamId);
  }

  /** Writes a frame header. @returns where the payload goes */
  #frame(length: number, type: number, flags: number, streamId: number): number {
    const at = this.#room(HEADER_BYTES + length);
    const to = this.#buffer!;
    to[at] = length >>> 16;
    to[at + 1] = length >>> 8;
    to[at + 2] = length;
    to[at + 3] = type;
    to[at + 4] = flags;
    this.#number(at + 5, streamId);
    return at + HEADER_BYTES;
  }

  #number(at: number, value: number): void {
    const to = this.#buffer!;
    to[at] = value >>> 24;
    to[at + 1] = value >>> 16;
    to[at + 2] = value >>> 8;
    to[at + 3] = value;
  }

  /** Takes `bytes` of the buffer. @returns where they begin */
  #room(bytes: number): number {
    if (!this.#pending) {
      this.#pending = true;
      this.#sink.pending();
    }
    let buffer = this.#buffer;
    if (buffer !== null && this.#used + bytes > buffer.length) {
      this.#sink.send(buffer, this.#used);
      buffer = null;
    }
    if (buffer === null) {
      this.#buffer = this.#sink.take();
      this.#used = 0;
    }
    const at = this.#used;
    this.#used = at + bytes;
    return at;
  }
}
