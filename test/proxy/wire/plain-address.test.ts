import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { plainAddress } from '../../../src/proxy/wire/plain-address.ts';

describe('how an end of a connection is named', () => {
  for (const [kernel, plain] of [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:0:c000:201', '::ffff:0:c000:201'],
    ['2001:db8::1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['', ''],
  ] as const)
    it(`${kernel || 'nothing'} is ${plain || 'nothing'}`, () => assert.equal(plainAddress(kernel), plain));
});
