// Ticket keys over time: known before they are used, read after, and handed to the next controller.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ROTATION_MS, TicketRotation } from '../../../src/control/tls/ticket-rotation.ts';

describe('ticket rotation', () => {
  it('encrypts with a key that was known for a whole rotation, and keeps it for one after', () => {
    const rotation = new TicketRotation(0, null);
    const [first, second] = rotation.keys;
    assert.equal(rotation.dueAtMs, ROTATION_MS);
    rotation.rotate(ROTATION_MS);
    assert.equal(rotation.keys[0], second, 'the one that was only read before');
    assert.ok(rotation.keys.includes(first!));
    const third = rotation.keys[1];
    rotation.rotate(2 * ROTATION_MS);
    assert.equal(rotation.keys[0], third);
    assert.ok(rotation.keys.includes(second!));
    assert.ok(!rotation.keys.includes(first!), 'gone for good');
  });

  it('never makes a key twice, each of 48 random bytes', () => {
    const rotation = new TicketRotation(0, null);
    const seen = new Set(rotation.keys);
    for (let round = 1; round <= 20; round += 1) {
      rotation.rotate(round);
      for (const key of rotation.keys) seen.add(key);
    }
    assert.equal(seen.size, 22);
    for (const key of seen) assert.equal(Buffer.from(key, 'base64').length, 48);
  });

  it('goes on with what an earlier controller had', () => {
    const before = new TicketRotation(1000, null);
    const after = new TicketRotation(5000, structuredClone(before.kept));
    assert.deepEqual(after.keys, before.keys);
    assert.equal(after.dueAtMs, before.dueAtMs);
  });
});
