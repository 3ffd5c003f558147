// One end of an HTTP/2 connection by hand: frames, windows, and the state of each stream.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { BlockDecoder } from '../../../src/http2/block-decoder.ts';
import { FIRST_WINDOW, Flag, FrameType, MAX_FRAME_BYTES, Setting } from '../../../src/http2/frames.ts';
import { PREFACE } from '../../../src/http2/preface.ts';
import {
  data,
  goaway,
  padded,
  ping,
  reset,
  settings,
  settingsAck,
  windowUpdate,
} from '../../http2/frames.ts';
import { decodeBlock } from '../../http2/hpack.ts';
import type { Fields } from './ledger.ts';
import { RawEnd } from './raw-end.ts';

const PADDING = 20;

/** A stream as this end sees it; `of` is what its messages belong to. */
export interface Lane<T> {
  readonly id: number;
  readonly of: T;
  sendWindow: number;
  receiveWindow: number;
  hasSentHead: boolean;
  hasSentEnd: boolean;
  hasGotEnd: boolean;
}

export abstract class Http2End<T> extends RawEnd {
  protected readonly lanes = new Map<number, Lane<T>>();
  /** What the other side lets us have open. */
  protected peerStreams = Number.POSITIVE_INFINITY;
  #hasOpened = false;
  #owed: Buffer = Buffer.alloc(0);
  #window = FIRST_WINDOW;
  #peerWindow = FIRST_WINDOW;
  #sendWindow = FIRST_WINDOW;
  #receiveWindow = FIRST_WINDOW;
  readonly #decoder = new BlockDecoder();
  #bytes: Buffer = Buffer.alloc(0);
  #block: Buffer = Buffer.alloc(0);
  #blockEnds = false;
  readonly #isServer: boolean;
  #expectsPreface: boolean;

  constructor(socket: Socket, name: string, isServer: boolean, raw = socket) {
    super(socket, name, raw);
    this.#isServer = isServer;
    this.#expectsPreface = isServer;
  }

  protected abstract onFields(id: number, fields: Fields, ended: boolean): void;
  protected abstract onContent(lane: Lane<T>, bytes: Buffer): void;
  protected abstract onMessageEnd(lane: Lane<T>, trailers: Fields): void;
  protected abstract onReset(lane: Lane<T>, code: number): void;
  protected abstract onGoaway(code: number): void;

  // What this end says -----------------------------------------------------------------------------------------------

