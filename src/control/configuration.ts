// The configuration in force: loads it, tries a new one, and keeps the one before when the new one cannot be run.

import { stat } from 'node:fs/promises';
import type { Logger } from 'pino';
import { loadConfig } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import type { Config } from '../model/config.ts';
import type { NamedSecrets } from '../model/secrets.ts';
import type { ReloadOutcome } from './admin/admin-source.ts';
import type { Clock } from './discovery/clock.ts';

/** A configuration with the certificates and keys that it names. */
export interface Loaded {
  readonly config: Config;
  readonly secrets: NamedSecrets;
}

/** One that has been put in force. */
interface InForce {
  readonly loaded: Loaded;
  readonly loadedAtMs: number;
}

export interface ConfigurationOptions {
  readonly path: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Reads the certificates and keys that it names; rejects when one cannot be read. */
  readonly secretsOf: (config: Config) => Promise<NamedSecrets>;
  /** Moves the admin interface where the configuration says; rejects, having changed nothing, when it cannot. */
  readonly applyAdmin: (config: Config) => Promise<void>;
  /** Puts it in force and returns the version of the snapshot that carries it to the workers. */
  readonly force: (loaded: Loaded) => number;
  /** Version of the snapshot in force. */
  readonly version: () => number;
  /** An attempt to load has ended; true when what was loaded is in force. */
  readonly onLoaded: (ok: boolean) => void;
}

/** How long a reload waits to hear that the workers can run it. */
const PATIENCE_MS = 5000;

export class Configuration {
  readonly #options: ConfigurationOptions;
  #inForce: InForce | null = null;
  /** Taken again when the one in force cannot be run; null once all workers run it. */
  #before: InForce | null = null;
  /** Of the snapshot that has carried the one in force to the workers. */
  #forcedVersion = 0;
  #problems: readonly string[] = [];
  #reloading: Promise<ReloadOutcome> | null = null;
  /** The reload that begins when the one under way has ended. */
  #following: Promise<ReloadOutcome> | null = null;
  #boundVersion = 0;
  /** Settles the reload that waits for the workers; the text is what went wrong. */
  #settle: ((version: number, problem: string | null) => void) | null = null;

  constructor(options: ConfigurationOptions) {
    this.#options = options;
  }

  get config(): Config | null {
    return this.#inForce?.loaded.config ?? null;
  }

  get loadedAtMs(): number {
    return this.#inForce?.loadedAtMs ?? 0;
  }

  /** Of the last attempt when it failed. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /**
   * Loads for the first time; returns what is wrong when there is nothing to run.
   * @param kept what was in force in an earlier controller: used when the file is broken now
   */
  async start(kept: Loaded | null): Promise<readonly Problem[] | string | null> {
    const read = await this.#load();
    const isBroken = 'problems' in read;
    if (isBroken) {
      if (kept === null) return read.problems;
      this.#failed(placesOf(read.problems));
    }
    const loaded = isBroken ? kept! : read;
    const problems = this.#problems;
    try {
      await this.#options.applyAdmin(loaded.config);
    } catch (error) {
      const { host, port, unixPath } = loaded.config.admin;
      const where = unixPath === null ? `${host}:${port}` : `unix:${unixPath}`;
      return `portico: admin cannot listen on ${where}: ${textOf(error)}\n`;
    }
    this.#force({ loaded, loadedAtMs: isBroken ? 0 : this.#options.clock.now() });
    if (!isBroken) this.#options.onLoaded(true);
    this.#problems = problems;
    return null;
  }

