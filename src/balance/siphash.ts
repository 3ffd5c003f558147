// SipHash-2-4 with 32-bit integer maths: the hash of flows and of every hash table.

const KEY_BYTES = 16;

/**
 * The state of SipHash (Aumasson and Bernstein, 2012) after the key was mixed in: v0 to v3, each as low and high
 * 32 bits. A caller may keep such a state after some blocks and go on from it.
 */
export function keyState(key: Uint8Array): Int32Array {
  if (key.length !== KEY_BYTES)
    throw new RangeError(`a SipHash key has ${KEY_BYTES} bytes, not ${key.length}`);
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const k0 = view.getInt32(0, true);
  const k1 = view.getInt32(4, true);
  const k2 = view.getInt32(8, true);
  const k3 = view.getInt32(12, true);
  return Int32Array.of(
    k0 ^ 0x70736575,
    k1 ^ 0x736f6d65,
    k2 ^ 0x6e646f6d,
    k3 ^ 0x646f7261,
    k0 ^ 0x6e657261,
    k1 ^ 0x6c796765,
    k2 ^ 0x79746573,
    k3 ^ 0x74656462,
  );
}

/**
 * Absorbs `blocks` 8-byte blocks of `words` (low word, high word, from index `from`) into the state at `state`.
 * Unless `final`, `out` receives the eight words of the new state; with it, the low and high 32 bits of the hash.
 * `out` may be `state`. The one copy of the rounds is here; all of it stays in registers or on the stack.
 */
export function absorb(
  state: Int32Array,
  words: Int32Array,
  from: number,
  blocks: number,
  final: boolean,
  out: Int32Array,
): void {
  let v0l = state[0]! | 0;
  let v0h = state[1]! | 0;
  let v1l = state[2]! | 0;
  let v1h = state[3]! | 0;
  let v2l = state[4]! | 0;
  let v2h = state[5]! | 0;
  let v3l = state[6]! | 0;
  let v3h = state[7]! | 0;
  let a = 0;
  let ml = 0;
  let mh = 0;
  const steps = final ? blocks + 1 : blocks;
  for (let step = 0; step < steps; step++) {
    let rounds = 2;
    if (step < blocks) {
      ml = words[from + step * 2]! | 0;
      mh = words[from + step * 2 + 1]! | 0;
      v3l ^= ml;
      v3h ^= mh;
    } else {
      rounds = 4;
      ml = 0;
      mh = 0;
      v2l ^= 0xff;
    }
    for (; rounds > 0; rounds--) {
      // v0 += v1: a sum that wrapped round is smaller than what it was made of, and that is the carry.
      a = (v0l + v1l) | 0;
      v0h = (v0h + v1h + (a >>> 0 < v0l >>> 0 ? 1 : 0)) | 0;
      v0l = a;
      // v1 = rotl(v1, 13) ^ v0
      a = ((v1l << 13) | (v1h >>> 19)) ^ v0l;
      v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
      v1l = a;
      // v0 = rotl(v0, 32)
      a = v0l;
      v0l = v0h;
      v0h = a;
      // v2 += v3
      a = (v2l + v3l) | 0;
      v2h = (v2h + v3h + (a >>> 0 < v2l >>> 0 ? 1 : 0)) | 0;
      v2l = a;
      // v3 = rotl(v3, 16) ^ v2
      a = ((v3l << 16) | (v3h >>> 16)) ^ v2l;
      v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
      v3l = a;
      // v0 += v3
      a = (v0l + v3l) | 0;
      v0h = (v0h + v3h + (a >>> 0 < v0l >>> 0 ? 1 : 0)) | 0;
      v0l = a;
      // v3 = rotl(v3, 21) ^ v0
      a = ((v3l << 21) | (v3h >>> 11)) ^ v0l;
      v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
      v3l = a;
      // v2 += v1
      a = (v2l + v1l) | 0;
      v2h = (v2h + v1h + (a >>> 0 < v2l >>> 0 ? 1 : 0)) | 0;
      v2l = a;
      // v1 = rotl(v1, 17) ^ v2
      a = ((v1l << 17) | (v1h >>> 15)) ^ v2l;
      v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
      v1l = a;
      // v2 = rotl(v2, 32)
      a = v2l;
      v2l = v2h;
      v2h = a;
    }
    v0l ^= ml;
    v0h ^= mh;
  }
  if (final) {
    out[0] = v0l ^ v1l ^ v2l ^ v3l;
    out[1] = v0h ^ v1h ^ v2h ^ v3h;
    return;
  }
  out[0] = v0l;
  out[1] = v0h;
  out[2] = v1l;
  out[3] = v1h;
  out[4] = v2l;
  out[5] = v2h;
  out[6] = v3l;
  out[7] = v3h;
}

