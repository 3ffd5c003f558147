// The demo's host keys: whatever number they are.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import ssh2 from 'ssh2';
import { createHostKey } from '../../src/demo/host-key.ts';

test('every host key is one that an SSH server can begin with, and its public half is told', () => {
  for (let count = 0; count < 3000; count += 1) {
    const key = createHostKey();
    const read = ssh2.utils.parseKey(key.private);
    assert.ok(!(read instanceof Error), `${read}`);
    assert.equal(read.isPrivateKey(), true);
    assert.equal(key.public, `ecdsa-sha2-nistp256 ${read.getPublicSSH().toString('base64')}`);
  }
});
