// What may be stapled: responses that openssl made, cut at every byte, and what a busy responder says.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { isSuccessfulOcsp } from '../../src/config/ocsp-response.ts';
import { Authority } from '../support/authority.ts';

describe('an OCSP response', () => {
  let authority: Authority;
  let response: Buffer;
  before(async () => {
    authority = await Authority.create();
    response = await authority.ocsp(await authority.issue({ names: ['a.example.com'] }));
  });
  after(() => authority.close());

  it('of an authority is taken, and nothing that is cut off or followed by more', () => {
    assert.ok(isSuccessfulOcsp(response));
    for (let length = 0; length < response.length; length += 1)
      assert.equal(isSuccessfulOcsp(response.subarray(0, length)), false, `${length} bytes`);
    assert.equal(isSuccessfulOcsp(Buffer.concat([response, Buffer.alloc(1)])), false);
  });

  for (const [what, bytes] of [
    ['tryLater', Buffer.from([0x30, 3, 0x0a, 1, 3])],
    ['successful, without a response', Buffer.from([0x30, 3, 0x0a, 1, 0])],
    ['a text that begins like DER', Buffer.from('0 not DER at all')],
    ['a length without end', Buffer.from([0x30, 0x80, 0x0a, 1, 0])],
    ['a length of eight bytes', Buffer.from([0x30, 0x88, 0, 0, 0, 0, 0, 0, 0, 3, 0x0a, 1, 0])],
  ] as const)
    it(`that is ${what} is none`, () => {
      assert.equal(isSuccessfulOcsp(bytes), false);
    });
});
