// Keeps the drains of operators on disk, so that they outlive a full stop and start.

import { join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import { readRegularFileSync } from '../files/regular-file.ts';
import { errorCode } from './discovery/failure.ts';
import { replaceFile, sealed, unsealed } from './state-file.ts';
import type { Drain } from './targets/drains.ts';

const FILE = 'drains.json';
/** A cluster of 5,000 nodes, all drained one by one, takes about 1 MiB. */
const LIMIT_BYTES = 16 * 1024 * 1024;
const HEADER = { format: z.literal('portico-drains'), version: z.literal(1), writtenAtMs: z.number() };

const contentSchema = z.strictObject({
  drains: z.array(
    z.strictObject({
      cluster: z.string(),
      node: z.string().nullable(),
      uid: z.string().nullable(),
      sinceMs: z.number(),
    }),
  ),
});

/** What became of the file; counted. */
export type DrainFileResult = 'written' | 'write-failed' | 'loaded' | 'rejected';

export interface DrainStoreOptions {
  readonly log: Logger;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly onCount: (result: DrainFileResult) => void;
}

export class DrainStore {
  readonly #options: DrainStoreOptions;
  /** Writes one after another: the last one asked for is the last one written. */
  #writing: Promise<boolean> = Promise.resolve(true);
  /** The last write failed: said once, not at each try. */
  #failing = false;

  constructor(options: DrainStoreOptions) {
    this.#options = options;
  }

  /** What lies in the directory; nothing, with a warning, when it cannot be used. Reads synchronously. */
  load(directory: string | null): readonly Drain[] {
    if (directory === null) return [];
    const path = join(directory, FILE);
    let problem: string;
    try {
      const read = unsealed(readRegularFileSync(path, LIMIT_BYTES), HEADER);
      if (typeof read !== 'string') {
        const content = contentSchema.safeParse(read.content);
        if (content.success) {
          this.#options.onCount('loaded');
          return content.data.drains;
        }
        problem = 'its content has an unexpected shape';
      } else problem = read;
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      problem = `it cannot be read (${errorCode(error)})`;
    }
    this.#options.onCount('rejected');
    this.#options.log.error({ code: 'drains-file-rejected', path }, `kept drains ignored: ${problem}`);
    return [];
  }

  /** Resolves when the disk has it: true, or false (and an error in the log) when it has not. */
  save(directory: string | null, drains: readonly Drain[]): Promise<boolean> {
    if (directory === null) return Promise.resolve(false);
    const header = { format: 'portico-drains', version: 1, writtenAtMs: this.#options.now() };
    const bytes = sealed(header, { drains });
    this.#writing = this.#writing.then(async () => {
      try {
        await replaceFile(directory, FILE, [bytes]);
        this.#options.onCount('written');
        if (this.#failing) this.#options.log.info({ code: 'drains-kept' }, 'drains are kept on disk again');
        this.#failing = false;
        return true;
      } catch (error) {
        const detail = errorCode(error);
        this.#options.onCount('write-failed');
        if (!this.#failing)
          this.#options.log.error({ code: 'drains-write-failed', detail }, 'drains are not kept on disk');
        this.#failing = true;
        return false;
      }
    });
    return this.#writing;
  }
}
