// One HTTP/2 connection in either role (RFC 9113): bytes in, events out, frames collected for one write a pass.

import type { Buffer } from 'node:buffer';
import type { HeadLimits } from '../http1/limits.ts';
import type { MessageHead } from '../http1/message-head.ts';
import { PartialBytes } from '../http1/partial-bytes.ts';
import { Framing } from '../http1/step.ts';
import { forwardableTrailers } from '../http1/trailers.ts';
import { BlockDecoder } from './block-decoder.ts';
import { Budget } from './budgets.ts';
import { ConnectionControl, numberAt } from './connection-control.ts';
import { ErrorCode } from './error-code.ts';
import { Flag, FrameType, MAX_STREAM_ID } from './frames.ts';
import type { ConnectionHandler } from './handler.ts';
import type { HeadReader } from './head-reader.ts';
import type { ConnectionOptions } from './options.ts';
import type { OutputSink } from './output.ts';
import type { SpareStreams } from './spare-streams.ts';
import { Half, type Stream } from './stream.ts';
import { Ended } from './stream-table.ts';
import type { Workspace } from './workspace.ts';

/** CONTINUATION frames of one header block; a block of full frames has four at most. */
const MAX_CONTINUATIONS = 64;
/** A block may be twice the limit of its list: then 431 can be answered, and the table stays in step. */
const LEAST_BLOCK_BYTES = 64 * 1024;
/** Bytes of frames other than DATA that wait while the peer does not read. */
const MAX_UNREAD_BYTES = 256 * 1024;

/** What both roles share. */
export abstract class Connection<H extends MessageHead, O> extends ConnectionControl<H, O> {
  readonly #decoder = new BlockDecoder();
  readonly #trailerLimits: HeadLimits;
  readonly #blockLimit: number;
  /** A header block that is not complete: its stream, its flags, how often it went on, and what came of it. */
  #blockStreamId = 0;
  #blockFlags = 0;
  #continuations = 0;
  #blockSinceMs = -1;
  readonly #block = new PartialBytes();
  #selfDependent = false;
  #congestedAt = -1;

