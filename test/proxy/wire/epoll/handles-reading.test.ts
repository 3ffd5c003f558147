// What a handle reads, ours and libuv's, over real sockets: both must do the same.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { assertNoSocketLeft } from '../../../support/data-plane.ts';
import { asserted, ECONNRESET, HandleStage, kindsOf, Reader, UV_EOF } from './handle-stage.ts';

for (const [kind, tcp] of kindsOf()) {
  describe(`${kind} of a connection that reads`, () => {
    const stage = new HandleStage(tcp);

    afterEach(() => stage.clear());
    after(() => assertNoSocketLeft());

    it('reads in pieces of its buffer, and the end behind them', async () => {
      const { handle, peer } = await stage.accept();
      const reader = new Reader(handle, tcp, 7);
      peer.end('0123456789'.repeat(10));
      assert.equal(handle.readStart(), 0);
      await asserted(() => assert.equal(reader.end, UV_EOF));
      assert.equal(reader.text, '0123456789'.repeat(10));
      assert.equal(handle.bytesRead, 100);
    });

    it('reads the end behind bytes that fill its buffer', async () => {
      const { handle, peer } = await stage.accept();
      const reader = new Reader(handle, tcp, 10);
      peer.end('0123456789');
      handle.readStart();
      await asserted(() => assert.equal(reader.end, UV_EOF));
      assert.equal(reader.text, '0123456789');
    });

    it('reads bytes and an end that came while it was paused', async () => {
      const { handle, peer } = await stage.accept();
      const reader = new Reader(handle, tcp, 4);
      reader.onRead = (): void => {
        if (reader.text === '0123') handle.readStop();
      };
      handle.readStart();
      peer.end('0123456789');
      await asserted(() => assert.equal(reader.text, '0123'));
      await asserted(() => assert.ok(peer.writableFinished));
      assert.equal(reader.reads, 1);
      assert.equal(handle.readStart(), 0);
      assert.equal(reader.reads, 1, 'never during the call');
      await asserted(() => assert.equal(reader.end, UV_EOF));
      assert.equal(reader.text, '0123456789');
    });

    it('reads on when it is paused and resumed within a read', async () => {
      const { handle, peer } = await stage.accept();
      const reader = new Reader(handle, tcp, 3);
      reader.onRead = (): void => {
        if (reader.end !== 0) return;
        handle.readStop();
        handle.readStart();
      };
      handle.readStart();
      peer.end('0123456789');
      await asserted(() => assert.equal(reader.end, UV_EOF));
      assert.equal(reader.text, '0123456789');
    });

    it('reads what came before a reset, and then the reset', async () => {
      const { handle, peer } = await stage.accept();
      const reader = new Reader(handle, tcp);
      peer.write('last words');
      handle.readStart();
      await asserted(() => assert.equal(reader.text, 'last words'));
      peer.resetAndDestroy();
      await asserted(() => assert.equal(reader.end, ECONNRESET));
    });

    it('reads a reset that came while it was paused', async () => {
      const { handle, peer } = await stage.accept();
      const reader = new Reader(handle, tcp);
      handle.readStart();
      handle.readStop();
      peer.resetAndDestroy();
      await once(peer, 'close');
      handle.readStart();
      await asserted(() => assert.equal(reader.end, ECONNRESET));
    });

    it('reads into another buffer from the next read on', async () => {
      const { handle, peer } = await stage.accept();
      const reader = new Reader(handle, tcp, 4);
      const first = reader.buffer;
      reader.onRead = (): void => {
        reader.buffer = other;
        handle.useUserBuffer(other);
      };
      const other = Buffer.alloc(16);
      peer.write('0123456789');
      handle.readStart();
      await asserted(() => assert.equal(reader.text, '0123456789'));
      assert.equal(first.latin1Slice(), '0123');
      assert.equal(other.latin1Slice(0, 6), '456789');
    });

    it('reads nothing more once it is closed within a read', async () => {
      const { handle, peer } = await stage.accept();
      const reader = new Reader(handle, tcp, 2);
      const gone = new Promise<void>((resolve) => {
        reader.onRead = (): void => {
          stage.handles.delete(handle);
          handle.close(resolve);
        };
      });
      peer.write('0123456789');
      handle.readStart();
      await gone;
      assert.equal(reader.reads, 1);
    });

    it('tells nobody of a connection that another has closed just before', async () => {
      const pairs = [await stage.accept(), await stage.accept(), await stage.accept()];
      const readers = pairs.map(({ handle }) => new Reader(handle, tcp));
      let told = 0;
      for (const reader of readers)
        reader.onRead = (): void => {
          told += 1;
          for (const { handle } of pairs) {
            stage.handles.delete(handle);
            handle.close();
          }
        };
      for (const { peer } of pairs) peer.write('x');
      for (const { handle } of pairs) handle.readStart();
      await asserted(() => assert.ok(told > 0));
      for (let turns = 0; turns < 3; turns += 1) await turn();
      assert.equal(told, 1);
    });

    it('keeps apart a connection and the next one with its descriptor', async () => {
      const first = await stage.accept();
      const { fd } = first.handle;
      const old = new Reader(first.handle, tcp);
      first.peer.write('old');
      first.handle.readStart();
      await stage.closed(first.handle);
      const { port, peer } = await stage.server();
      const next = stage.connect(port);
      const reader = new Reader(next.handle, tcp);
      assert.equal(await next.status, 0);
      next.handle.readStart();
      (await peer).write('new');
      await asserted(() => assert.equal(reader.text, 'new'));
      assert.ok(next.handle.fd >= 0 && fd >= 0);
      assert.equal(old.end, 0);
    });
  });
}
