// One HTTP/2 connection in either role (RFC 9113): bytes in, events out, frames collected for one write a turn.

import { Buffer } from 'node:buffer';
import type { HeadLimits } from '../http1/limits.ts';
import type { MessageHead } from '../http1/message-head.ts';
import { PartialBytes } from '../http1/partial-bytes.ts';
import { Framing } from '../http1/step.ts';
import { forwardableTrailers } from '../http1/trailers.ts';
import { BlockDecoder } from './block-decoder.ts';
import { Budget, Budgets } from './budgets.ts';
import { ErrorCode } from './error-code.ts';
import { type ConnectionFailure, errorCodeOf, type MessageFailure } from './failures.ts';
import { FrameReader } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import {
  FIRST_WINDOW,
  Flag,
  FrameType,
  MAX_FRAME_BYTES,
  MAX_STREAM_ID,
  MAX_WINDOW,
  Setting,
} from './frames.ts';
import type { ConnectionHandler } from './handler.ts';
import { HeadEncoder } from './head-encoder.ts';
import type { HeadReader } from './head-reader.ts';
import type { ConnectionOptions } from './options.ts';
import type { OutputSink } from './output.ts';
import { PeerSettings } from './peer-settings.ts';
import { Half, type Stream } from './stream.ts';
import { Ended, StreamTable } from './stream-table.ts';
import { WaitingStreams } from './waiting-streams.ts';
import type { Workspace } from './workspace.ts';

/** CONTINUATION frames of one header block; a block of full frames has four at most. */
const MAX_CONTINUATIONS = 64;
/** A block may be twice the limit of its list: then 431 can be answered, and the table stays in step. */
const LEAST_BLOCK_BYTES = 64 * 1024;
/** Bytes of frames other than DATA that wait while the peer does not read. */
const MAX_UNREAD_BYTES = 256 * 1024;
/** A DATA frame made shorter than this by the peer's window is one that costs more than it carries. */
const SMALL_FRAME = 256;
const WINDOW_UPDATES_PER_DATA = 10;
const PRIORITIES_PER_STREAM = 10;
const PING_SESSION = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
const PING_DRAIN = Buffer.from([2, 0, 0, 0, 0, 0, 0, 0]);

/** What both roles share. `H` is the kind of head that is received, `O` what the session keeps for a stream. */
export abstract class Connection<H extends MessageHead, O> extends FrameReader {
  /** The peer has acknowledged our settings. */
  settingsAcknowledged = false;
  /** Bytes that the peer lets us send on all streams together. */
  sendWindow = FIRST_WINDOW;
  protected readonly handler: ConnectionHandler<H, O>;
  protected readonly options: ConnectionOptions;
  protected readonly workspace: Workspace;
  protected readonly writer: FrameWriter;
  protected readonly table: StreamTable<H, O>;
  protected readonly peer = new PeerSettings();
  /** The largest id of a stream that the other side opened, or that we opened as a client. */
  protected lastStreamId = 0;
  readonly #budgets = new Budgets();
  readonly #decoder = new BlockDecoder();
  readonly #encoder: HeadEncoder;
  readonly #waiting = new WaitingStreams<H, O>();
  readonly #trailerLimits: HeadLimits;
  readonly #blockLimit: number;
  #receiveWindow = FIRST_WINDOW;
  #credit = 0;
  /** A header block that is not complete: its stream, its flags, how often it went on, and what came of it. */
  #blockStreamId = 0;
  #blockFlags = 0;
  #continuations = 0;
  #blockSinceMs = -1;
  readonly #block = new PartialBytes();
  #selfDependent = false;
  /** The DATA frame that is being read: its stream if it is open, what is left of it, and whether it held anything. */
  #dataStream: Stream<H, O> | null = null;
  #dataStreamId = 0;
  #dataLeft = 0;
  #dataSeen = false;
  /** The stream whose head is being written. */
  #headStream: Stream<H, O> | null = null;
  #congestedAt = -1;
  /** Streams above this one are ignored: our GOAWAY has said so. */
  #goawayId = MAX_STREAM_ID;
  #draining = false;

