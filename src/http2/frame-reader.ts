// Cuts the bytes of a connection into frames; DATA is handed on as it comes, every other frame whole.

import { Buffer } from 'node:buffer';
import { PartialBytes } from '../http1/partial-bytes.ts';
import type { ConnectionFailure } from './failures.ts';
import { Flag, FrameType, HEADER_BYTES, MAX_FRAME_BYTES } from './frames.ts';
import { PREFACE } from './preface.ts';

const At = { Preface: 0, Header: 1, Payload: 2, PadLength: 3, Data: 4, Padding: 5, Failed: 6 } as const;
type At = (typeof At)[keyof typeof At];

/** What a frame means is decided by those who extend this. */
export abstract class FrameReader {
  /** Monotonic milliseconds, of the bytes that are being read. */
  protected nowMs = -1;
  #at: At;
  /** Bytes of the preface that have come. */
  #prefaceLength = 0;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerLength = 0;
  readonly #partial = new PartialBytes();
  #type = 0;
  #flags = 0;
  #streamId = 0;
  #length = 0;
  /** Bytes of the DATA frame that are still to come, without its padding. */
  #data = 0;
  #padding = 0;
  /** When a frame began that is not complete, DATA apart; -1 when there is none. */
  #partialSinceMs = -1;
  #rests = false;

  constructor(expectsPreface: boolean) {
    this.#at = expectsPreface ? At.Preface : At.Header;
  }

  /** Whether nothing is read any more. */
  get failed(): boolean {
    return this.#at === At.Failed;
  }

  protected get partialSinceMs(): number {
    return this.#partialSinceMs;
  }

  /** The stream of a HEADERS frame of which only a part has come; 0 when there is none. */
  protected get partialHeadersOn(): number {
    return this.#at === At.Payload && this.#type === FrameType.Headers ? this.#streamId : 0;
  }

