// What the peer has announced in SETTINGS (RFC 9113, section 6.5.2).

import type { Buffer } from 'node:buffer';
import type { ConnectionFailure } from './failures.ts';
import { FIRST_WINDOW, MAX_FRAME_BYTES, MAX_WINDOW, Setting } from './frames.ts';

const MAX_FRAME_SIZE = 0xffffff;

export class PeerSettings {
  headerTableSize = 4096;
  /** The smallest that the last frame said on its way to that one: the peer has let go of what did not fit. */
  leastTableSize = 4096;
  maxStreams = Number.POSITIVE_INFINITY;
  initialWindow = FIRST_WINDOW;
  extendedConnect = false;
  /** The first SETTINGS frame has come. */
  received = false;

  /**
   * Takes the settings in `buffer[start, end)`, a multiple of 6 bytes. Unknown ones are ignored, and so is what does
   * not change what we do: our frames are never larger than every peer must take.
   */
  take(buffer: Buffer, start: number, end: number, fromServer: boolean): ConnectionFailure | '' {
    this.received = true;
    this.leastTableSize = this.headerTableSize;
    for (let p = start; p < end; p += 6) {
      const value = buffer.readUInt32BE(p + 2);
      switch (buffer.readUInt16BE(p)) {
        case Setting.HeaderTableSize:
          this.headerTableSize = value;
          this.leastTableSize = Math.min(this.leastTableSize, value);
          break;
        case Setting.EnablePush:
          if (value > (fromServer ? 0 : 1)) return 'settings-invalid';
          break;
        case Setting.MaxConcurrentStreams:
          this.maxStreams = value;
          break;
        case Setting.InitialWindowSize:
          if (value > MAX_WINDOW) return 'window-size-invalid';
          this.initialWindow = value;
          break;
        case Setting.MaxFrameSize:
          if (value < MAX_FRAME_BYTES || value > MAX_FRAME_SIZE) return 'settings-invalid';
          break;
        case Setting.EnableConnectProtocol:
          // RFC 8441, section 3: only 0 and 1, and what was offered is not taken back.
          if (value > 1 || (this.extendedConnect && value === 0)) return 'settings-invalid';
          this.extendedConnect = value === 1;
          break;
      }
    }
    return '';
  }
}
