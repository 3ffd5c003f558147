// What a connection receives as DATA: within its windows, no more and no less than the head has announced.

import type { Buffer } from 'node:buffer';
import { joinRun } from '../http1/join-run.ts';
import type { MessageHead } from '../http1/message-head.ts';
import { Framing } from '../http1/step.ts';
import { Budget } from './budgets.ts';
import { ConnectionOutput } from './connection-output.ts';
import { ErrorCode } from './error-code.ts';
import type { ConnectionFailure } from './failures.ts';
import { Half, type Stream } from './stream.ts';
import { Ended } from './stream-table.ts';

export abstract class ConnectionData<H extends MessageHead, O> extends ConnectionOutput<H, O> {
  /** The DATA frame that is being read: its stream if it is open, what is left of it, and whether it held anything. */
  #dataStream: Stream<H, O> | null = null;
  #dataGeneration = 0;
  #dataLeft = 0;
  #dataSeen = false;
  /** Content of one stream that has been read and not handed on: `buffer[run, runEnd)`, of frames that follow each other. */
  #runStream: Stream<H, O> | null = null;
  #runGeneration = 0;
  #runBuffer: Buffer | null = null;
  #run = 0;
  #runEnd = 0;
  /** How often content has been handed on so far, or dropped. */
  handedOn = 0;

  /** A header block is not complete: nothing may stand between its parts. */
  protected abstract get inBlock(): boolean;

  protected override break(failure: ConnectionFailure): void {
    this.handOnData();
    super.break(failure);
  }

  protected beginData(streamId: number, length: number): void {
    // What this frame does to its own stream comes after what the others have been sent.
    if (streamId !== this.#runStream?.id) this.handOnData();
    if (!this.peer.received) return this.break('preface-invalid');
    if (this.inBlock) return this.break('frame-unexpected');
    if (streamId === 0) return this.break('stream-id-invalid');
    if (length > this.receiveWindow) return this.break('window-exceeded');
    this.receiveWindow -= length;
    this.#dataLeft = length;
    this.#dataSeen = false;
    const stream = this.table.open.get(streamId);
    this.#dataStream = null;
    if (stream === undefined) return this.#onClosedData(streamId, length);
    if (stream.receiving === Half.Closed) return this.streamError(stream, ErrorCode.StreamClosed);
    if (!stream.hasHead) return this.refuse(stream, 'response-unexpected');
    this.#dataStream = stream;
    this.#dataGeneration = stream.generation;
    if (length <= stream.receiveWindow) stream.receiveWindow -= length;
    else if (this.#stillOpen()) this.streamError(stream, ErrorCode.FlowControlError);
  }

  /** DATA for a stream that is no more: in flight when it was reset, perhaps long ago, or an error. */
  #onClosedData(streamId: number, length: number): void {
    if (this.isIdle(streamId)) return this.break('stream-id-invalid');
    const how = this.table.howEnded(streamId);
    if (how === Ended.ByUs || how === Ended.Unknown) {
      this.handedOn += 1;
      if (!this.late.takesData(length)) this.spend(Budget.ClosedStreams);
      return;
    }
    if (how === Ended.Orderly) return this.break('stream-closed');
    this.refuseId(streamId, ErrorCode.StreamClosed);
  }

  /** Judged before the first byte is handed on: nothing beyond the length ever reaches the other side. */
  protected beginContent(length: number): void {
    const stream = this.#currentDataStream();
    if (stream === null) return;
    if (stream.missing >= 0) {
      if (length > stream.missing && this.#stillOpen()) this.refuse(stream, 'content-length-mismatch');
    } else if (stream.head.framing === Framing.None) this.refuse(stream, 'body-not-allowed');
  }

  protected onDataBytes(buffer: Buffer, start: number, end: number): void {
    const length = end - start;
    this.#dataLeft -= length;
    this.#dataSeen = true;
    const stream = this.#currentDataStream();
    if (stream === null) return this.creditConnection(length);
    if (stream.missing > 0) stream.missing -= length;
    stream.unconsumed += length;
    if (!this.isServer) this.creditConnection(length);
    if (this.#runStream === stream && this.#runBuffer === buffer) {
      this.#runEnd = joinRun(buffer, this.#runEnd, start, end);
      return;
    }
    this.handOnData();
    this.#runStream = stream;
    this.#runGeneration = stream.generation;
    this.#runBuffer = buffer;
    this.#run = start;
    this.#runEnd = end;
  }

  /** What has been read and not handed on goes now: before any other event, and before the buffer is used again. */
  protected handOnData(): void {
    const stream = this.#runStream;
    if (stream === null) return;
    const buffer = this.#runBuffer!;
    this.#runStream = null;
    this.#runBuffer = null;
    this.handedOn += 1;
    if (stream.generation === this.#runGeneration && stream.receiving === Half.Open)
      this.handler.onData(stream, buffer, this.#run, this.#runEnd);
  }

  protected endData(endStream: boolean): void {
    const stream = this.#currentDataStream();
    const padding = this.#dataLeft;
    this.creditConnection(padding);
    if (!this.#dataSeen && !endStream && !this.spend(Budget.EmptyFrames)) return;
    if (stream === null) return;
    if (!endStream) return this.creditStream(stream, padding);
    if (!this.#stillOpen()) return;
    if (stream.missing > 0) return this.refuse(stream, 'content-length-mismatch');
    this.endReceiving(stream, '');
  }

  /** Hands on what came before: whoever gets it may close the stream of the frame that is being read. */
  #stillOpen(): boolean {
    this.handOnData();
    return this.#currentDataStream() !== null;
  }

  /** The stream of the DATA frame, unless it has been closed since the frame began. */
  #currentDataStream(): Stream<H, O> | null {
    const stream = this.#dataStream;
    if (stream === null) return null;
    return stream.generation === this.#dataGeneration && stream.receiving === Half.Open ? stream : null;
  }
}