  /** A frame that is complete, but for DATA. */
  protected abstract onFrame(
    type: number,
    flags: number,
    streamId: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void;
  /** A DATA frame begins; `length` counts its padding. */
  protected abstract beginData(streamId: number, length: number): void;
  /** It holds `length` bytes of content: known before the first of them, and the same however they are cut. */
  protected abstract beginContent(length: number): void;
  /** Bytes of it. */
  protected abstract onDataBytes(buffer: Buffer, start: number, end: number): void;
  protected abstract endData(endStream: boolean): void;
  /** Called once; nothing more is read. */
  protected abstract onBroken(failure: ConnectionFailure): void;

  /** The connection cannot go on. */
  protected break(failure: ConnectionFailure): void {
    if (this.#at === At.Failed) return;
    this.stopReading();
    this.onBroken(failure);
  }

  protected stopReading(): void {
    this.#at = At.Failed;
    this.#partial.release();
  }

  /** Leaves what follows the frame in progress for another call. */
  rest(): void {
    this.#rests = true;
  }

  /** @returns up to where the bytes have been read: their end, or where it was told to rest */
  protected read(buffer: Buffer, start: number, end: number): number {
    this.#rests = false;
    let p = start;
    while (p < end && !this.#rests) {
      switch (this.#at) {
        case At.Header:
          p = this.#readHeader(buffer, p, end);
          break;
        case At.Payload:
          p = this.#readPayload(buffer, p, end);
          break;
        case At.Data:
          p = this.#readData(buffer, p, end);
          break;
        case At.PadLength:
          this.#takePadLength(buffer[p++]!);
          break;
        case At.Padding:
          p = this.#skipPadding(p, end);
          break;
        case At.Preface:
          if (buffer[p++] !== PREFACE[this.#prefaceLength++]) return this.#fail('preface-invalid', end);
          if (this.#prefaceLength === PREFACE.length) this.#at = At.Header;
          break;
        case At.Failed:
          return end;
      }
    }
    // What has ended in the middle has no other call to rest for.
    return this.failed ? end : p;
  }

  #readHeader(buffer: Buffer, start: number, end: number): number {
    if (this.#headerLength === 0 && end - start >= HEADER_BYTES) {
      this.#takeHeader(buffer, start);
      return this.#beginPayload(buffer, start + HEADER_BYTES, end);
    }
    const taken = Math.min(HEADER_BYTES - this.#headerLength, end - start);
    buffer.copy(this.#header, this.#headerLength, start, start + taken);
    this.#headerLength += taken;
    if (this.#partialSinceMs < 0) this.#partialSinceMs = this.nowMs;
    if (this.#headerLength < HEADER_BYTES) return end;
    this.#headerLength = 0;
    this.#takeHeader(this.#header, 0);
    const at = this.#beginPayload(buffer, start + taken, end);
    if (this.#at !== At.Payload) this.#partialSinceMs = -1;
    return at;
  }

  #takeHeader(header: Buffer, at: number): void {
    this.#length = (header[at]! << 16) | (header[at + 1]! << 8) | header[at + 2]!;
    this.#type = header[at + 3]!;
    this.#flags = header[at + 4]!;
    this.#streamId =
      ((header[at + 5]! & 0x7f) << 24) | (header[at + 6]! << 16) | (header[at + 7]! << 8) | header[at + 8]!;
  }

  #beginPayload(buffer: Buffer, start: number, end: number): number {
    const length = this.#length;
    if (length > MAX_FRAME_BYTES) return this.#fail('frame-size', end);
    if (this.#type === FrameType.Data) {
      this.beginData(this.#streamId, length);
      if (this.failed) return end;
      this.#padding = 0;
      this.#at = At.Data;
      if ((this.#flags & Flag.Padded) !== 0) {
        if (length === 0) return this.#fail('frame-size', end);
        this.#at = At.PadLength;
      } else this.#beginContent(length);
      return start;
    }
    if (end - start < length) {
      this.#at = At.Payload;
      if (this.#partialSinceMs < 0) this.#partialSinceMs = this.nowMs;
      return start;
    }
    this.onFrame(this.#type, this.#flags, this.#streamId, buffer, start, start + length);
    return start + length;
  }

  #readPayload(buffer: Buffer, start: number, end: number): number {
    const partial = this.#partial;
    const taken = Math.min(this.#length - partial.length, end - start);
    partial.append(buffer, start, start + taken);
    if (partial.length < this.#length) return end;
    const whole = partial.bytes;
    partial.release();
    this.#at = At.Header;
    this.onFrame(this.#type, this.#flags, this.#streamId, whole, 0, this.#length);
    this.#partialSinceMs = -1;
    return start + taken;
  }

  #takePadLength(padding: number): void {
    // RFC 9113, section 6.1: padding may not be longer than what is left of the frame.
    if (padding >= this.#length) return this.break('frame-invalid');
    this.#padding = padding;
    this.#at = At.Data;
    this.#beginContent(this.#length - 1 - padding);
  }

  #beginContent(length: number): void {
    this.#data = length;
    if (length === 0) return this.#endBytes();
    this.beginContent(length);
  }

  #readData(buffer: Buffer, start: number, end: number): number {
    const to = Math.min(end, start + this.#data);
    this.#data -= to - start;
    this.onDataBytes(buffer, start, to);
    if (this.#data === 0 && !this.failed) this.#endBytes();
    return to;
  }

  #endBytes(): void {
    if (this.#padding === 0) this.#endData();
    else this.#at = At.Padding;
  }

  #skipPadding(start: number, end: number): number {
    const skipped = Math.min(this.#padding, end - start);
    this.#padding -= skipped;
    if (this.#padding === 0) this.#endData();
    return start + skipped;
  }

  #endData(): void {
    this.#at = At.Header;
    this.endData((this.#flags & Flag.EndStream) !== 0);
  }

  #fail(failure: ConnectionFailure, end: number): number {
    this.break(failure);
    return end;
  }
}
