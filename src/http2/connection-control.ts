// What a connection receives beside heads and content: windows, resets, priorities, settings and signs of life.

import type { Buffer } from 'node:buffer';
import type { MessageHead } from '../http1/message-head.ts';
import { Budget } from './budgets.ts';
import { ConnectionData } from './connection-data.ts';
import { ErrorCode } from './error-code.ts';
import { FIRST_WINDOW, Flag, MAX_STREAM_ID, MAX_WINDOW } from './frames.ts';

export abstract class ConnectionControl<H extends MessageHead, O> extends ConnectionData<H, O> {
  protected onWindowUpdate(streamId: number, buffer: Buffer, start: number, end: number): void {
    if (end - start !== 4) return this.break('frame-size');
    if (!this.spend(Budget.WindowUpdates)) return;
    const increment = numberAt(buffer, start) & MAX_WINDOW;
    if (streamId === 0) {
      if (increment === 0) return this.break('frame-invalid');
      if (this.sendWindow + increment > MAX_WINDOW) return this.break('window-overflow');
      this.sendWindow += increment;
      this.waiting.resume(this, this.handler);
      return;
    }
    const stream = this.table.open.get(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) return this.break('stream-id-invalid');
      // Late ones are fine, but this one never is (RFC 9113, section 6.9).
      if (increment === 0) this.refuseId(streamId, ErrorCode.ProtocolError);
      return;
    }
    if (increment === 0) return this.streamError(stream, ErrorCode.ProtocolError);
    if (stream.sendWindow + increment > MAX_WINDOW)
      return this.streamError(stream, ErrorCode.FlowControlError);
    stream.sendWindow += increment;
    if (stream.blocked && stream.sendWindow > 0 && this.sendWindow > 0) {
      stream.blocked = false;
      this.handler.onWindow(stream);
    }
  }

  protected onRstStream(streamId: number, buffer: Buffer, start: number, end: number): void {
    if (end - start !== 4) return this.break('frame-size');
    if (streamId === 0 || this.isIdle(streamId)) return this.break('stream-id-invalid');
    const stream = this.table.open.get(streamId);
    if (stream === undefined) {
      if (!this.late.takesFrame()) this.spend(Budget.ClosedStreams);
      return;
    }
    if (this.isServer && !this.spend(Budget.Resets)) return;
    this.closeReset(stream, numberAt(buffer, start) >>> 0);
  }

  protected onPriority(streamId: number, buffer: Buffer, start: number, end: number): void {
    if (streamId === 0) return this.break('stream-id-invalid');
    if (!this.spend(Budget.Priorities)) return;
    const stream = this.table.open.get(streamId);
    if (end - start !== 5) {
      if (stream === undefined) return this.break('frame-size');
      return this.streamError(stream, ErrorCode.FrameSizeError);
    }
    if ((numberAt(buffer, start) & MAX_STREAM_ID) !== streamId) return;
    if (stream === undefined) return this.break('frame-invalid');
    this.streamError(stream, ErrorCode.ProtocolError);
  }

  protected onSettings(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    if (streamId !== 0) return this.break('stream-id-invalid');
    if ((flags & Flag.Ack) !== 0) {
      if (end !== start) return this.break('frame-size');
      if (this.settingsAcknowledged) this.spend(Budget.Settings);
      else this.#onSettingsAcknowledged();
      return;
    }
    if ((end - start) % 6 !== 0) return this.break('frame-size');
    if (!this.spend(Budget.Settings)) return;
    const { peer } = this;
    const before = peer.initialWindow;
    const failure = peer.take(buffer, start, end, !this.isServer);
    if (failure !== '') return this.break(failure);
    this.encoder.resize(peer.leastTableSize);
    this.encoder.resize(peer.headerTableSize);
    const change = peer.initialWindow - before;
    if (change !== 0) {
      for (const stream of this.table.open) {
        if (stream.sendWindow + change > MAX_WINDOW) return this.break('window-overflow');
        stream.sendWindow += change;
      }
    }
    this.writer.settingsAck();
    this.handler.onSettings();
    if (change > 0 && !this.failed) this.waiting.resume(this, this.handler);
  }

  #onSettingsAcknowledged(): void {
    this.settingsAcknowledged = true;
    const less = FIRST_WINDOW - this.options.streamWindow;
    if (less > 0) for (const stream of this.table.open) stream.receiveWindow -= less;
  }

  protected onPing(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    if (streamId !== 0) return this.break('stream-id-invalid');
    if (end - start !== 8) return this.break('frame-size');
    if (!this.spend(Budget.Pings)) return;
    if ((flags & Flag.Ack) === 0) return this.writer.ping(buffer, start, true);
    this.pong(buffer, start, end);
  }
}

/** 32 bits as they come: the highest may make it negative. */
export function numberAt(buffer: Buffer, at: number): number {
  return (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!;
}
