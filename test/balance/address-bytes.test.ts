// Addresses as bytes: what is read, what is refused.

import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { describe, it } from 'node:test';
import { addressBytes, writeAddress } from '../../src/balance/address-bytes.ts';
import { hex } from '../../src/balance/table-input.ts';
import { fc } from '../support/properties.ts';

describe('addressBytes', () => {
  const known: readonly (readonly [string, string])[] = [
    ['1.2.3.4', '01020304'],
    ['255.255.255.255', 'ffffffff'],
    ['0.0.0.0', '00000000'],
    ['::', '00'.repeat(16)],
    ['::1', `${'00'.repeat(15)}01`],
    ['1::', `0001${'00'.repeat(14)}`],
    ['2001:db8::a:0', '20010db80000000000000000000a0000'],
    ['2001:DB8:1:2:3:4:5:6', '20010db8000100020003000400050006'],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000'],
    ['::2:3:4:5:6:7:8', '00000002000300040005000600070008'],
    ['fe80::1%eth0', 'fe800000000000000000000000000001'],
    ['64:ff9b::1.2.3.4', '0064ff9b000000000000000001020304'],
    ['::ffff:10.11.12.13', '0a0b0c0d'],
    ['::ffff:a0b:c0d', '0a0b0c0d'],
    ['::1.2.3.4', '00000000000000000000000001020304'],
  ];
  for (const [text, expected] of known)
    it(`reads ${text}`, () => {
      assert.equal(hex(addressBytes(text)), expected);
    });

  const wrong = [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1..2.3',
    '1.2.3.4 ',
    'node-1',
    ':1',
    '1:',
    ':::',
  ];
  const wrongSix = [
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '::12345',
    '::g',
    '1:2:3:4:5:6:7:1.2.3.4',
  ];
  for (const text of [
    ...wrong,
    ...wrongSix,
    '::1.2.3',
    '1.2.3.4::',
    '1:2:3:4:5:6:7:8::',
    '[::1]',
    '1.2.3.4%eth0',
  ])
    it(`takes ${JSON.stringify(text)} for no address, but gives it bytes of its own`, () => {
      assert.equal(new TextDecoder().decode(addressBytes(text)), `\0${text}`);
      assert.equal(writeAddress(text, new Uint8Array(16)), 0);
    });

  it('reads every address as the platform does, and never what the platform refuses', () => {
    const out = new Uint8Array(16);
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        assert.ok(writeAddress(text, out) > 0, text);
      }),
      { numRuns: 500, seed: 3 },
    );
    const nearly = fc.string({ unit: fc.constantFrom(...'01af:.'), maxLength: 24 });
    fc.assert(
      fc.property(nearly, (text) => {
        assert.equal(writeAddress(text, out) > 0, isIP(text) > 0, text);
      }),
      { numRuns: 5_000, seed: 4 },
    );
  });

  it('gives all ways to write one IPv6 address the same bytes', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const short = new URL(`http://[${text}]/`).hostname.slice(1, -1);
        assert.equal(hex(addressBytes(text)), hex(addressBytes(short)));
      }),
      { numRuns: 500, seed: 5 },
    );
  });
});
