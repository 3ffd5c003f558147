// The target's side of a tunnel over HTTP/2: one stream, used as the connection that it stands for (RFC 8441, section 5).

import type { FailureCode } from '../../model/failures.ts';
import type { Deadline, Deadlines } from '../deadlines.ts';
import type { Wire } from '../wire/wire.ts';
import { TARGET_LOST } from './target.ts';
import type { UpstreamUser } from './upstream-connection.ts';
import type { UpstreamSide } from './upstream-stream.ts';

/** What the last bytes may wait for a target that opens no window, in milliseconds. */
const STALLED_MS = 60_000;

/** What the tunnel does with its stream. */
export interface TunnelStream extends Pick<Wire, 'bytes' | 'congested' | 'pause' | 'resume' | 'end'> {
  /** Something has not been sent yet. */
  readonly waits: boolean;
  /** Ends it with CANCEL, without telling its user. */
  close(): void;
}

export class Http2Tunnel implements UpstreamSide, Deadline {
  dueAtMs = Number.POSITIVE_INFINITY;
  filedTick = -1;
  filedPlace = 0;
  readonly #stream: TunnelStream;
  readonly #deadlines: Deadlines;
  readonly #now: () => number;
  #user: UpstreamUser | null = null;

  constructor(stream: TunnelStream, deadlines: Deadlines, now: () => number) {
    this.#stream = stream;
    this.#deadlines = deadlines;
    this.#now = now;
  }

  get wire(): UpstreamSide['wire'] {
    return this;
  }

  handOver(user: UpstreamUser): void {
    this.#user = user;
  }

  close(): void {
    this.#user = null;
    this.#deadlines.clear(this);
    this.#stream.close();
  }

  // As a wire --------------------------------------------------------------------------------------------------------

  get congested(): boolean {
    return this.#stream.congested;
  }

  bytes(buffer: Buffer, start: number, end: number): void {
    this.#stream.bytes(buffer, start, end);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  end(): void {
    this.#stream.end();
  }

  /** Both sides have ended: what waits for a window gets as long as the target takes some of it. */
  destroyWhenSent(): void {
    this.#user = null;
    if (this.#stream.waits) this.#deadlines.set(this, this.#now() + STALLED_MS);
  }

  /** A reset of the client's connection is CANCEL here (RFC 8441, section 5). */
  reset(): void {
    this.close();
  }

  onDeadline(): void {
    this.#stream.close();
  }

  // What comes from the target ---------------------------------------------------------------------------------------

  onData(buffer: Buffer, start: number, end: number): void {
    this.#user?.onUpstreamBytes(buffer.subarray(start, end), end - start);
  }

  onEnd(): void {
    this.#user?.onUpstreamEnd();
  }

  onDrain(): void {
    if (this.#user !== null) {
      if (!this.congested) this.#user.onUpstreamDrain();
    } else if (this.#stream.waits) this.#deadlines.set(this, this.#now() + STALLED_MS);
  }

  /** The stream was reset, or its connection is gone. */
  onFailure(code: FailureCode): void {
    this.#user?.onUpstreamClose(code === 'target-lost' ? TARGET_LOST : RESET);
  }

  /** Both directions are over, or were cut without an error. */
  onClosed(): void {
    this.#deadlines.clear(this);
    this.#user?.onUpstreamClose(null);
  }
}

const RESET: NodeJS.ErrnoException = Object.assign(new Error('the target reset the stream'), {
  code: 'ECONNRESET',
});
