// How a connection begins and ends, its names and its options, by our handle and by libuv's: both must do the same.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, describe, it } from 'node:test';
import { assertNoSocketLeft } from '../../../support/data-plane.ts';
import { asserted, ECANCELED, ECONNREFUSED, HandleStage, kindsOf, Reader, UV_EOF } from './handle-stage.ts';

for (const [kind, tcp] of kindsOf()) {
  describe(`${kind} of a connection`, () => {
    const stage = new HandleStage(tcp);

    afterEach(() => stage.clear());
    after(() => assertNoSocketLeft());

    it('resets', async () => {
      const { handle, peer } = await stage.accept();
      stage.handles.delete(handle);
      const error = once(peer, 'error');
      peer.resume();
      await new Promise<void>((resolve) => void handle.reset(resolve));
      assert.equal(((await error)[0] as NodeJS.ErrnoException).code, 'ECONNRESET');
    });

    it('ends its side and reads on', async () => {
      const { handle, peer } = await stage.accept();
      const reader = new Reader(handle, tcp);
      handle.readStart();
      handle.writeLatin1String(null, 'bye');
      let heard = '';
      peer.setEncoding('latin1').on('data', (chunk: string) => {
        heard += chunk;
      });
      const ended = once(peer, 'end');
      const status = await new Promise<number>((resolve) => {
        const now = handle.shutdown(tcp.createShutdown(handle, resolve));
        if (now !== 0) resolve(now);
      });
      assert.ok(status === 0 || status === 1);
      await ended;
      assert.equal(heard, 'bye');
      peer.end('so long');
      await asserted(() => assert.equal(reader.end, UV_EOF));
      assert.equal(reader.text, 'so long');
    });

    it('connects, and writes first what was written before that', async () => {
      const { port, peer } = await stage.server();
      const { handle, status } = stage.connect(port);
      const reader = new Reader(handle, tcp);
      const first = stage.written(handle.writeLatin1String(null, 'one '));
      const second = stage.written(handle.writeBuffer(null, Buffer.from('two ')));
      assert.equal(handle.writeQueueSize, 8);
      assert.equal(await status, 0);
      const third = stage.written(handle.writeLatin1String(null, 'three'));
      assert.deepEqual([await first, await second, await third], [0, 0, 0]);
      handle.readStart();
      const socket = await peer;
      let heard = '';
      socket.setEncoding('latin1').on('data', (chunk: string) => {
        heard += chunk;
      });
      await asserted(() => assert.equal(heard, 'one two three'));
      socket.end('answer');
      await asserted(() => assert.equal(reader.end, UV_EOF));
      assert.equal(reader.text, 'answer');
    });

    it('says that a connect was refused', async () => {
      const { port, peer } = await stage.server();
      const first = stage.connect(port);
      await first.status;
      await peer;
      const { handle, status } = stage.connect(port);
      assert.equal(await status, ECONNREFUSED);
      await stage.closed(handle);
    });

    it('cancels a connect at its close, before it tells of that', async () => {
      const { port, peer } = await stage.server();
      const { handle, status } = stage.connect(port);
      const told: string[] = [];
      void status.then((code) => told.push(`connect ${code}`));
      await stage.closed(handle).then(() => told.push('close'));
      assert.deepEqual(told, [`connect ${ECANCELED}`, 'close']);
      (await peer).destroy();
    });

    for (const host of ['127.0.0.1', '::1']) {
      it(`names both ends of a connection over ${host}`, async () => {
        const { handle, peer } = await stage.accept(host);
        const own: { address?: string; port?: number } = {};
        const other: { address?: string; port?: number } = {};
        assert.equal(handle.getsockname(own), 0);
        assert.equal(handle.getpeername(other), 0);
        assert.deepEqual([own.address, own.port], [host, peer.remotePort]);
        assert.deepEqual([other.address, other.port], [host, peer.localPort]);
        if (handle.peerName !== undefined)
          assert.deepEqual([handle.peerName.address, handle.peerName.port], [host, peer.localPort]);
      });
    }

    it('takes options before it connects and after', async () => {
      const { port, peer } = await stage.server();
      const handle = tcp.createHandle();
      stage.handles.add(handle);
      assert.equal(handle.setNoDelay(true), 0);
      const status = await new Promise<number>((resolve) => {
        assert.equal(handle.connect(tcp.createConnect(resolve), '127.0.0.1', port), 0);
      });
      assert.equal(status, 0);
      assert.equal(handle.setNoDelay(false), 0);
      assert.equal(handle.setKeepAlive(true, 30), 0);
      assert.equal(handle.setKeepAlive(true, 1, 1, 4), 0);
      assert.equal(handle.setKeepAlive(false, 0), 0);
      (await peer).destroy();
    });

    it('becomes one of libuv, with all that has come and was not read', async () => {
      const { handle, peer } = await stage.accept();
      const first = new Reader(handle, tcp, 2);
      first.onRead = (): void => void handle.readStop();
      peer.write('0123456789');
      handle.readStart();
      await asserted(() => assert.equal(first.text, '01'));
      stage.handles.delete(handle);
      const own = tcp.toLibuv(handle);
      stage.handles.add(own);
      const reader = new Reader(own, tcp);
      own.readStart();
      peer.end('!');
      await asserted(() => assert.equal(reader.end, UV_EOF));
      assert.equal(reader.text, '23456789!');
      assert.equal(first.text, '01');
    });
  });
}
