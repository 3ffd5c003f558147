// An immutable text lookup fed with a hash that the caller rolls along the text, so that no substring is ever made.

const SEED = 0x811c9dc5 | 0;
const PRIME = 0x01000193;

/** Hash of the empty text: where a roll begins. */
export const HASH_SEED: number = SEED;

/** One step of FNV-1a over a UTF-16 code unit; the result is a signed 32-bit number. */
export const rollHash = (hash: number, code: number): number => Math.imul(hash ^ code, PRIME);

/** Hash of a whole text, first character first: for keys that are looked up while walking from the left. */
export function hashForward(text: string): number {
  let hash = SEED;
  for (let i = 0; i < text.length; i++) hash = rollHash(hash, text.charCodeAt(i));
  return hash;
}

/** Hash of a whole text, last character first: for keys that are looked up while walking from the right. */
export function hashBackward(text: string): number {
  let hash = SEED;
  for (let i = text.length - 1; i >= 0; i--) hash = rollHash(hash, text.charCodeAt(i));
  return hash;
}

/**
 * Open addressing at a load of at most one half. Keys come from the configuration alone, so a client can
 * neither grow the table nor lengthen a probe chain: a crafted hash costs one comparison for each key of the chain.
 */
export class TextIndex<T> {
  readonly #mask: number;
  readonly #hashes: Int32Array;
  readonly #keys: (string | undefined)[];
  readonly #values: (T | undefined)[];

  constructor(entries: ReadonlyMap<string, T>, hashOf: (text: string) => number) {
    let slots = 2;
    while (slots < entries.size * 2) slots *= 2;
    this.#mask = slots - 1;
    this.#hashes = new Int32Array(slots);
    this.#keys = new Array<string | undefined>(slots).fill(undefined);
    this.#values = new Array<T | undefined>(slots).fill(undefined);
    for (const [key, value] of entries) {
      const hash = hashOf(key);
      let slot = this.#slot(hash);
      while (this.#keys[slot] !== undefined) slot = (slot + 1) & this.#mask;
      this.#hashes[slot] = hash;
      this.#keys[slot] = key;
      this.#values[slot] = value;
    }
  }

  /** The value whose key equals `text` from `start` to `end`; `hash` is the hash of exactly that part. */
  find(hash: number, text: string, start: number, end: number): T | undefined {
    let slot = this.#slot(hash);
    for (;;) {
      const key = this.#keys[slot];
      if (key === undefined) return undefined;
      if (this.#hashes[slot] === hash && key.length === end - start && text.startsWith(key, start)) {
        return this.#values[slot];
      }
      slot = (slot + 1) & this.#mask;
    }
  }

  #slot(hash: number): number {
    // FNV-1a's low bits are its weakest; fold the high half in.
    return (hash ^ (hash >>> 15)) & this.#mask;
  }
}