  constructor(
    handler: ConnectionHandler<H, O>,
    sink: OutputSink,
    options: ConnectionOptions,
    workspace: Workspace,
    spare: SpareStreams<H>,
    expectsPreface: boolean,
  ) {
    super(handler, sink, options, workspace, spare, expectsPreface);
    const { head } = options;
    this.#trailerLimits = { ...head, headerBytes: head.trailerBytes };
    this.#blockLimit = Math.max(LEAST_BLOCK_BYTES, 2 * head.headerBytes);
    workspace.reserve(Math.max(head.headerBytes, head.trailerBytes), this.#blockLimit);
  }

  /** Set by the session while its wire is congested: what is written then, beside DATA, is held to a bound. */
  get congested(): boolean {
    return this.#congestedAt >= 0;
  }

  set congested(congested: boolean) {
    if (!congested) this.#congestedAt = -1;
    else if (this.#congestedAt < 0) this.#congestedAt = this.writer.controlBytes;
  }

  /**
   * When a header block or a frame began that is not complete, on the clock of `receive`; -1 when there is none. Content
   * does not count: how fast it comes is for those to judge who wait for it.
   */
  get incompleteSinceMs(): number {
    return this.#blockStreamId === 0 ? this.partialSinceMs : this.#blockSinceMs;
  }

  /** The stream whose head, or trailers, have begun and are not complete; 0 when there is none. */
  get incompleteHeadOn(): number {
    return this.#blockStreamId === 0 ? this.partialHeadersOn : this.#blockStreamId;
  }

  /** What is incomplete has taken too long: nothing after it can be read. */
  onIncomplete(): void {
    this.break('header-timeout');
  }

  /**
   * Reads `buffer[start, end)`. `nowMs` is monotonic and measures rates of abuse.
   * @returns up to where the bytes have been read: their end, unless `rest` was called meanwhile
   */
  receive(buffer: Buffer, start: number, end: number, nowMs: number): number {
    if (this.nowMs < 0) this.budgets.begin(nowMs);
    this.nowMs = nowMs;
    const position = this.read(buffer, start, end);
    this.handOnData();
    if (this.#congestedAt >= 0 && this.writer.controlBytes - this.#congestedAt > MAX_UNREAD_BYTES)
      this.break('output-unread');
    return position;
  }

  /** The reader for the head of this stream, begun. */
  protected abstract beginReading(stream: Stream<H, O>): HeadReader<H>;
  /** Whether no other head follows this one. */
  protected abstract isFinal(head: H): boolean;
  /** GOAWAY came. */
  protected abstract onGoawayFrame(lastStreamId: number, code: ErrorCode): void;

  protected get inBlock(): boolean {
    return this.#blockStreamId !== 0;
  }

  protected onFrame(
    type: number,
    flags: number,
    streamId: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    this.handOnData();
    if (!this.peer.received && (type !== FrameType.Settings || (flags & Flag.Ack) !== 0))
      return this.break('preface-invalid');
    if (this.#blockStreamId !== 0) return this.#onContinuation(type, flags, streamId, buffer, start, end);
    switch (type) {
      case FrameType.Headers:
        return this.#onHeaders(flags, streamId, buffer, start, end);
      case FrameType.WindowUpdate:
        return this.onWindowUpdate(streamId, buffer, start, end);
      case FrameType.RstStream:
        return this.onRstStream(streamId, buffer, start, end);
      case FrameType.Settings:
        return this.onSettings(flags, streamId, buffer, start, end);
      case FrameType.Ping:
        return this.onPing(flags, streamId, buffer, start, end);
      case FrameType.Goaway:
        if (streamId !== 0) return this.break('stream-id-invalid');
        if (end - start < 8) return this.break('frame-size');
        return this.onGoawayFrame(numberAt(buffer, start) & MAX_STREAM_ID, numberAt(buffer, start + 4) >>> 0);
      case FrameType.Priority:
        return this.onPriority(streamId, buffer, start, end);
      case FrameType.PriorityUpdate:
        this.spend(Budget.Priorities);
        return;
      case FrameType.PushPromise:
      case FrameType.Continuation:
        return this.break('frame-unexpected');
      default:
        this.spend(Budget.UnknownFrames);
    }
  }

  #onHeaders(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    if (streamId === 0) return this.break('stream-id-invalid');
    let from = start;
    let to = end;
    if ((flags & Flag.Padded) !== 0) {
      if (from === to) return this.break('frame-size');
      to -= buffer[from++]!;
      if (to < from) return this.break('frame-invalid');
    }
    this.#selfDependent = false;
    if ((flags & Flag.Priority) !== 0) {
      if (to - from < 5) return this.break(from === start ? 'frame-size' : 'frame-invalid');
      this.#selfDependent = (numberAt(buffer, from) & MAX_STREAM_ID) === streamId;
      from += 5;
    }
    if ((flags & Flag.EndHeaders) !== 0) return this.#onBlock(flags, streamId, buffer, from, to);
    this.#blockStreamId = streamId;
    this.#blockSinceMs = this.partialSinceMs < 0 ? this.nowMs : this.partialSinceMs;
    this.#blockFlags = flags;
    this.#continuations = 0;
    this.#block.append(buffer, from, to);
  }

  #onContinuation(
    type: number,
    flags: number,
    streamId: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    // Nothing may stand between the parts of a header block (RFC 9113, section 6.2).
    if (type !== FrameType.Continuation || streamId !== this.#blockStreamId)
      return this.break('frame-unexpected');
    // CVE-2024-27316: neither many small parts nor large ones may come without end.
    if (++this.#continuations > MAX_CONTINUATIONS) return this.break('continuation-flood');
    if (this.#block.length + end - start > this.#blockLimit) return this.break('header-block-too-large');
    if (end === start && !this.spend(Budget.EmptyFrames)) return;
    this.#block.append(buffer, start, end);
    if ((flags & Flag.EndHeaders) === 0) return;
    const { bytes, length } = this.#block;
    this.#block.release();
    this.#blockStreamId = 0;
    this.#onBlock(this.#blockFlags, streamId, bytes, 0, length);
  }

  /** A header block is complete; it is decoded in any case, since the table must see it (RFC 9113, section 4.3). */
  #onBlock(flags: number, streamId: number, block: Buffer, start: number, end: number): void {
    const ended = (flags & Flag.EndStream) !== 0;
    const stream = this.table.open.get(streamId);
    if (stream === undefined) return this.#onFirstBlock(ended, streamId, block, start, end);
    if (stream.receiving === Half.Closed) {
      if (this.#ignore(block, start, end)) this.streamError(stream, ErrorCode.StreamClosed);
      return;
    }
    if (!stream.hasHead) return this.#readHead(stream, ended, block, start, end);
    this.#readTrailers(stream, ended, block, start, end);
  }

  #onFirstBlock(ended: boolean, streamId: number, block: Buffer, start: number, end: number): void {
    if (!this.isServer || streamId <= this.lastStreamId) {
      if ((streamId & 1) === 0 || streamId > this.lastStreamId) return this.break('stream-id-invalid');
      const how = this.table.howEnded(streamId);
      if (how === Ended.Unknown && this.isServer) return this.break('stream-id-invalid');
      if (how === Ended.Orderly || how === Ended.ByPeer) return this.break('stream-closed');
      if (this.late.takesFrame() || this.spend(Budget.ClosedStreams)) this.#ignore(block, start, end);
      return;
    }
    if ((streamId & 1) === 0) return this.break('stream-id-invalid');
    if (streamId > this.goawayId) {
      if (this.spend(Budget.ClosedStreams)) this.#ignore(block, start, end);
      return;
    }
    const { maxStreams } = this.options;
    // Streams that are closed but not let go of are work in progress too: resets must not hide it.
    if (this.table.open.size >= maxStreams || this.table.held >= 2 * maxStreams) {
      this.lastStreamId = streamId;
      if (this.#ignore(block, start, end)) this.refuseId(streamId, ErrorCode.RefusedStream);
      return;
    }
    this.#readHead(this.addStream(streamId), ended, block, start, end);
  }

  #readHead(stream: Stream<H, O>, ended: boolean, block: Buffer, start: number, end: number): void {
    const reader = this.beginReading(stream);
    if (!this.#decode(block, start, end, reader)) return;
    reader.finish(ended);
    if (this.#selfDependent) return this.streamError(stream, ErrorCode.ProtocolError);
    const { failure } = reader;
    if (failure !== '') return this.refuse(stream, failure);
    const { head } = stream;
    stream.hasHead = this.isFinal(head);
    if (head.framing === Framing.Length) stream.missing = head.contentLength;
    const { generation } = stream;
    // A request that is answered at once ends with its answer: nothing is left of it that could be reset.
    if (ended && this.isServer) stream.receiving = Half.Closed;
    this.handler.onHead(stream);
    if (ended && stream.generation === generation && !stream.closed) this.endReceiving(stream, '');
  }

  #readTrailers(stream: Stream<H, O>, ended: boolean, block: Buffer, start: number, end: number): void {
    const reader = this.workspace.trailers;
    reader.begin(reader.section, this.#trailerLimits, this.isServer ? this.options.underscores : 'trust');
    if (!this.#decode(block, start, end, reader)) return;
    reader.finish(true);
    if (this.#selfDependent) return this.streamError(stream, ErrorCode.ProtocolError);
    if (!ended) return this.refuse(stream, 'trailers-without-end');
    if (reader.failure !== '') return this.refuse(stream, reader.failure);
    if (stream.missing > 0) return this.refuse(stream, 'content-length-mismatch');
    const trailers = forwardableTrailers(reader.section, stream.head);
    reader.section.release();
    if (trailers === null) return this.refuse(stream, 'trailer-forbidden');
    this.endReceiving(stream, trailers);
  }

  #ignore(block: Buffer, start: number, end: number): boolean {
    const reader = this.workspace.trailers;
    reader.begin(reader.section, this.#trailerLimits, 'trust');
    return this.#decode(block, start, end, reader);
  }

  #decode(
    block: Buffer,
    start: number,
    end: number,
    reader: HeadReader<H> | HeadReader<MessageHead>,
  ): boolean {
    const decoder = this.#decoder;
    if (!decoder.decode(block, start, end, reader)) {
      this.break('header-compression');
      return false;
    }
    return decoder.resizes === 0 || this.spend(Budget.Resizes);
  }
}