  constructor(
    handler: ConnectionHandler<H, O>,
    sink: OutputSink,
    options: ConnectionOptions,
    workspace: Workspace,
    makeHead: () => H,
    expectsPreface: boolean,
  ) {
    super(expectsPreface);
    const { head } = options;
    this.handler = handler;
    this.options = options;
    this.workspace = workspace;
    this.writer = new FrameWriter(sink);
    this.table = new StreamTable(makeHead);
    this.#encoder = new HeadEncoder(workspace);
    this.#trailerLimits = { ...head, headerBytes: head.trailerBytes };
    this.#blockLimit = Math.max(LEAST_BLOCK_BYTES, 2 * head.headerBytes);
    workspace.reserve(Math.max(head.headerBytes, head.trailerBytes), this.#blockLimit);
  }

  /** Streams that are open in either direction. */
  get streamCount(): number {
    return this.table.open.size;
  }

  /** The open streams; also those that a failure left behind. */
  get streams(): Iterable<Stream<H, O>> {
    return this.table.open.values();
  }

  /** Set by the session while its wire is congested: what is written then, beside DATA, is held to a bound. */
  get congested(): boolean {
    return this.#congestedAt >= 0;
  }

  set congested(congested: boolean) {
    if (!congested) this.#congestedAt = -1;
    else if (this.#congestedAt < 0) this.#congestedAt = this.writer.controlBytes;
  }

  /** The peer's SETTINGS have come, which are the first that it has to say. */
  get established(): boolean {
    return this.peer.received;
  }

  /**
   * When a header block or a frame began that is not complete, on the clock of `receive`; -1 when there is none. Content
   * does not count: how fast it comes is for those to judge who wait for it.
   */
  get incompleteSinceMs(): number {
    return this.#blockStreamId === 0 ? this.partialSinceMs : this.#blockSinceMs;
  }

  /** What is incomplete has taken too long: nothing after it can be read. */
  onIncomplete(): void {
    this.break('header-timeout');
  }

  /** Writes the preface (client) and our SETTINGS; called once, before anything else. */
  abstract start(): void;

  /** Reads `buffer[start, end)`, all of it. `nowMs` is monotonic and measures rates of abuse. */
  receive(buffer: Buffer, start: number, end: number, nowMs: number): void {
    if (this.nowMs < 0) this.#budgets.begin(nowMs);
    this.nowMs = nowMs;
    this.read(buffer, start, end);
    if (this.#congestedAt >= 0 && this.writer.controlBytes - this.#congestedAt > MAX_UNREAD_BYTES)
      this.break('output-unread');
  }

  // Output -----------------------------------------------------------------------------------------------------------

  /**
   * Begins a head: fill the encoder, then call `endHead` before anything else of this connection. For a stream that may
   * not send any more both do nothing.
   */
  beginHead(stream: Stream<H, O>): HeadEncoder {
    const writable = stream.sending === Half.Open && !this.failed;
    this.#headStream = writable ? stream : null;
    // A head that nobody gets must not pass through the table that the peer follows.
    const encoder = writable ? this.#encoder : new HeadEncoder(this.workspace);
    encoder.begin();
    return encoder;
  }

  /** Writes the head. `endStream` when nothing follows. Interim responses are heads like any other. */
  endHead(endStream: boolean): void {
    const stream = this.#headStream;
    this.#headStream = null;
    if (stream === null) return;
    const encoder = this.#encoder;
    this.writer.block(stream.id, encoder.block, encoder.length, endStream);
    if (endStream) this.#endSending(stream);
  }

  /**
   * Writes as much of `buffer[start, end)` as the windows take.
   * @returns the number of bytes taken, all of them when the stream is closed; when it is less than given, `onWindow` says when to go on. With `endStream`,
   * END_STREAM is set on the last of the bytes, and only then.
   */
  sendData(stream: Stream<H, O>, buffer: Buffer, start: number, end: number, endStream: boolean): number {
    if (stream.sending !== Half.Open || this.failed) return end - start;
    const allowed = Math.max(0, Math.min(stream.sendWindow, this.sendWindow, end - start));
    const to = start + allowed;
    let p = start;
    while (p < to) {
      const next = Math.min(to, p + MAX_FRAME_BYTES);
      this.writer.data(stream.id, buffer, p, next, endStream && next === end);
      this.#budgets.earn(Budget.WindowUpdates, WINDOW_UPDATES_PER_DATA);
      this.#budgets.earn(Budget.Pings, 1);
      p = next;
    }
    stream.sendWindow -= allowed;
    this.sendWindow -= allowed;
    if (to < end) {
      this.#waiting.add(stream);
      if (allowed > 0 && allowed < SMALL_FRAME) this.#spend(Budget.SmallWindows);
    } else if (endStream) {
      if (start === end) this.writer.data(stream.id, buffer, start, end, true);
      this.#endSending(stream);
    }
    return allowed;
  }

  /** Ends the message; `trailers` are lines with CRLF, or ''. Does nothing when our side has ended. */
  sendEnd(stream: Stream<H, O>, trailers: string): void {
    if (stream.sending !== Half.Open || this.failed) return;
    if (trailers === '') {
      this.writer.data(stream.id, NONE, 0, 0, true);
      this.#endSending(stream);
      return;
    }
    this.beginHead(stream).lines(trailers);
    this.endHead(true);
  }

  /** Gives a stream up; does nothing when it is closed. No event but `onClosed` follows. */
  reset(stream: Stream<H, O>, code: ErrorCode): void {
    if (stream.closed || this.failed) return;
    this.writer.reset(stream.id, code);
    this.#close(stream, Ended.ByUs);
  }

  /** The other side has taken bytes of `onData`: the windows open again. */
  consume(stream: Stream<H, O>, bytes: number): void {
    const taken = Math.min(bytes, stream.unconsumed);
    stream.unconsumed -= taken;
    this.#creditConnection(taken);
    this.#creditStream(stream, taken);
  }

  #creditStream(stream: Stream<H, O>, bytes: number): void {
    if (stream.receiving !== Half.Open || this.failed) return;
    stream.credit += bytes;
    if (stream.credit < this.options.streamWindow / 2) return;
    this.writer.windowUpdate(stream.id, stream.credit);
    stream.receiveWindow += stream.credit;
    stream.credit = 0;
  }

  /** The session keeps no reference to a closed stream any more: its object may serve another. */
  release(stream: Stream<H, O>): void {
    this.table.release(stream);
  }

  /** Asks for a sign of life; `onPong` follows. */
  ping(): void {
    if (!this.failed) this.writer.ping(PING_SESSION, 0, false);
  }

  /**
   * First step of a graceful end (RFC 9113, section 6.8): GOAWAY that still takes streams, and a PING. When the answer
   * comes, or `finishDrain` is called, GOAWAY with the last stream follows, and new ones are ignored.
   */
  drain(): void {
    if (this.#draining || this.failed) return;
    this.#draining = true;
    this.writer.goaway(MAX_STREAM_ID, ErrorCode.NoError, '');
    this.writer.ping(PING_DRAIN, 0, false);
  }

  /** The second step, at once. */
  finishDrain(): void {
    if (this.failed || this.#goawayId !== MAX_STREAM_ID) return;
    this.#draining = true;
    this.#goawayId = this.peerLastStreamId;
    this.writer.goaway(this.#goawayId, ErrorCode.NoError, '');
  }

  /** Our GOAWAY has named the last stream: those that come after it are ignored. */
  get drained(): boolean {
    return this.#goawayId !== MAX_STREAM_ID;
  }

  /** Ends the connection with a code: nothing more is read. */
  goaway(code: ErrorCode): void {
    if (this.failed) return;
    this.writer.goaway(this.peerLastStreamId, code, '');
    this.stopReading();
  }

  /** Hands what has been collected to the sink; called at the end of a turn. */
  flush(): void {
    this.writer.flush();
  }

  /** The connection is gone: gives back its output buffer. */
  close(): void {
    if (!this.failed) this.stopReading();
    this.writer.drop();
  }

  // Streams ----------------------------------------------------------------------------------------------------------

  /** The largest id of a stream that the peer opened: what GOAWAY names. */
  protected abstract get peerLastStreamId(): number;
  /** Whether the peer may open streams, as clients do. */
  protected abstract get isServer(): boolean;
  /** The reader for the head of this stream, begun. */
  protected abstract beginReading(stream: Stream<H, O>): HeadReader<H>;
  /** GOAWAY came. */
  protected abstract onGoawayFrame(lastStreamId: number, code: ErrorCode): void;

  #spend(kind: Budget): boolean {
    const failure = this.#budgets.spend(kind, this.nowMs);
    if (failure === '') return true;
    this.break(failure);
    return false;
  }

  protected onBroken(failure: ConnectionFailure): void {
    this.writer.goaway(this.peerLastStreamId, errorCodeOf(failure), failure);
    this.handler.onFailure(failure);
  }

  #endSending(stream: Stream<H, O>): void {
    stream.sending = Half.Closed;
    stream.blocked = false;
    if (stream.receiving === Half.Closed) this.#close(stream, Ended.Orderly);
  }

  #endReceiving(stream: Stream<H, O>, trailers: string): void {
    stream.receiving = Half.Closed;
    this.handler.onEnd(stream, trailers);
    if (stream.sending === Half.Closed && !stream.closed) this.#close(stream, Ended.Orderly);
  }

  #close(stream: Stream<H, O>, how: Ended): void {
    stream.receiving = Half.Closed;
    stream.sending = Half.Closed;
    stream.blocked = false;
    this.table.end(stream, how);
    this.#creditConnection(stream.unconsumed);
    stream.unconsumed = 0;
    if (how === Ended.Orderly) {
      this.#budgets.earn(Budget.Resets, 1);
      this.#budgets.earn(Budget.Priorities, PRIORITIES_PER_STREAM);
    }
    this.handler.onClosed(stream);
  }

  /** A stream error that the peer caused: it may not make us do this for ever (CVE-2025-8671). */
  #streamError(stream: Stream<H, O>, code: ErrorCode): void {
    const { id } = stream;
    if (!this.#spend(Budget.ProvokedResets)) return;
    stream.receiving = Half.Closed;
    this.writer.reset(id, code);
    this.handler.onReset(stream, code);
    if (!stream.closed && stream.id === id) this.#close(stream, Ended.ByUs);
  }

  /** The message is malformed: the session may answer, then the stream is reset (RFC 9113, section 8.1.1). */
  #refuse(stream: Stream<H, O>, reason: MessageFailure): void {
    const { id } = stream;
    if (!this.#spend(Budget.ProvokedResets)) return;
    stream.receiving = Half.Closed;
    this.handler.onRefused(stream, reason);
    if (this.failed) return;
    // The answer may have ended the stream, and the session released it: the peer is told all the same.
    this.writer.reset(id, ErrorCode.ProtocolError);
    if (stream.id === id && !stream.closed) this.#close(stream, Ended.ByUs);
    else this.table.remember(id, Ended.ByUs);
  }

  /** For a stream that has no object. */
  #refuseId(id: number, code: ErrorCode): void {
    if (!this.#spend(Budget.ProvokedResets)) return;
    this.writer.reset(id, code);
    this.table.remember(id, Ended.ByUs);
  }

  protected closeRefused(stream: Stream<H, O>): void {
    stream.receiving = Half.Closed;
    stream.sending = Half.Closed;
    this.handler.onReset(stream, ErrorCode.RefusedStream);
    if (!stream.closed) this.#close(stream, Ended.ByPeer);
  }

  protected addStream(id: number): Stream<H, O> {
    this.lastStreamId = id;
    const { streamWindow } = this.options;
    // Until our settings are acknowledged the peer may still count from the first size (RFC 9113, section 6.9.2).
    const window = this.settingsAcknowledged ? streamWindow : Math.max(FIRST_WINDOW, streamWindow);
    return this.table.add(id, this.peer.initialWindow, window);
  }

  // Frames -----------------------------------------------------------------------------------------------------------

  protected onFrame(
    type: number,
    flags: number,
    streamId: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    if (!this.peer.received && (type !== FrameType.Settings || (flags & Flag.Ack) !== 0))
      return this.break('preface-invalid');
    if (this.#blockStreamId !== 0) return this.#onContinuation(type, flags, streamId, buffer, start, end);
    switch (type) {
      case FrameType.Headers:
        return this.#onHeaders(flags, streamId, buffer, start, end);
      case FrameType.WindowUpdate:
        return this.#onWindowUpdate(streamId, buffer, start, end);
      case FrameType.RstStream:
        return this.#onRstStream(streamId, buffer, start, end);
      case FrameType.Settings:
        return this.#onSettings(flags, streamId, buffer, start, end);
      case FrameType.Ping:
        return this.#onPing(flags, streamId, buffer, start, end);
      case FrameType.Goaway:
        if (streamId !== 0) return this.break('stream-id-invalid');
        if (end - start < 8) return this.break('frame-size');
        return this.onGoawayFrame(numberAt(buffer, start) & MAX_STREAM_ID, numberAt(buffer, start + 4) >>> 0);
      case FrameType.Priority:
        return this.#onPriority(streamId, buffer, start, end);
      case FrameType.PriorityUpdate:
        this.#spend(Budget.Priorities);
        return;
      case FrameType.PushPromise:
      case FrameType.Continuation:
        return this.break('frame-unexpected');
      default:
        this.#spend(Budget.UnknownFrames);
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
    if (end === start && !this.#spend(Budget.EmptyFrames)) return;
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
      if (this.#ignore(block, start, end)) this.#streamError(stream, ErrorCode.StreamClosed);
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
      if (this.#spend(Budget.ClosedStreams)) this.#ignore(block, start, end);
      return;
    }
    if ((streamId & 1) === 0) return this.break('stream-id-invalid');
    if (streamId > this.#goawayId) {
      if (this.#spend(Budget.ClosedStreams)) this.#ignore(block, start, end);
      return;
    }
    const { maxStreams } = this.options;
    // Streams that are closed but not let go of are work in progress too: resets must not hide it.
    if (this.table.open.size >= maxStreams || this.table.held >= 2 * maxStreams) {
      this.lastStreamId = streamId;
      if (this.#ignore(block, start, end)) this.#refuseId(streamId, ErrorCode.RefusedStream);
      return;
    }
    this.#readHead(this.addStream(streamId), ended, block, start, end);
  }

  #readHead(stream: Stream<H, O>, ended: boolean, block: Buffer, start: number, end: number): void {
    const reader = this.beginReading(stream);
    if (!this.#decode(block, start, end, reader)) return;
    reader.finish(ended);
    if (this.#selfDependent) return this.#streamError(stream, ErrorCode.ProtocolError);
    const { failure } = reader;
    if (failure !== '') return this.#refuse(stream, failure);
    const { head } = stream;
    stream.hasHead = this.isFinal(head);
    if (head.framing === Framing.Length) stream.missing = head.contentLength;
    const { id } = stream;
    this.handler.onHead(stream);
    if (ended && stream.id === id && stream.receiving === Half.Open) this.#endReceiving(stream, '');
  }

  /** Whether no other head follows this one. */
  protected abstract isFinal(head: H): boolean;

  #readTrailers(stream: Stream<H, O>, ended: boolean, block: Buffer, start: number, end: number): void {
    const reader = this.workspace.trailers;
    reader.begin(reader.section, this.#trailerLimits, this.isServer ? this.options.underscores : 'trust');
    if (!this.#decode(block, start, end, reader)) return;
    reader.finish(true);
    if (this.#selfDependent) return this.#streamError(stream, ErrorCode.ProtocolError);
    if (!ended) return this.#refuse(stream, 'trailers-without-end');
    if (reader.failure !== '') return this.#refuse(stream, reader.failure);
    if (stream.missing > 0) return this.#refuse(stream, 'content-length-mismatch');
    const trailers = forwardableTrailers(reader.section, stream.head);
    reader.section.release();
    if (trailers === null) return this.#refuse(stream, 'trailer-forbidden');
    this.#endReceiving(stream, trailers);
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
    return decoder.resizes === 0 || this.#spend(Budget.Resizes);
  }

  // DATA and windows -------------------------------------------------------------------------------------------------

  protected beginData(streamId: number, length: number): void {
    if (!this.peer.received) return this.break('preface-invalid');
    if (this.#blockStreamId !== 0) return this.break('frame-unexpected');
    if (streamId === 0) return this.break('stream-id-invalid');
    if (length > this.#receiveWindow) return this.break('window-exceeded');
    this.#receiveWindow -= length;
    this.#dataLeft = length;
    this.#dataSeen = false;
    this.#dataStreamId = streamId;
    const stream = this.table.open.get(streamId);
    this.#dataStream = null;
    if (stream === undefined) return this.#onClosedData(streamId);
    if (stream.receiving === Half.Closed) return this.#streamError(stream, ErrorCode.StreamClosed);
    if (!stream.hasHead) return this.#refuse(stream, 'response-unexpected');
    if (length > stream.receiveWindow) return this.#streamError(stream, ErrorCode.FlowControlError);
    stream.receiveWindow -= length;
    this.#dataStream = stream;
  }

  /** DATA for a stream that is no more: in flight when it was reset, or an error. */
  #onClosedData(streamId: number): void {
    if (this.#isIdle(streamId)) return this.break('stream-id-invalid');
    const how = this.table.howEnded(streamId);
    if (how === Ended.ByUs || streamId > this.lastStreamId) {
      this.#spend(Budget.ClosedStreams);
      return;
    }
    if (how === Ended.Orderly) return this.break('stream-closed');
    this.#refuseId(streamId, ErrorCode.StreamClosed);
  }

  /** Judged before the first byte is handed on: nothing beyond the length ever reaches the other side. */
  protected beginContent(length: number): void {
    const stream = this.#currentDataStream();
    if (stream === null) return;
    if (stream.missing >= 0) {
      if (length > stream.missing) this.#refuse(stream, 'content-length-mismatch');
    } else if (stream.head.framing === Framing.None) this.#refuse(stream, 'body-not-allowed');
  }

  protected onDataBytes(buffer: Buffer, start: number, end: number): void {
    const length = end - start;
    this.#dataLeft -= length;
    this.#dataSeen = true;
    const stream = this.#currentDataStream();
    if (stream === null) return this.#creditConnection(length);
    if (stream.missing > 0) stream.missing -= length;
    stream.unconsumed += length;
    this.handler.onData(stream, buffer, start, end);
  }

  protected endData(endStream: boolean): void {
    const stream = this.#currentDataStream();
    const padding = this.#dataLeft;
    this.#creditConnection(padding);
    if (!this.#dataSeen && !endStream && !this.#spend(Budget.EmptyFrames)) return;
    if (stream === null) return;
    if (!endStream) return this.#creditStream(stream, padding);
    if (stream.missing > 0) return this.#refuse(stream, 'content-length-mismatch');
    this.#endReceiving(stream, '');
  }

  /** The stream of the DATA frame, unless it has been closed since the frame began. */
  #currentDataStream(): Stream<H, O> | null {
    const stream = this.#dataStream;
    if (stream === null) return null;
    return stream.id === this.#dataStreamId && stream.receiving === Half.Open ? stream : null;
  }

  #creditConnection(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit < this.options.connectionWindow / 2 || this.failed) return;
    this.writer.windowUpdate(0, this.#credit);
    this.#receiveWindow += this.#credit;
    this.#credit = 0;
  }

  /** Opens the connection window from its first size to that of the options; part of `start`. */
  protected openWindow(): void {
    const more = this.options.connectionWindow - FIRST_WINDOW;
    if (more <= 0) return;
    this.writer.windowUpdate(0, more);
    this.#receiveWindow += more;
  }

  #onWindowUpdate(streamId: number, buffer: Buffer, start: number, end: number): void {
    if (end - start !== 4) return this.break('frame-size');
    if (!this.#spend(Budget.WindowUpdates)) return;
    const increment = numberAt(buffer, start) & MAX_WINDOW;
    if (streamId === 0) {
      if (increment === 0) return this.break('frame-invalid');
      if (this.sendWindow + increment > MAX_WINDOW) return this.break('window-overflow');
      this.sendWindow += increment;
      this.#waiting.resume(this, this.handler);
      return;
    }
    const stream = this.table.open.get(streamId);
    if (stream === undefined) {
      if (this.#isIdle(streamId)) return this.break('stream-id-invalid');
      // Late ones are fine, but this one never is (RFC 9113, section 6.9).
      if (increment === 0) this.#refuseId(streamId, ErrorCode.ProtocolError);
      return;
    }
    if (increment === 0) return this.#streamError(stream, ErrorCode.ProtocolError);
    if (stream.sendWindow + increment > MAX_WINDOW)
      return this.#streamError(stream, ErrorCode.FlowControlError);
    stream.sendWindow += increment;
    if (stream.blocked && stream.sendWindow > 0 && this.sendWindow > 0) {
      stream.blocked = false;
      this.handler.onWindow(stream);
    }
  }

  /** Whether nobody has opened this stream, nor one after it, nor may have since our GOAWAY. */
  #isIdle(streamId: number): boolean {
    return (streamId & 1) === 0 || (streamId > this.lastStreamId && streamId <= this.#goawayId);
  }

  // Other frames -----------------------------------------------------------------------------------------------------

  #onRstStream(streamId: number, buffer: Buffer, start: number, end: number): void {
    if (end - start !== 4) return this.break('frame-size');
    if (streamId === 0 || this.#isIdle(streamId)) return this.break('stream-id-invalid');
    const stream = this.table.open.get(streamId);
    if (stream === undefined) {
      this.#spend(Budget.ClosedStreams);
      return;
    }
    if (this.isServer && !this.#spend(Budget.Resets)) return;
    stream.receiving = Half.Closed;
    stream.sending = Half.Closed;
    this.handler.onReset(stream, numberAt(buffer, start) >>> 0);
    if (!stream.closed && stream.id === streamId) this.#close(stream, Ended.ByPeer);
  }

  #onPriority(streamId: number, buffer: Buffer, start: number, end: number): void {
    if (streamId === 0) return this.break('stream-id-invalid');
    if (!this.#spend(Budget.Priorities)) return;
    const stream = this.table.open.get(streamId);
    if (end - start !== 5) {
      if (stream === undefined) return this.break('frame-size');
      return this.#streamError(stream, ErrorCode.FrameSizeError);
    }
    if ((numberAt(buffer, start) & MAX_STREAM_ID) !== streamId) return;
    if (stream === undefined) return this.break('frame-invalid');
    this.#streamError(stream, ErrorCode.ProtocolError);
  }

  #onSettings(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    if (streamId !== 0) return this.break('stream-id-invalid');
    if ((flags & Flag.Ack) !== 0) {
      if (end !== start) return this.break('frame-size');
      if (this.settingsAcknowledged) this.#spend(Budget.Settings);
      else this.#onSettingsAcknowledged();
      return;
    }
    if ((end - start) % 6 !== 0) return this.break('frame-size');
    if (!this.#spend(Budget.Settings)) return;
    const { peer } = this;
    const before = peer.initialWindow;
    const failure = peer.take(buffer, start, end, !this.isServer);
    if (failure !== '') return this.break(failure);
    this.#encoder.resize(peer.headerTableSize);
    const change = peer.initialWindow - before;
    if (change !== 0) {
      for (const stream of this.table.open.values()) {
        if (stream.sendWindow + change > MAX_WINDOW) return this.break('window-overflow');
        stream.sendWindow += change;
      }
    }
    this.writer.settingsAck();
    this.handler.onSettings();
    if (change > 0 && !this.failed) this.#waiting.resume(this, this.handler);
  }

  #onSettingsAcknowledged(): void {
    this.settingsAcknowledged = true;
    const less = FIRST_WINDOW - this.options.streamWindow;
    if (less > 0) for (const stream of this.table.open.values()) stream.receiveWindow -= less;
  }

  #onPing(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    if (streamId !== 0) return this.break('stream-id-invalid');
    if (end - start !== 8) return this.break('frame-size');
    if (!this.#spend(Budget.Pings)) return;
    if ((flags & Flag.Ack) === 0) return this.writer.ping(buffer, start, true);
    if (PING_SESSION.compare(buffer, start, end) === 0) this.handler.onPong();
    else if (PING_DRAIN.compare(buffer, start, end) === 0 && this.#draining) this.finishDrain();
  }

  /** Our SETTINGS, but for what only one role says. */
  protected commonSettings(): number[] {
    const { streamWindow, head } = this.options;
    const pairs: number[] = [Setting.MaxHeaderListSize, head.headerBytes];
    if (streamWindow !== FIRST_WINDOW) pairs.push(Setting.InitialWindowSize, streamWindow);
    return pairs;
  }
}

const NONE = Buffer.alloc(0);

/** 32 bits as they come: the highest may make it negative. */
function numberAt(buffer: Buffer, at: number): number {
  return (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!;
}
