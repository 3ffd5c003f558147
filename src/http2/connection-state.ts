// What every part of an HTTP/2 connection shares: its streams, its windows, and how either is given up.

import type { MessageHead } from '../http1/message-head.ts';
import { Budget, Budgets } from './budgets.ts';
import { ErrorCode } from './error-code.ts';
import { type ConnectionFailure, errorCodeOf, type MessageFailure } from './failures.ts';
import { FrameReader } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { FIRST_WINDOW, MAX_STREAM_ID, Setting } from './frames.ts';
import type { ConnectionHandler } from './handler.ts';
import { HeadEncoder } from './head-encoder.ts';
import { LateFrames } from './late-frames.ts';
import type { ConnectionOptions } from './options.ts';
import type { OutputSink } from './output.ts';
import { PeerSettings } from './peer-settings.ts';
import type { SpareStreams } from './spare-streams.ts';
import { Half, type Stream } from './stream.ts';
import { Ended, StreamTable } from './stream-table.ts';
import { WaitingStreams } from './waiting-streams.ts';
import type { Workspace } from './workspace.ts';

const PRIORITIES_PER_STREAM = 10;

/** `H` is the kind of head that is received, `O` what the session keeps for a stream. */
export abstract class ConnectionState<H extends MessageHead, O> extends FrameReader {
  /** The peer has acknowledged our settings. */
  settingsAcknowledged = false;
  /** Bytes that the peer lets us send on all streams together. */
  sendWindow = FIRST_WINDOW;
  protected readonly handler: ConnectionHandler<H, O>;
  protected readonly options: ConnectionOptions;
  protected readonly workspace: Workspace;
  protected readonly writer: FrameWriter;
  protected readonly encoder: HeadEncoder;
  protected readonly table: StreamTable<H, O>;
  protected readonly peer = new PeerSettings();
  protected readonly budgets = new Budgets();
  protected readonly late: LateFrames;
  protected readonly waiting = new WaitingStreams<H, O>();
  /** The largest id of a stream that the other side opened, or that we opened as a client. */
  protected lastStreamId = 0;
  /** Bytes that we let the peer send on all streams together. */
  protected receiveWindow = FIRST_WINDOW;
  /** Streams above this one are ignored: our GOAWAY has said so. */
  protected goawayId = MAX_STREAM_ID;
  #credit = 0;
  #largeStreams = 0;

  constructor(
    handler: ConnectionHandler<H, O>,
    sink: OutputSink,
    options: ConnectionOptions,
    workspace: Workspace,
    spare: SpareStreams<H>,
    expectsPreface: boolean,
  ) {
    super(expectsPreface);
    this.handler = handler;
    this.options = options;
    this.workspace = workspace;
    this.late = new LateFrames(options);
    this.writer = new FrameWriter(sink);
    this.encoder = new HeadEncoder(workspace);
    this.table = new StreamTable(spare);
  }

  /** Streams that are open in either direction. */
  get streamCount(): number {
    return this.table.open.size;
  }

  /** The open streams; also those that a failure left behind. */
  get streams(): Iterable<Stream<H, O>> {
    return this.table.open;
  }

  /** The peer's SETTINGS have come, which are the first that it has to say. */
  get established(): boolean {
    return this.peer.received;
  }

  /** The largest id of a stream that the peer opened: what GOAWAY names. */
  protected abstract get peerLastStreamId(): number;

  /** Whether the peer may open streams, as clients do. */
  protected abstract get isServer(): boolean;

  /** The session keeps no reference to a closed stream any more: its object may serve another. */
  release(stream: Stream<H, O>): void {
    this.table.release(stream);
  }

  protected spend(kind: Budget): boolean {
    const failure = this.budgets.spend(kind, this.nowMs);
    if (failure === '') return true;
    this.break(failure);
    return false;
  }

  protected onBroken(failure: ConnectionFailure): void {
    this.writer.goaway(this.peerLastStreamId, errorCodeOf(failure), failure);
    this.handler.onFailure(failure);
  }

  protected endSending(stream: Stream<H, O>): void {
    stream.sending = Half.Closed;
    stream.blocked = false;
    if (stream.receiving === Half.Closed) this.closeStream(stream, Ended.Orderly);
  }

  protected endReceiving(stream: Stream<H, O>, trailers: string): void {
    const { generation } = stream;
    stream.receiving = Half.Closed;
    this.handler.onEnd(stream, trailers);
    if (stream.closed || stream.generation !== generation) return;
    if (stream.sending === Half.Closed) this.closeStream(stream, Ended.Orderly);
  }