  /** The first that is said. @param window of each stream */
  protected open(window: number, ...more: readonly (readonly [number, number])[]): void {
    this.#window = window;
    if (!this.#isServer) this.queue(PREFACE);
    this.queue(settings([Setting.InitialWindowSize, window], ...more));
    this.#hasOpened = true;
    this.queue(this.#owed);
  }

  protected addLane(id: number, of: T): Lane<T> {
    const lane: Lane<T> = {
      id,
      of,
      sendWindow: this.#peerWindow,
      receiveWindow: this.#window,
      hasSentHead: false,
      hasSentEnd: false,
      hasGotEnd: false,
    };
    this.lanes.set(id, lane);
    return lane;
  }

  /** How much may be said on this stream in one frame. */
  protected roomOf({ sendWindow }: Lane<T>): number {
    return Math.max(0, Math.min(sendWindow, this.#sendWindow, MAX_FRAME_BYTES) - PADDING - 1);
  }

  /** @param content not more than there is room for */
  protected say(lane: Lane<T>, content: Buffer, ended: boolean, mayPad: boolean): void {
    const flags = ended ? Flag.EndStream : 0;
    const withPadding = mayPad && this.roomOf(lane) > 0;
    this.queue(
      withPadding ? padded(FrameType.Data, flags, lane.id, content, PADDING) : data(lane.id, content, ended),
    );
    const length = content.length + (withPadding ? PADDING + 1 : 0);
    lane.sendWindow -= length;
    this.#sendWindow -= length;
    if (ended) this.saidEnd(lane);
  }

  protected saidEnd(lane: Lane<T>): void {
    lane.hasSentEnd = true;
    this.#drop(lane);
  }

  protected giveUp(lane: Lane<T>, code: number): void {
    this.queue(reset(lane.id, code));
    this.lanes.delete(lane.id);
  }

  protected grant(bytes: number, lane: Lane<T> | undefined): void {
    if (lane === undefined) this.#receiveWindow += bytes;
    else lane.receiveWindow += bytes;
    this.queue(windowUpdate(lane?.id ?? 0, bytes));
  }

  protected sayGoaway(lastId: number, code: number): void {
    this.queue(goaway(lastId, code));
  }

  protected sayPing(): void {
    this.queue(ping());
  }

  /** Opens all windows as far as anything needs. */
  protected grantAll(): void {
    const plenty = 1 << 24;
    if (this.#receiveWindow < plenty) this.grant(plenty, undefined);
    for (const lane of this.lanes.values()) if (lane.receiveWindow < plenty) this.grant(plenty, lane);
  }

  // What the other side says -----------------------------------------------------------------------------------------

  protected onBytes(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    if (this.#expectsPreface) {
      if (this.#bytes.length < PREFACE.length) return;
      assert.ok(this.#bytes.subarray(0, PREFACE.length).equals(PREFACE), `${this.name} got no preface`);
      this.#bytes = this.#bytes.subarray(PREFACE.length);
      this.#expectsPreface = false;
    }
    while (this.#bytes.length >= 9 && !this.over) {
      const length = this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < 9 + length) return;
      const [type, flags, id] = [this.#bytes[3]!, this.#bytes[4]!, this.#bytes.readUInt32BE(5)];
      const payload = this.#bytes.subarray(9, 9 + length);
      this.#bytes = this.#bytes.subarray(9 + length);
      this.#take(type, flags, id, payload);
    }
  }

  #take(type: number, flags: number, id: number, payload: Buffer): void {
    const lane = this.lanes.get(id);
    const ended = (flags & Flag.EndStream) !== 0;
    if (type === FrameType.Headers || type === FrameType.Continuation)
      return this.#takeBlock(type, flags, id, payload);
    assert.equal(this.#block.length, 0, `${this.name} got a frame within a block of fields`);
    if (type === FrameType.Data) {
      this.#receiveWindow -= payload.length;
      assert.ok(this.#receiveWindow >= 0, `${this.name} got more than its window`);
      if (lane === undefined) return;
      lane.receiveWindow -= payload.length;
      assert.ok(lane.receiveWindow >= 0, `${this.name} got more than the window of stream ${id}`);
      assert.ok(!lane.hasGotEnd, `${this.name} got content after the end of stream ${id}`);
      if (payload.length > 0) this.onContent(lane, payload);
      if (ended) this.gotEnd(lane, new Map());
    } else if (type === FrameType.RstStream) {
      this.lanes.delete(id);
      if (lane !== undefined) this.onReset(lane, payload.readUInt32BE(0));
    } else if (type === FrameType.WindowUpdate) {
      if (id === 0) this.#sendWindow += payload.readUInt32BE(0);
      else if (lane !== undefined) lane.sendWindow += payload.readUInt32BE(0);
    } else if (type === FrameType.Settings && !ended) this.#takeSettings(payload);
    else if (type === FrameType.Ping && !ended) this.#reply(ping(payload.toString('latin1'), true));
    else if (type === FrameType.Goaway) this.onGoaway(payload.readUInt32BE(4));
  }

  /** Not before the first that this end has to say. */
  #reply(frame: Buffer): void {
    if (this.#hasOpened) this.queue(frame);
    else this.#owed = Buffer.concat([this.#owed, frame]);
  }

  #takeSettings(payload: Buffer): void {
    for (let at = 0; at < payload.length; at += 6) {
      const value = payload.readUInt32BE(at + 2);
      const setting = payload.readUInt16BE(at);
      if (setting === Setting.MaxConcurrentStreams) this.peerStreams = value;
      if (setting !== Setting.InitialWindowSize) continue;
      for (const lane of this.lanes.values()) lane.sendWindow += value - this.#peerWindow;
      this.#peerWindow = value;
    }
    this.#reply(settingsAck);
  }

  #takeBlock(type: number, flags: number, id: number, payload: Buffer): void {
    if (type === FrameType.Headers) this.#blockEnds = (flags & Flag.EndStream) !== 0;
    this.#block = Buffer.concat([this.#block, payload]);
    if ((flags & Flag.EndHeaders) === 0) return;
    const block = this.#block;
    this.#block = Buffer.alloc(0);
    const fields = decodeBlock(this.#decoder, block);
    assert.ok(fields !== null, `${this.name} got a broken block of fields`);
    this.onFields(id, new Map(fields), this.#blockEnds);
  }

  protected gotEnd(lane: Lane<T>, trailers: Fields): void {
    lane.hasGotEnd = true;
    this.#drop(lane);
    this.onMessageEnd(lane, trailers);
  }

  #drop(lane: Lane<T>): void {
    if (lane.hasSentEnd && lane.hasGotEnd) this.lanes.delete(lane.id);
  }
}
