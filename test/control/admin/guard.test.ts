import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type GuardedRequest,
  hasToken,
  isLocal,
  isLoopback,
  refusalOf,
} from '../../../src/control/admin/guard.ts';

const request = (part: Partial<GuardedRequest>): GuardedRequest => ({
  headers: {},
  remoteAddress: '203.0.113.9',
  localAddress: '192.0.2.1',
  unix: false,
  ...part,
});

describe('admin guard', () => {
  it('knows loopback in all its forms, and nothing else', () => {
    for (const address of ['127.0.0.1', '127.255.0.3', '::1', '::ffff:127.0.0.1'])
      assert.ok(isLoopback(address));
    for (const address of ['', '10.0.0.1', '128.0.0.1', '::', '::2', '127.0.0.1.evil', '::ffff:10.0.0.1']) {
      assert.ok(!isLoopback(address), address);
    }
  });

  it('takes a request as local by socket and loopback, but not when a proxy passed it on', () => {
    assert.ok(isLocal(request({ unix: true, remoteAddress: undefined })));
    assert.ok(isLocal(request({ remoteAddress: '::ffff:127.0.0.1' })));
    assert.ok(!isLocal(request({})));
    assert.ok(!isLocal(request({ remoteAddress: undefined })));
    for (const name of ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip']) {
      assert.ok(!isLocal(request({ unix: true, headers: { [name]: 'x' } })), name);
    }
  });

  it('accepts as Host the address that was connected to, and no other address', () => {
    const options = { host: '0.0.0.0', hosts: [] };
    const check = (host: string, localAddress: string) =>
      refusalOf(request({ headers: { host }, localAddress }), options);
    assert.equal(check('192.0.2.1:9901', '192.0.2.1'), null);
    assert.equal(check('192.0.2.1:9901', '::ffff:192.0.2.1'), null);
    assert.equal(check('[2001:db8::1]:9901', '2001:db8::1'), null);
    assert.equal(check('192.0.2.2:9901', '192.0.2.1'), 'foreign-host');
    assert.equal(refusalOf(request({}), options), 'foreign-host', 'a missing Host');
  });

  it('compares tokens exactly', () => {
    assert.ok(hasToken('Bearer abc', 'abc'));
    assert.ok(hasToken('bearer  abc', 'abc'));
    for (const given of [
      undefined,
      '',
      'abc',
      'Bearer ',
      'Bearer ab',
      'Bearer abcd',
      'Bearer abc d',
      'Token abc',
    ]) {
      assert.ok(!hasToken(given, 'abc'), String(given));
    }
    assert.ok(!hasToken('Bearer ', ''));
  });
});