  protected closeStream(stream: Stream<H, O>, how: Ended): void {
    stream.receiving = Half.Closed;
    stream.sending = Half.Closed;
    stream.blocked = false;
    this.table.end(stream, how);
    if (this.isServer) this.creditConnection(stream.unconsumed);
    stream.unconsumed = 0;
    if (stream.large) this.#largeStreams -= 1;
    if (how === Ended.Orderly) {
      this.late.expectReset();
      this.budgets.earn(Budget.Resets, 1);
      this.budgets.earn(Budget.Priorities, PRIORITIES_PER_STREAM);
    } else if (how === Ended.ByUs) this.late.expect();
    this.handler.onClosed(stream);
  }

  /** A stream error that the peer caused. */
  protected streamError(stream: Stream<H, O>, code: ErrorCode): void {
    const { generation } = stream;
    if (!this.#mayProvoke()) return;
    stream.receiving = Half.Closed;
    this.writer.reset(stream.id, code);
    this.handler.onReset(stream, code);
    if (!stream.closed && stream.generation === generation) this.closeStream(stream, Ended.ByUs);
  }

  /** The message is malformed: the session may answer, then the stream is reset (RFC 9113, section 8.1.1). */
  protected refuse(stream: Stream<H, O>, reason: MessageFailure): void {
    const { id, generation } = stream;
    if (!this.#mayProvoke()) return;
    stream.receiving = Half.Closed;
    this.handler.onRefused(stream, reason);
    if (this.failed) return;
    // The answer may have ended the stream, and the session released it: the peer is told all the same.
    this.writer.reset(id, ErrorCode.ProtocolError);
    if (stream.generation === generation && !stream.closed) this.closeStream(stream, Ended.ByUs);
    else this.#rememberReset(id);
  }

  /**
   * A client may not make us reset streams for ever (CVE-2025-8671). A target can once for each request of ours, and its
   * connection carries those of others.
   */
  #mayProvoke(): boolean {
    return !this.isServer || this.spend(Budget.ProvokedResets);
  }

  /** For a stream that has no object. */
  protected refuseId(id: number, code: ErrorCode): void {
    if (!this.spend(Budget.ProvokedResets)) return;
    this.writer.reset(id, code);
    this.#rememberReset(id);
  }

  #rememberReset(id: number): void {
    this.table.remember(id, Ended.ByUs);
    this.late.expect();
  }

  /** The peer gave it up. */
  protected closeReset(stream: Stream<H, O>, code: ErrorCode): void {
    const { generation } = stream;
    stream.receiving = Half.Closed;
    stream.sending = Half.Closed;
    this.handler.onReset(stream, code);
    if (!stream.closed && stream.generation === generation) this.closeStream(stream, Ended.ByPeer);
  }

  protected addStream(id: number): Stream<H, O> {
    this.lastStreamId = id;
    const { streamWindow } = this.options;
    // Until our settings are acknowledged the peer may still count from the first size (RFC 9113, section 6.9.2).
    const window = this.settingsAcknowledged ? streamWindow : Math.max(FIRST_WINDOW, streamWindow);
    return this.table.add(id, this.peer.initialWindow, window);
  }

  /** Whether nobody has opened this stream, nor one after it, nor may have since our GOAWAY. */
  protected isIdle(streamId: number): boolean {
    return (streamId & 1) === 0 || (streamId > this.lastStreamId && streamId <= this.goawayId);
  }

  protected creditStream(stream: Stream<H, O>, bytes: number): void {
    if (stream.receiving !== Half.Open || this.failed) return;
    stream.credit += bytes;
    const { streamWindow, large } = this.options;
    if (stream.credit < (stream.large ? large!.window : streamWindow) / 2) return;
    if (large !== undefined && !stream.large && this.#largeStreams < large.streams) {
      // Whoever reads gets it; those who have stopped hold little.
      this.#largeStreams += 1;
      stream.large = true;
      stream.credit += large.window - streamWindow;
    }
    this.writer.windowUpdate(stream.id, stream.credit);
    stream.receiveWindow += stream.credit;
    stream.credit = 0;
  }

  protected creditConnection(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit < this.options.connectionWindow / 2 || this.failed) return;
    this.writer.windowUpdate(0, this.#credit);
    this.receiveWindow += this.#credit;
    this.#credit = 0;
  }

  /** Opens the connection window from its first size to that of the options; part of `start`. */
  protected openWindow(): void {
    const more = this.options.connectionWindow - FIRST_WINDOW;
    if (more <= 0) return;
    this.writer.windowUpdate(0, more);
    this.receiveWindow += more;
  }

  /** Our SETTINGS, but for what only one role says. */
  protected commonSettings(): number[] {
    const { streamWindow, head } = this.options;
    const pairs: number[] = [Setting.MaxHeaderListSize, head.headerBytes];
    if (streamWindow !== FIRST_WINDOW) pairs.push(Setting.InitialWindowSize, streamWindow);
    return pairs;
  }
}
