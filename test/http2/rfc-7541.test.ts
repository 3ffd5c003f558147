// The examples of RFC 7541, appendix C, decoded in their order.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { BlockDecoder } from '../../src/http2/block-decoder.ts';
import { decodeBlock, type Field } from './hpack.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
/** The examples of C.5 and C.6 have a table of 256 bytes: a size update says so. */
const TABLE_256 = '3fe101';

const REQUESTS: readonly (readonly Field[])[] = [
  [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ],
  [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
    ['cache-control', 'no-cache'],
  ],
  [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ],
];

const FIRST_DATE = 'Mon, 21 Oct 2013 20:13:21 GMT';
const LOCATION = ['location', 'https://www.example.com'] as const;
const RESPONSES: readonly (readonly Field[])[] = [
  [[':status', '302'], ['cache-control', 'private'], ['date', FIRST_DATE], LOCATION],
  [[':status', '307'], ['cache-control', 'private'], ['date', FIRST_DATE], LOCATION],
  [
    [':status', '200'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
    LOCATION,
    ['content-encoding', 'gzip'],
    ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
  ],
];

const SEQUENCES: Readonly<Record<string, readonly [readonly string[], readonly (readonly Field[])[]]>> = {
  'C.3 requests without Huffman code': [
    [
      '828684410f7777772e6578616d706c652e636f6d',
      '828684be58086e6f2d6361636865',
      '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
    ],
    REQUESTS,
  ],
  'C.4 requests with Huffman code': [
    [
      '828684418cf1e3c2e5f23a6ba0ab90f4ff',
      '828684be5886a8eb10649cbf',
      '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
    ],
    REQUESTS,
  ],
  'C.5 responses without Huffman code': [
    [
      `${TABLE_256}4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d`,
      '4803333037c1c0bf',
      '88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31',
    ],
    RESPONSES,
  ],
  'C.6 responses with Huffman code': [
    [
      `${TABLE_256}488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3`,
      '4883640effc1c0bf',
      '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
    ],
    RESPONSES,
  ],
};

describe('RFC 7541, appendix C', () => {
  for (const [name, [blocks, expected]] of Object.entries(SEQUENCES)) {
    it(name, () => {
      const decoder = new BlockDecoder();
      assert.deepEqual(
        blocks.map((block) => decodeBlock(decoder, hex(block))),
        expected,
      );
    });
  }

  const literals: Readonly<Record<string, readonly [string, readonly Field[]]>> = {
    'C.2.1 literal with indexing': [
      '400a637573746f6d2d6b65790d637573746f6d2d686561646572',
      [['custom-key', 'custom-header']],
    ],
    'C.2.2 literal without indexing': ['040c2f73616d706c652f70617468', [[':path', '/sample/path']]],
    'C.2.3 literal never indexed': ['100870617373776f726406736563726574', [['password', 'secret']]],
    'C.2.4 indexed field': ['82', [[':method', 'GET']]],
  };
  for (const [name, [block, fields]] of Object.entries(literals)) {
    it(name, () => {
      assert.deepEqual(decodeBlock(new BlockDecoder(), hex(block)), fields);
    });
  }
});

describe('what RFC 7541 calls a decoding error', () => {
  const errors: Readonly<Record<string, string>> = {
    'index 0 (6.1)': '80',
    'an index beyond both tables (2.3.3)': 'be',
    'a name index beyond both tables': '7e0161',
    'a size update above the limit (6.3)': '3fe21f',
    'a size update behind a field (4.2)': '8220',
    'three size updates': '202020',
    'an integer without end (5.1)': '7fffffffffffffffff01',
    'an integer that is cut off': 'ff',
    'a string longer than the block': '4001610561',
    'a literal without its value': '400161',
    'padding with a zero bit (5.2)': '00811800',
    'padding of eight bits (5.2)': '00821fff00',
    'EOS in a string (5.2)': '0084ffffffff00',
  };
  for (const [name, block] of Object.entries(errors)) {
    it(name, () => {
      assert.equal(decodeBlock(new BlockDecoder(), hex(block)), null);
    });
  }

  it('is told apart from the shortest padding, which is fine', () => {
    // 'a' is 00011; three ones pad it to a byte.
    assert.deepEqual(decodeBlock(new BlockDecoder(), hex('00811f00')), [['a', '']]);
  });

  it('does not include an entry larger than the table, which empties it (4.4)', () => {
    const decoder = new BlockDecoder();
    assert.notEqual(decodeBlock(decoder, hex('4001610162')), null);
    assert.notEqual(decodeBlock(decoder, hex('be')), null);
    // 7f e1 1f is 127 + 97 + 31 * 128.
    const block = Buffer.concat([hex('4001617fe11f'), Buffer.alloc(4192, 98)]);
    assert.notEqual(decodeBlock(decoder, block), null);
    assert.equal(decodeBlock(decoder, hex('be')), null);
  });
});
