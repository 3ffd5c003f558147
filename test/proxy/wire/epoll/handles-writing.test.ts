// What a handle writes and what becomes of it, ours and libuv's: both must do the same.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import type { PendingWrite } from '../../../../src/proxy/wire/socket-handle.ts';
import { assertNoSocketLeft } from '../../../support/data-plane.ts';
import { asserted, ECANCELED, ECONNRESET, HandleStage, kindsOf, Reader } from './handle-stage.ts';

for (const [kind, tcp] of kindsOf()) {
  describe(`${kind} of a connection that writes`, () => {
    const stage = new HandleStage(tcp);

    afterEach(() => stage.clear());
    after(() => assertNoSocketLeft());

    it('writes more than the kernel takes, in order, and tells of each write', async () => {
      const { handle, peer } = await stage.accept();
      const { bytes, writes } = stage.fill(handle);
      const order: number[] = [];
      const later = [handle.writeLatin1String(null, 'text'), handle.writeBuffer(null, Buffer.from('bytes'))];
      assert.ok(handle.writeQueueSize >= 9);
      assert.equal(handle.bytesWritten, bytes + 9);
      const all = [...writes, ...(later as PendingWrite[])];
      for (const [index, write] of all.entries())
        write.oncomplete = (status): void => {
          assert.equal(status, 0);
          order.push(index);
        };
      let received = 0;
      let tail = '';
      peer.on('data', (chunk: Buffer) => {
        received += chunk.length;
        tail = (tail + chunk.subarray(-9).latin1Slice()).slice(-9);
      });
      await asserted(() => assert.equal(received, bytes + 9));
      assert.equal(tail, 'textbytes');
      await asserted(() => assert.deepEqual(order, [0, 1, 2]));
      assert.equal(handle.writeQueueSize, 0);
      assert.equal(handle.writeLatin1String(null, 'again'), 0);
      await asserted(() => assert.equal(received, bytes + 14));
    });

    it('writes texts of every length whole', async () => {
      const { handle, peer } = await stage.accept();
      let received = '';
      peer.setEncoding('latin1').on('data', (chunk: string) => {
        received += chunk;
      });
      let sent = '';
      for (const length of [0, 1, 65_534, 65_535, 65_536, 65_537, 200_000]) {
        const text = 'abcdefg\xff'.repeat(Math.ceil(length / 8)).slice(0, length);
        sent += text;
        assert.equal(await stage.written(handle.writeLatin1String(null, text)), 0);
      }
      await asserted(() => assert.equal(received.length, sent.length));
      assert.equal(received, sent);
    });

    it('reads while it waits for room', async () => {
      const { handle, peer } = await stage.accept();
      const reader = new Reader(handle, tcp);
      handle.readStart();
      stage.fill(handle);
      peer.write('a word');
      await asserted(() => assert.equal(reader.text, 'a word'));
    });

    it('fails writes that wait when the peer resets', async () => {
      const { handle, peer } = await stage.accept();
      const { writes } = stage.fill(handle);
      const done = stage.written(writes[0]!);
      peer.resetAndDestroy();
      assert.ok((await done) < 0);
      await asserted(() => assert.equal(handle.writeQueueSize, 0));
    });

    it('reads a reset as one where writes wait, which fail of it too', async () => {
      const { handle, peer } = await stage.accept();
      const reader = new Reader(handle, tcp);
      handle.readStart();
      const { writes } = stage.fill(handle);
      const done = stage.written(writes[0]!);
      peer.resetAndDestroy();
      assert.ok((await done) < 0);
      await asserted(() => assert.equal(reader.end, ECONNRESET));
      assert.equal(reader.reads, 1);
    });

    for (const how of ['close', 'reset'] as const) {
      it(`cancels writes that wait at its ${how}, before it tells of that`, async () => {
        const { handle } = await stage.accept();
        const { writes } = stage.fill(handle);
        const more = handle.writeLatin1String(null, 'more') as PendingWrite;
        const told: (number | string)[] = [];
        for (const write of [...writes, more]) write.oncomplete = (status): void => void told.push(status);
        stage.handles.delete(handle);
        await new Promise<void>((resolve) => {
          handle[how](resolve);
          assert.deepEqual(told, [], 'never during the call');
        });
        assert.deepEqual(told, [ECANCELED, ECANCELED]);
        assert.ok(handle.fd < 0);
      });
    }
  });
}