/** The padded end of a message as words for `absorb`: `tail`, after `absorbed` bytes that are in the state already. */
export function finalBlocks(tail: Uint8Array, absorbed: number): Int32Array {
  const padded = new Uint8Array((Math.floor(tail.length / 8) + 1) * 8);
  padded.set(tail);
  padded[padded.length - 1] = (absorbed + tail.length) & 0xff;
  const view = new DataView(padded.buffer);
  return Int32Array.from({ length: padded.length / 4 }, (_, index) => view.getInt32(index * 4, true));
}

/** Reads 32 hex digits as the 16 bytes of a key. Throws RangeError for anything else. */
export function hashKeyBytes(hex: string): Uint8Array {
  if (!/^[0-9a-fA-F]{32}$/.test(hex)) throw new RangeError('a hash key is written as 32 hex digits');
  return Uint8Array.from({ length: KEY_BYTES }, (_, index) =>
    Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16),
  );
}

/** Words taken from the message at a time; only longer messages need a second turn. */
const CHUNK_WORDS = 64;

/** SipHash-2-4 with one key over bytes of any length; a hash allocates nothing. */
export class SipHash {
  readonly #key: Int32Array;
  readonly #state = new Int32Array(8);
  readonly #words = new Int32Array(CHUNK_WORDS + 2);

  constructor(key: Uint8Array) {
    this.#key = keyState(key);
  }

  /** Low 32 bits, unsigned, of the hash read as a little-endian u64; `high` has the others until the next call. */
  hash(data: Uint8Array, length: number = data.length): number {
    const words = this.#words;
    const whole = length & ~7;
    let state = this.#key;
    let at = 0;
    let filled = 0;
    for (; at < whole; at += 4) {
      if (filled === CHUNK_WORDS) {
        absorb(state, words, 0, CHUNK_WORDS / 2, false, this.#state);
        state = this.#state;
        filled = 0;
      }
      words[filled++] = data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24);
    }
    let low = 0;
    let high = (length & 0xff) << 24;
    for (let shift = 0; at < length; at++, shift += 8) {
      if (shift < 32) low |= data[at]! << shift;
      else high |= data[at]! << (shift - 32);
    }
    words[filled++] = low;
    words[filled++] = high;
    absorb(state, words, 0, filled / 2, true, this.#state);
    return this.#state[0]! >>> 0;
  }

  /** High 32 bits, unsigned, of the last hash. */
  get high(): number {
    return this.#state[1]! >>> 0;
  }
}

/** Turns hash keys of flows into the number that `Picker.pick` takes; equal in every process with the same key. */
export interface FlowHasher {
  /** Over the first `length` bytes of `data`: an address, as `address-bytes.ts` writes it. */
  bytes(data: Uint8Array, length: number): number;
  /** Over the UTF-8 bytes of `value`: a header, cookie, path and so on. */
  text(value: string): number;
}

/** Makes a flow hasher from 32 hex digits; throws RangeError for anything else. Its scratch space grows with the longest text. */
export function createFlowHasher(hashKeyHex: string): FlowHasher {
  const sip = new SipHash(hashKeyBytes(hashKeyHex));
  const encoder = new TextEncoder();
  let scratch = new Uint8Array(256);
  return {
    bytes: (data, length) => sip.hash(data, length),
    text: (value) => {
      if (value.length * 3 > scratch.length) scratch = new Uint8Array(value.length * 3);
      for (let at = 0; at < value.length; at++) {
        const code = value.charCodeAt(at);
        if (code > 0x7f) return sip.hash(scratch, encoder.encodeInto(value, scratch).written);
        scratch[at] = code;
      }
      return sip.hash(scratch, value.length);
    },
  };
}