  /** Reads the configuration anew. All that come while one reload is under way share the one after it. */
  reload(): Promise<ReloadOutcome> {
    if (this.#following !== null) return this.#following;
    if (this.#reloading === null) return this.#begin();
    // The one under way may have read the file before it was written.
    const next = (): Promise<ReloadOutcome> => {
      this.#following = null;
      return this.#begin();
    };
    this.#following = this.#reloading.then(next, next);
    return this.#following;
  }

  #begin(): Promise<ReloadOutcome> {
    this.#reloading = this.#reload().finally(() => {
      this.#reloading = null;
    });
    return this.#reloading;
  }

  /** The sockets of this version are bound: from here on only a worker can refuse it. */
  bound(version: number): void {
    this.#boundVersion = version;
  }

  /** All workers have the snapshot of this version in force: they listen where it says. */
  accepted(version: number): void {
    if (version >= this.#forcedVersion) this.#before = null;
    this.#settle?.(version, null);
  }

  /**
   * Supervisor or workers cannot run it: the configuration before is put in force again, where all have not run the one
   * in force yet, and it is not an earlier one that they speak of.
   */
  refused(version: number, problem: string): void {
    const before = version >= this.#forcedVersion ? this.#before : null;
    if (before !== null) {
      const { log, applyAdmin } = this.#options;
      log.error(
        { code: 'configuration-reverted', problem },
        'configuration cannot be run, the one before stays',
      );
      applyAdmin(before.loaded.config).catch((error: unknown) =>
        log.error({ code: 'admin-unreachable', error }, 'admin interface cannot go back to its address'),
      );
      this.#force(before);
      this.#before = null;
      // The reload has been answered, since nothing was heard for so long.
      if (this.#settle === null) this.#failed([problem]);
    }
    this.#settle?.(version, problem);
  }

  async #reload(): Promise<ReloadOutcome> {
    const { clock, log, applyAdmin, onLoaded, version } = this.#options;
    const loaded = await this.#load();
    if ('problems' in loaded) {
      return this.#failed(placesOf(loaded.problems));
    }
    try {
      await applyAdmin(loaded.config);
    } catch (error) {
      return this.#failed([`admin cannot listen: ${textOf(error)}`]);
    }
    const before = version();
    const settled = new Promise<string | null>((resolve) => {
      // A worker that is busy for so long follows when it can; it is no reason to go back.
      const cancel = clock.after(PATIENCE_MS, () => {
        if (this.#boundVersion > before) resolve(null);
        else this.refused(this.#forcedVersion, 'the supervisor did not answer in time');
      });
      this.#settle = (settledVersion, problem) => {
        if (settledVersion <= before) return;
        cancel();
        resolve(problem);
      };
    });
    const problem = this.#force({ loaded, loadedAtMs: clock.now() }) > before ? await settled : null;
    this.#settle = null;
    if (problem !== null) return this.#failed([problem]);
    onLoaded(true);
    log.info({ code: 'reloaded', version: version() }, 'configuration reloaded');
    return { ok: true, version: version(), problems: [] };
  }

  #failed(problems: readonly string[]): ReloadOutcome {
    const { log, onLoaded, version } = this.#options;
    this.#problems = problems;
    onLoaded(false);
    log.error({ code: 'reload-failed', problems }, 'reload failed, the configuration before stays in force');
    return { ok: false, version: version(), problems };
  }

  async #load(): Promise<Loaded | { readonly problems: readonly Problem[] }> {
    const { path, environment, log } = this.#options;
    // `portico check` reads from a pipe; here one that nobody writes to would hold up every reload from now on.
    if (await isPipe(path)) {
      return {
        problems: [unreadable(path, 'the configuration is a pipe', 'Name a file: it is read again.')],
      };
    }
    const result = await loadConfig(path, environment, this.#options.clock.now());
    if ('problems' in result) return result;
    for (const { code, file, line, column, message } of result.warnings) {
      log.warn({ code, file, line, column }, message);
    }
    try {
      return { config: result.config, secrets: await this.#options.secretsOf(result.config) };
    } catch (error) {
      // It was there when it was checked: somebody replaces it at this moment.
      const message = `a file that it names changed while it was read: ${textOf(error)}`;
      const fix = 'Reload again; files that are renamed over those before are never missing.';
      return { problems: [unreadable(path, message, fix)] };
    }
  }

  #force(next: InForce): number {
    this.#before = this.#inForce;
    this.#inForce = next;
    this.#problems = [];
    // What is refused while this is under way speaks of the one before.
    this.#forcedVersion = Number.POSITIVE_INFINITY;
    this.#forcedVersion = this.#options.force(next.loaded);
    return this.#forcedVersion;
  }
}

function unreadable(file: string, message: string, fix: string): Problem {
  return { file, line: 1, column: 1, code: 'file-unreadable', message, offending: '', fix };
}

async function isPipe(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFIFO();
  } catch {
    // Whoever reads it says why it cannot be read.
    return false;
  }
}

const placesOf = (problems: readonly Problem[]): readonly string[] =>
  problems.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`);

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
