// The server role: the side that clients connect to.

import type { MessageHead } from '../http1/message-head.ts';
import { RequestHead } from '../http1/request-head.ts';
import { Connection } from './connection.ts';
import type { ErrorCode } from './error-code.ts';
import { Setting } from './frames.ts';
import type { ConnectionHandler } from './handler.ts';
import type { HeadReader } from './head-reader.ts';
import type { ConnectionOptions } from './options.ts';
import type { OutputSink } from './output.ts';
import { SpareStreams } from './spare-streams.ts';
import type { Stream } from './stream.ts';
import type { Workspace } from './workspace.ts';

/** Stream objects of a client that has been idle for a moment: some for its next page. */
const SPARE_IDLE = 8;

export class ServerConnection<O> extends Connection<RequestHead, O> {
  /** Its own: what one client has said is not to be anywhere near another's. */
  readonly #spare: SpareStreams<RequestHead>;

  constructor(
    handler: ConnectionHandler<RequestHead, O>,
    sink: OutputSink,
    options: ConnectionOptions,
    workspace: Workspace,
  ) {
    const spare = new SpareStreams(() => new RequestHead());
    super(handler, sink, options, workspace, spare, true);
    this.#spare = spare;
  }

  /** No stream has been open for a moment. */
  keepLittle(): void {
    this.#spare.keep(SPARE_IDLE);
  }

  start(): void {
    const pairs = this.commonSettings();
    pairs.push(Setting.MaxConcurrentStreams, this.options.maxStreams, Setting.NoRfc7540Priorities, 1);
    if (this.options.extendedConnect) pairs.push(Setting.EnableConnectProtocol, 1);
    this.writer.settings(pairs);
    this.openWindow();
  }

  protected get peerLastStreamId(): number {
    return this.lastStreamId;
  }

  protected get isServer(): boolean {
    return true;
  }

  protected isFinal(_head: MessageHead): boolean {
    return true;
  }

  protected beginReading(stream: Stream<RequestHead, O>): HeadReader<RequestHead> {
    const { head, underscores, extendedConnect } = this.options;
    const reader = this.workspace.request;
    reader.beginRequest(stream.head, head, underscores, extendedConnect);
    return reader;
  }

  protected onGoawayFrame(lastStreamId: number, code: ErrorCode): void {
    this.handler.onGoaway(lastStreamId, code);
  }
}
