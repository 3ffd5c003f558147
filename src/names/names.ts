// Addresses of targets that are named by host name: resolved now and then, kept while the name server is gone.

import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { LookupTurns, type Resolve, type Standing } from './lookup-turns.ts';

/** `kept`: the look-up failed, and the addresses of before are used. */
export type NameResult = 'ok' | 'failed' | 'kept';

export interface NamesOptions {
  /** All addresses of a name, in the order of preference: `dns.promises.lookup` with `all`. */
  readonly resolve: Resolve;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly log: { warn(fields: object, message: string): void; info(fields: object, message: string): void };
  readonly onResult: (result: NameResult) => void;
}

/** Younger answers are used as they are: getaddrinfo tells no lifetime, and Envoy's default is the same. */
const FRESH_MS = 5000;
/** Older ones are waited for: the target has not been used for so long that its address may be somebody else's now. */
const STALE_MS = 60_000;
/** Whoever comes later to a question that is still open is given the addresses of before. */
const PATIENCE_MS = 500;
/** After a failure the name server is left alone for this long. */
const FAILED_PAUSE_MS = 1000;
/** Names come from configurations; those of earlier ones are forgotten first. */
export const NAMES_KEPT = 10_000;

type Answer = (error: NodeJS.ErrnoException | null, found: LookupAddress | null) => void;

interface Entry {
  addresses: readonly LookupAddress[];
  /** When the addresses came, or `-Infinity`. */
  foundAtMs: number;
  triedAtMs: number;
  error: NodeJS.ErrnoException | null;
  resolving: boolean;
  /** Rotates over the addresses, so that connections spread. */
  turn: number;
  waiting: Answer[];
}

export class Names {
  readonly #options: NamesOptions;
  readonly #turns: LookupTurns;
  readonly #entries = new Map<string, Entry>();

  constructor(options: NamesOptions) {
    this.#options = options;
    this.#turns = new LookupTurns(options.resolve);
  }

  /** In the place of `dns.lookup` for `net.connect` and `http.request`. */
  readonly lookup: LookupFunction = (name, options, callback) => {
    this.#find(name, (error, found) => {
      if (found === null) callback(error, '', 4);
      else if (options.all === true) callback(null, [found]);
      else callback(null, found.address, found.family);
    });
  };

  #find(name: string, answer: Answer): void {
    const { now } = this.#options;
    const nowMs = now();
    const entry = this.#entryOf(name);
    const ageMs = nowMs - entry.foundAtMs;
    if (ageMs > FRESH_MS && !entry.resolving && nowMs - entry.triedAtMs >= FAILED_PAUSE_MS) {
      void this.#refresh(name, entry);
    }
    if (entry.resolving && this.#isWorthWaiting(entry, nowMs)) entry.waiting.push(answer);
    else this.#answer(entry, answer);
  }

  /** A name server that is gone may take ten seconds to be given up: the addresses of before are used meanwhile. */
  #isWorthWaiting({ addresses, foundAtMs, triedAtMs, error }: Entry, nowMs: number): boolean {
    if (addresses.length === 0) return true;
    return error === null && nowMs - foundAtMs > STALE_MS && nowMs - triedAtMs <= PATIENCE_MS;
  }

  #answer(entry: Entry, answer: Answer): void {
    const { addresses } = entry;
    entry.turn = (entry.turn + 1) % Math.max(1, addresses.length);
    answer(entry.error, addresses[entry.turn] ?? null);
  }

  /** The most recently used names stand last. */
  #entryOf(name: string): Entry {
    const known = this.#entries.get(name);
    if (known !== undefined) {
      this.#entries.delete(name);
      this.#entries.set(name, known);
      return known;
    }
    const never = Number.NEGATIVE_INFINITY;
    const entry: Entry = {
      addresses: [],
      foundAtMs: never,
      triedAtMs: never,
      error: null,
      resolving: false,
      turn: -1,
      waiting: [],
    };
    this.#entries.set(name, entry);
    if (this.#entries.size > NAMES_KEPT) this.#entries.delete(this.#entries.keys().next().value!);
    return entry;
  }

  async #refresh(name: string, entry: Entry): Promise<void> {
    const { now, log, onResult } = this.#options;
    entry.resolving = true;
    entry.triedAtMs = now();
    const failedBefore = entry.error !== null;
    try {
      entry.addresses = oneFamily(await this.#turns.lookup(name, standingOf(entry)));
      entry.foundAtMs = now();
      entry.error = null;
      onResult('ok');
      if (failedBefore) log.info({ code: 'name-resolved', name }, 'name is resolved again');
    } catch (error) {
      entry.error = error as NodeJS.ErrnoException;
      const kept = entry.addresses.length > 0;
      onResult(kept ? 'kept' : 'failed');
      const fields = { code: 'name-unresolved', name, error: entry.error.code ?? entry.error.message, kept };
      if (!failedBefore) log.warn(fields, 'name cannot be resolved');
    }
    entry.resolving = false;
    for (const answer of entry.waiting.splice(0)) this.#answer(entry, answer);
  }
}

function standingOf({ addresses, error }: Entry): Standing {
  if (error !== null) return 'failing';
  return addresses.length > 0 ? 'known' : 'new';
}

/** One connection is tried at a time: addresses of a family that the first one does not have may lead nowhere. */
function oneFamily(addresses: readonly LookupAddress[]): readonly LookupAddress[] {
  const family = addresses[0]?.family;
  return addresses.filter((address) => address.family === family);
}
