// The access log in force: changes to another destination when a snapshot names one.

import type { Logger } from 'pino';
import type { AccessLogConfig } from '../model/config.ts';
import { type AccessLog, createAccessLog, type LostReason } from '../telemetry/access-log.ts';
import type { LogPath } from '../telemetry/log-destination.ts';
import type { Recorder } from './recorder.ts';

/** What is queued for a destination that is left gets this long to be written. */
const CLOSE_MS = 2000;

export class AccessLogSwitch {
  readonly #recorder: Recorder;
  readonly #log: Pick<Logger, 'error'>;
  readonly #lost: (reason: LostReason, lines: number) => void;
  #current: AccessLog | null = null;
  #key = '';

  /** @param lost told at once of lines that will not be written */
  constructor(
    recorder: Recorder,
    log: Pick<Logger, 'error'>,
    lost: (reason: LostReason, lines: number) => void,
  ) {
    this.#recorder = recorder;
    this.#log = log;
    this.#lost = lost;
  }

  use({ path, bufferBytes }: AccessLogConfig): void {
    const key = `${path} ${bufferBytes}`;
    if (key === this.#key) return;
    const before = this.#current;
    this.#key = key;
    this.#current =
      path === 'off'
        ? null
        : createAccessLog({
            path: path as LogPath,
            bufferBytes,
            lost: this.#lost,
            failed: (error) =>
              this.#log.error(
                { code: 'access-log-failed', path, error: error.message },
                'access log cannot be written',
              ),
          });
    this.#recorder.log = this.#current;
    void before?.close(CLOSE_MS);
  }

  /** Opens the file anew, after a rotation has renamed it. */
  reopen(): void {
    void this.#current?.reopen();
  }

  async close(): Promise<void> {
    await this.#current?.close(CLOSE_MS);
  }
}
