// The client role: the side that connects to a target.

import type { ResponseHead } from '../http1/response-head.ts';
import { Connection } from './connection.ts';
import { ErrorCode } from './error-code.ts';
import { MAX_STREAM_ID, Setting } from './frames.ts';
import type { ConnectionHandler } from './handler.ts';
import type { HeadReader } from './head-reader.ts';
import type { ConnectionOptions } from './options.ts';
import type { OutputSink } from './output.ts';
import { PREFACE } from './preface.ts';
import type { Stream } from './stream.ts';
import type { Workspace } from './workspace.ts';

/** Until the target says how many it takes; RFC 9113, section 6.5.2 recommends servers no less than 100. */
const FIRST_MAX_STREAMS = 100;

export class ClientConnection<O> extends Connection<ResponseHead, O> {
  #goaway = false;
  #nextId = 1;

  constructor(
    handler: ConnectionHandler<ResponseHead, O>,
    sink: OutputSink,
    options: ConnectionOptions,
    workspace: Workspace,
  ) {
    super(handler, sink, options, workspace, workspace.responseStreams, false);
  }

  start(): void {
    this.writer.bytes(PREFACE);
    const pairs = this.commonSettings();
    pairs.push(Setting.EnablePush, 0);
    this.writer.settings(pairs);
    this.openWindow();
  }

  /** Streams that the target lets us have at once. */
  get maxStreams(): number {
    return this.peer.received ? this.peer.maxStreams : FIRST_MAX_STREAMS;
  }

  /** The target takes extended CONNECT (RFC 8441). */
  get extendedConnect(): boolean {
    return this.peer.extendedConnect;
  }

  /** The target takes no further streams. */
  get saidGoodbye(): boolean {
    return this.#goaway;
  }

  /** Whether a stream can be opened now: limits, GOAWAY and ids allow it. */
  get canOpen(): boolean {
    return (
      !this.failed && !this.#goaway && this.streamCount < this.maxStreams && this.#nextId <= MAX_STREAM_ID
    );
  }

  /** A new stream, or null when `canOpen` is false. Its request follows with `beginHead`, before another is opened. */
  open(method: string, owner: O): Stream<ResponseHead, O> | null {
    if (!this.canOpen) return null;
    const stream = this.addStream(this.#nextId);
    this.#nextId += 2;
    stream.method = method;
    stream.owner = owner;
    return stream;
  }

  protected get peerLastStreamId(): number {
    return 0;
  }

  protected get isServer(): boolean {
    return false;
  }

  protected isFinal(head: ResponseHead): boolean {
    return head.status >= 200;
  }

  protected beginReading(stream: Stream<ResponseHead, O>): HeadReader<ResponseHead> {
    const reader = this.workspace.response;
    reader.beginResponse(stream.head, this.options.head, stream.method);
    return reader;
  }

  /** Streams above the last one were not looked at: they can be sent again elsewhere (RFC 9113, section 6.8). */
  protected onGoawayFrame(lastStreamId: number, code: ErrorCode): void {
    this.#goaway = true;
    for (const stream of this.table.open)
      if (stream.id > lastStreamId) this.closeReset(stream, ErrorCode.RefusedStream);
    this.handler.onGoaway(lastStreamId, code);
  }
}
