// SipHash-2-4 against the published vectors, a second implementation, and GLB's flow hash.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  absorb,
  createFlowHasher,
  finalBlocks,
  hashKeyBytes,
  keyState,
  SipHash,
} from '../../src/balance/siphash.ts';
import { hex } from '../../src/balance/table-input.ts';
import { fc } from '../support/properties.ts';

// Key 00 to 0f; message n is the bytes 00 to n - 1 (reference implementation's vectors.h; `openssl mac` agrees).
const VECTORS = `
  310e0edd47db6f72 fd67dc93c539f874 5a4fa9d909806c0d 2d7efbd796666785
  b7877127e09427cf 8da699cd64557618 cee3fe586e46c9cb 37d1018bf50002ab
  6224939a79f5f593 b0e4a90bdf82009e f3b9dd94c5bb5d7a a7ad6b22462fb3f4
  fbe50e86bc8f1e75 903d84c02756ea14 eef27a8e90ca23f7 e545be4961ca29a1
  db9bc2577fcc2a3f 9447be2cf5e99a69 9cd38d96f0b3c14b bd6179a71dc96dbb
  98eea21af25cd6be c7673b2eb0cbf2d0 883ea3e395675393 c8ce5ccd8c030ca8
  94af49f6c650adb8 eab8858ade92e1bc f315bb5bb835d817 adcf6b0763612e2f
  a5c91da7acaa4dde 716595876650a2a6 28ef495c53a387ad 42c341d8fa92d832
  ce7cf2722f512771 e37859f94623f3a7 381205bb1ab0e012 ae97a10fd434e015
  b4a31508beff4d31 81396229f0907902 4d0cf49ee5d4dcca 5c73336a76d8bf9a
  d0a704536ba93e0e 925958fcd6420cad a915c29bc8067318 952b79f3bc0aa6d4
  f21df2e41d4535f9 87577519048f53a9 10a56cf5dfcd9adb eb75095ccd986cd0
  51a9cb9ecba312e6 96afadfc2ce666c7 72fe52975a4364ee 5a1645b276d592a1
  b274cb8ebf87870a 6f9bb4203de7b381 eaecb2a30b22a87f 9924a43cc1315724
  bd838d3aafbf8db7 0b1a2a3265d51aea 135079a3231ce660 932b2846e4d70666
  e1915f5cb1eca46c f325965ca16d629f 575ff28e60381be5 724506eb4c328a95
`
  .trim()
  .split(/\s+/);

const MASK = 0xffff_ffff_ffff_ffffn;

/** The algorithm as its paper writes it, in 64-bit arithmetic. */
function oracle(key: Uint8Array, message: Uint8Array): bigint {
  const rotate = (value: bigint, by: bigint): bigint => ((value << by) | (value >> (64n - by))) & MASK;
  const word = (bytes: Uint8Array, at: number): bigint =>
    new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true);
  const k0 = word(key, 0);
  const k1 = word(key, 8);
  let v0 = k0 ^ 0x736f6d6570736575n;
  let v1 = k1 ^ 0x646f72616e646f6dn;
  let v2 = k0 ^ 0x6c7967656e657261n;
  let v3 = k1 ^ 0x7465646279746573n;
  const round = (): void => {
    v0 = (v0 + v1) & MASK;
    v1 = rotate(v1, 13n) ^ v0;
    v0 = rotate(v0, 32n);
    v2 = (v2 + v3) & MASK;
    v3 = rotate(v3, 16n) ^ v2;
    v0 = (v0 + v3) & MASK;
    v3 = rotate(v3, 21n) ^ v0;
    v2 = (v2 + v1) & MASK;
    v1 = rotate(v1, 17n) ^ v2;
    v2 = rotate(v2, 32n);
  };
  const padded = new Uint8Array((Math.floor(message.length / 8) + 1) * 8);
  padded.set(message);
  padded[padded.length - 1] = message.length & 0xff;
  for (let at = 0; at < padded.length; at += 8) {
    const block = word(padded, at);
    v3 ^= block;
    round();
    round();
    v0 ^= block;
  }
  v2 ^= 0xffn;
  for (let count = 0; count < 4; count++) round();
  return v0 ^ v1 ^ v2 ^ v3;
}

