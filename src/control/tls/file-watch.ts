// Notices when files change: written in place, renamed over, or swapped by a symbolic link anywhere on their path.

import { type FSWatcher, watch } from 'node:fs';
import { lstat, readlink, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../discovery/clock.ts';

export interface FileWatchOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** The file is another one than before, or gone. */
  readonly onChange: (path: string) => void;
}

/** Several files are mostly changed together. */
const SETTLE_MS = 100;
/** What the kernel does not tell of (network file systems, no watches left) is found by looking. */
const SWEEP_MS = 30_000;
const LINKS_AT_MOST = 40;

/** A directory at its path: another one that takes the place has another identity, and no watch yet. */
interface Watched {
  readonly watcher: FSWatcher;
  readonly identity: string;
}

export class FileWatch {
  readonly #options: FileWatchOptions;
  readonly #watchers = new Map<string, Watched>();
  /** What each path was when it was looked at last. */
  #known = new Map<string, string>();
  /** Directories that cannot be watched; each is told of once. */
  readonly #unwatched = new Set<string>();
  #cancelSettle: (() => void) | null = null;
  #cancelSweep: () => void = () => {};
  #looking: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: FileWatchOptions) {
    this.#options = options;
    this.#awaitSweep();
  }

  /** Absolute paths; those that are new count as seen. Resolves when the directories are watched. */
  setPaths(paths: Iterable<string>): Promise<void> {
    const next = new Map<string, string>();
    for (const path of paths) next.set(path, this.#known.get(path) ?? '');
    this.#known = next;
    return this.#look();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelSweep();
    this.#cancelSettle?.();
    for (const { watcher } of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    await this.#looking;
  }

  #awaitSweep(): void {
    this.#cancelSweep = this.#options.clock.after(SWEEP_MS, () => {
      void this.#look();
      this.#awaitSweep();
    });
  }

  #soon(): void {
    if (this.#closed || this.#cancelSettle !== null) return;
    this.#cancelSettle = this.#options.clock.after(SETTLE_MS, () => {
      this.#cancelSettle = null;
      void this.#look();
    });
  }

  /** One look after the other. */
  #look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#lookNow());
    return this.#looking;
  }

  async #lookNow(): Promise<void> {
    const wanted = new Map<string, string>();
    for (const path of this.#known.keys()) {
      for (const directory of await directoriesOf(path)) {
        if (!wanted.has(directory)) wanted.set(directory, await identityOf(directory));
      }
    }
    if (this.#closed) return;
    for (const [directory, { watcher, identity }] of this.#watchers) {
      if (wanted.get(directory) === identity) continue;
      watcher.close();
      this.#watchers.delete(directory);
    }
    for (const [directory, identity] of wanted) {
      if (!this.#watchers.has(directory)) this.#watch(directory, identity);
    }
    for (const [path, before] of this.#known) {
      const now = await signatureOf(path);
      if (this.#closed || this.#known.get(path) !== before || now === before) continue;
      this.#known.set(path, now);
      if (before !== '') this.#options.onChange(path);
    }
  }

  #watch(directory: string, identity: string): void {
    const { log } = this.#options;
    try {
      const watcher = watch(directory, { persistent: false }, () => this.#soon());
      watcher.on('error', () => {
        // The directory is gone: the next look finds what there is now.
        watcher.close();
        if (this.#watchers.get(directory)?.watcher === watcher) this.#watchers.delete(directory);
        this.#soon();
      });
      this.#watchers.set(directory, { watcher, identity });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (this.#unwatched.has(directory)) return;
      this.#unwatched.add(directory);
      log.warn({ code: 'file-watch-failed', directory, error: code }, 'files are looked at every 30 s only');
    }
  }
}

/** Which file lies there, and which state of it. */
async function signatureOf(path: string): Promise<string> {
  try {
    const { ino, dev, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return `${await realpath(path)} ${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch (error) {
    return `gone ${(error as NodeJS.ErrnoException).code}`;
  }
}

/** Of a directory, whatever is in it; '' where there is none. */
async function identityOf(directory: string): Promise<string> {
  try {
    const { dev, ino } = await stat(directory, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return '';
  }
}

/** The directories in which the file, or a symbolic link on the way to it, can be replaced. */
async function directoriesOf(path: string): Promise<ReadonlySet<string>> {
  const directories = new Set<string>();
  let rest = path.split('/').filter((part) => part !== '' && part !== '.');
  let current = '/';
  let links = 0;
  for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
    if (part === '..') {
      current = dirname(current);
      continue;
    }
    const next = join(current, part);
    const target = await linkOf(next);
    if (target === null || target !== '' || rest.length === 0) directories.add(current);
    if (target === null || links === LINKS_AT_MOST) break;
    if (target === '') {
      current = next;
      continue;
    }
    links += 1;
    if (isAbsolute(target)) current = '/';
    rest = [...target.split('/').filter((name) => name !== '' && name !== '.'), ...rest];
  }
  return directories;
}

/** Where a symbolic link leads; '' for anything else, null when there is nothing. */
async function linkOf(path: string): Promise<string | null> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : '';
  } catch {
    return null;
  }
}
