// Names of failures to connect, and whether the target itself has spoken.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FailureCode } from '../../../src/model/failures.ts';
import { connectFailureOf, outcomeOf } from '../../../src/proxy/upstream/connect-failure.ts';

const failed = (code: string, syscall = 'connect'): NodeJS.ErrnoException =>
  Object.assign(new Error(code), { code, syscall });

describe('a connection to a target that does not come to stand', () => {
  for (const [what, error, reached, expected] of [
    ['is refused', failed('ECONNREFUSED'), false, 'connect-refused'],
    ['is given up by the kernel', failed('ETIMEDOUT'), false, 'connect-timeout'],
    ['has no route', failed('EHOSTUNREACH'), false, 'connect-failed'],
    ['closes without an error', null, false, 'connect-failed'],
    ['has no address', failed('ENOTFOUND', 'getaddrinfo'), false, 'name-unresolved'],
    ['has no descriptor', failed('EMFILE'), false, 'local-limit'],
    ['has no local port', failed('EADDRNOTAVAIL'), false, 'local-limit'],
    ['is closed in its handshake', null, true, 'tls-handshake-failed'],
    ['is reset in its handshake', failed('ECONNRESET', 'read'), true, 'tls-handshake-failed'],
    [
      'is refused in its handshake',
      failed('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'),
      true,
      'tls-handshake-failed',
    ],
    ['has the certificate of another', failed('ERR_TLS_CERT_ALTNAME_INVALID'), true, 'certificate-invalid'],
    ['has a certificate that is over', failed('CERT_HAS_EXPIRED'), true, 'certificate-invalid'],
    ['has one of nobody known', failed('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), true, 'certificate-invalid'],
  ] as const)
    it(`${what}: ${expected}`, () => assert.equal(connectFailureOf(error, reached), expected));

  it('is refused by a target that has spoken, and met with silence by others', () => {
    const spoken: FailureCode[] = ['connect-refused', 'tls-handshake-failed', 'certificate-invalid'];
    const silent: FailureCode[] = ['connect-timeout', 'connect-failed', 'name-unresolved'];
    assert.deepEqual(new Set(spoken.map(outcomeOf)), new Set(['refused']));
    assert.deepEqual(new Set(silent.map(outcomeOf)), new Set(['silent']));
  });
});