function hash64(sip: SipHash, message: Uint8Array, length = message.length): bigint {
  const low = BigInt(sip.hash(message, length));
  return (BigInt(sip.high) << 32n) | low;
}

describe('SipHash', () => {
  it('gives the 64 published values', () => {
    const sip = new SipHash(Uint8Array.from({ length: 16 }, (_, index) => index));
    VECTORS.forEach((expected, length) => {
      const bytes = new Uint8Array(8);
      const message = Uint8Array.from({ length }, (_, index) => index);
      new DataView(bytes.buffer).setBigUint64(0, hash64(sip, message), true);
      assert.equal(hex(bytes), expected, `message of ${length} bytes`);
    });
    assert.equal(VECTORS.length, 64);
  });

  it('agrees with 64-bit arithmetic on any key and message, also beyond its chunk of 256 bytes', () => {
    const key = fc.uint8Array({ minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(key, fc.uint8Array({ maxLength: 600 }), (keyBytes, message) => {
        assert.equal(hash64(new SipHash(keyBytes), message), oracle(keyBytes, message));
      }),
      { numRuns: 150, seed: 1 },
    );
    for (const length of [255, 256, 257, 263, 264, 511, 512, 513]) {
      const message = new Uint8Array(length).fill(0xa5);
      const keyBytes = new Uint8Array(16).fill(9);
      assert.equal(hash64(new SipHash(keyBytes), message), oracle(keyBytes, message), `${length} bytes`);
    }
  });

  it('hashes only the given length of its buffer, and the same again after another message', () => {
    const sip = new SipHash(new Uint8Array(16).fill(1));
    const message = Uint8Array.of(1, 2, 3, 4, 250, 251);
    const expected = sip.hash(message.slice(0, 4));
    sip.hash(new Uint8Array(300));
    assert.equal(sip.hash(message, 4), expected);
  });

  it('goes on from a kept state', () => {
    const key = new Uint8Array(16).fill(3);
    const message = Uint8Array.from({ length: 29 }, (_, index) => index * 5);
    const head = Int32Array.from({ length: 4 }, (_, word) =>
      new DataView(message.buffer).getInt32(word * 4, true),
    );
    const state = new Int32Array(8);
    absorb(keyState(key), head, 0, 2, false, state);
    const tail = finalBlocks(message.subarray(16), 16);
    absorb(state, tail, 0, tail.length / 2, true, state);
    assert.equal(state[0]! >>> 0, new SipHash(key).hash(message));
  });

  it('refuses keys that are not 16 bytes or 32 hex digits', () => {
    assert.throws(() => new SipHash(new Uint8Array(15)), RangeError);
    for (const text of ['', 'zz'.repeat(16), '0'.repeat(31), '0'.repeat(33)])
      assert.throws(() => hashKeyBytes(text), RangeError);
    assert.equal(hex(hashKeyBytes('00ffABcd'.repeat(4))), '00ffabcd'.repeat(4));
  });
});

describe('the flow hasher', () => {
  it("gives GLB's hash of a client address", () => {
    const hasher = createFlowHasher('12345678901234561234567890123456');
    // bd5c7a65f1728900, read as little-endian, of which the low 32 bits are given on; its row is 23741.
    assert.equal(hasher.bytes(Uint8Array.of(10, 11, 12, 13, 99), 4), 0x657a5cbd);
    assert.equal(0x657a5cbd & 0xffff, 23_741);
  });

  it('hashes text by its UTF-8 bytes, whatever its length', () => {
    const hasher = createFlowHasher('0f'.repeat(16));
    const sip = new SipHash(hashKeyBytes('0f'.repeat(16)));
    const check = (text: string): void =>
      assert.equal(hasher.text(text), sip.hash(new TextEncoder().encode(text)), JSON.stringify(text));
    for (const text of [
      '',
      'a',
      'session=1',
      'k\u00e4se',
      '\u{1f600}',
      'x'.repeat(5_000),
      '\ud800',
      'short again',
    ])
      check(text);
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), check), { numRuns: 100, seed: 2 });
  });
});
