// Our handle of a connection and libuv's, over real sockets: both must do the same.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import process from 'node:process';
import { after, afterEach, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { loadPoller } from '../../../../src/proxy/wire/epoll/load-poller.ts';
import type {
  ListeningHandle,
  PendingWrite,
  SocketHandle,
} from '../../../../src/proxy/wire/socket-handle.ts';
import { loadTcpBinding, type TcpBinding } from '../../../../src/proxy/wire/tcp-binding.ts';
import { assertNoSocketLeft } from '../../../support/data-plane.ts';

const UV_EOF = -4095;
const ECONNRESET = -104;
const ECONNREFUSED = -111;
const ECANCELED = -125;

interface Internals {
  _createServerHandle(address: string, port: number, type: 4 | 6, fd: null, flags: number): ListeningHandle;
}
const { _createServerHandle: createServerHandle } = net as unknown as Internals;

const poller = loadPoller();

function kindsOf(): readonly (readonly [string, TcpBinding])[] {
  const libuv = loadTcpBinding(process, null);
  if (libuv === null) return [];
  const own = poller === null ? null : loadTcpBinding(process, poller);
  return own === null
    ? [["libuv's handle", libuv]]
    : [
        ["libuv's handle", libuv],
        ['a descriptor', own],
      ];
}

/** What is read of a handle, in order. */
class Reader {
  buffer: Buffer;
  text = '';
  /** Of the read that was not bytes. */
  end = 0;
  reads = 0;
  onRead: () => void = () => {};

  constructor(handle: SocketHandle, { state }: TcpBinding, bytes = 64 * 1024) {
    this.buffer = Buffer.alloc(bytes);
    handle.useUserBuffer(this.buffer);
    handle.onread = (): void => {
      const result = state[0]!;
      this.reads += 1;
      if (result > 0) this.text += this.buffer.latin1Slice(0, result);
      else this.end = result;
      this.onRead();
    };
  }
}

/** Resolves once nothing is wrong any more. */
async function asserted(check: () => void): Promise<void> {
  for (const endsAtMs = performance.now() + 5000; performance.now() < endsAtMs; await turn()) {
    try {
      return check();
    } catch {
      // Not yet.
    }
  }
  check();
}

for (const [kind, tcp] of kindsOf()) {
  describe(`${kind} of a connection`, () => {
    const handles = new Set<SocketHandle>();
    const peers = new Set<net.Socket>();

    afterEach(async () => {
      for (const handle of handles) handle.close();
      for (const peer of peers) peer.destroy();
      handles.clear();
      peers.clear();
      await assertNoSocketLeft();
    });

    after(() => assertNoSocketLeft());

    function closed(handle: SocketHandle): Promise<void> {
      handles.delete(handle);
      return new Promise((resolve) => handle.close(resolve));
    }

    /** An accepted connection, and the socket of its peer. */
    async function accept(host = '127.0.0.1'): Promise<{ handle: SocketHandle; peer: net.Socket }> {
      const listening = tcp.listening(createServerHandle(host, 0, net.isIPv6(host) ? 6 : 4, null, 0));
      const accepted = new Promise<SocketHandle>((resolve) => {
        listening.onconnection = (_status, client) => resolve(client);
      });
      assert.equal(listening.listen(16), 0);
      const name: { port?: number } = {};
      listening.getsockname(name);
      const peer = net.connect({ port: name.port!, host, noDelay: true, allowHalfOpen: true });
      peers.add(peer);
      peer.on('error', () => {});
      const handle = await accepted;
      listening.close();
      handles.add(handle);
      if (peer.connecting) await once(peer, 'connect');
      return { handle, peer };
    }

    /** A server whose only connection is the one that `connect` begins. */
    async function server(): Promise<{ port: number; peer: Promise<net.Socket> }> {
      const listening = net.createServer({ allowHalfOpen: true, noDelay: true });
      listening.listen(0, '127.0.0.1');
      await once(listening, 'listening');
      const { port } = listening.address() as net.AddressInfo;
      const peer = once(listening, 'connection').then(([socket]) => {
        listening.close();
        peers.add(socket as net.Socket);
        return socket as net.Socket;
      });
      return { port, peer };
    }

    function connect(port: number): { handle: SocketHandle; status: Promise<number> } {
      const handle = tcp.createHandle();
      handles.add(handle);
      const status = new Promise<number>((resolve) => {
        assert.equal(handle.connect(tcp.createConnect(resolve), '127.0.0.1', port), 0);
      });
      return { handle, status };
    }

    function written(write: number | PendingWrite): Promise<number> | number {
      if (typeof write === 'number') return write;
      if (typeof write.writeStatus === 'number') return write.writeStatus;
      return new Promise((resolve) => {
        write.oncomplete = resolve;
      });
    }

    /** Writes until the kernel takes no more at all. */
    function fill(handle: SocketHandle): { bytes: number; writes: PendingWrite[] } {
      const piece = Buffer.alloc(256 * 1024, 'x');
      for (let bytes = piece.length; ; bytes += piece.length) {
        const write = handle.writeBuffer(null, piece);
        if (typeof write !== 'number') return { bytes, writes: [write] };
        assert.equal(write, 0);
      }
    }

    it('reads in pieces of its buffer, and the end behind them', async () => {
      const { handle, peer } = await accept();
      const reader = new Reader(handle, tcp, 7);
      peer.end('0123456789'.repeat(10));
      assert.equal(handle.readStart(), 0);
      await asserted(() => assert.equal(reader.end, UV_EOF));
      assert.equal(reader.text, '0123456789'.repeat(10));
      assert.equal(handle.bytesRead, 100);
    });

    it('reads the end behind bytes that fill its buffer', async () => {
      const { handle, peer } = await accept();
      const reader = new Reader(handle, tcp, 10);
      peer.end('0123456789');
      handle.readStart();
      await asserted(() => assert.equal(reader.end, UV_EOF));
      assert.equal(reader.text, '0123456789');
    });

    it('reads bytes and an end that came while it was paused', async () => {
      const { handle, peer } = await accept();
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
      const { handle, peer } = await accept();
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
      const { handle, peer } = await accept();
      const reader = new Reader(handle, tcp);
      peer.write('last words');
      handle.readStart();
      await asserted(() => assert.equal(reader.text, 'last words'));
      peer.resetAndDestroy();
      await asserted(() => assert.equal(reader.end, ECONNRESET));
    });

    it('reads a reset that came while it was paused', async () => {
      const { handle, peer } = await accept();
      const reader = new Reader(handle, tcp);
      handle.readStart();
      handle.readStop();
      peer.resetAndDestroy();
      await once(peer, 'close');
      handle.readStart();
      await asserted(() => assert.equal(reader.end, ECONNRESET));
    });

    it('reads into another buffer from the next read on', async () => {
      const { handle, peer } = await accept();
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
      const { handle, peer } = await accept();
      const reader = new Reader(handle, tcp, 2);
      const gone = new Promise<void>((resolve) => {
        reader.onRead = (): void => {
          handles.delete(handle);
          handle.close(resolve);
        };
      });
      peer.write('0123456789');
      handle.readStart();
      await gone;
      assert.equal(reader.reads, 1);
    });

    it('tells nobody of a connection that another has closed just before', async () => {
      const pairs = [await accept(), await accept(), await accept()];
      const readers = pairs.map(({ handle }) => new Reader(handle, tcp));
      let told = 0;
      for (const reader of readers)
        reader.onRead = (): void => {
          told += 1;
          for (const { handle } of pairs) {
            handles.delete(handle);
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
      const first = await accept();
      const { fd } = first.handle;
      const old = new Reader(first.handle, tcp);
      first.peer.write('old');
      first.handle.readStart();
      await closed(first.handle);
      const { port, peer } = await server();
      const next = connect(port);
      const reader = new Reader(next.handle, tcp);
      assert.equal(await next.status, 0);
      next.handle.readStart();
      (await peer).write('new');
      await asserted(() => assert.equal(reader.text, 'new'));
      assert.ok(next.handle.fd >= 0 && fd >= 0);
      assert.equal(old.end, 0);
    });

    it('writes more than the kernel takes, in order, and tells of each write', async () => {
      const { handle, peer } = await accept();
      const { bytes, writes } = fill(handle);
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
      const { handle, peer } = await accept();
      let received = '';
      peer.setEncoding('latin1').on('data', (chunk: string) => {
        received += chunk;
      });
      let sent = '';
      for (const length of [0, 1, 65_534, 65_535, 65_536, 65_537, 200_000]) {
        const text = 'abcdefg\xff'.repeat(Math.ceil(length / 8)).slice(0, length);
        sent += text;
        assert.equal(await written(handle.writeLatin1String(null, text)), 0);
      }
      await asserted(() => assert.equal(received.length, sent.length));
      assert.equal(received, sent);
    });

    it('reads while it waits for room', async () => {
      const { handle, peer } = await accept();
      const reader = new Reader(handle, tcp);
      handle.readStart();
      fill(handle);
      peer.write('a word');
      await asserted(() => assert.equal(reader.text, 'a word'));
    });

    it('fails writes that wait when the peer resets', async () => {
      const { handle, peer } = await accept();
      const { writes } = fill(handle);
      const done = written(writes[0]!);
      peer.resetAndDestroy();
      assert.ok((await done) < 0);
      await asserted(() => assert.equal(handle.writeQueueSize, 0));
    });

    it('reads a reset as one where writes wait, which fail of it too', async () => {
      const { handle, peer } = await accept();
      const reader = new Reader(handle, tcp);
      handle.readStart();
      const { writes } = fill(handle);
      const done = written(writes[0]!);
      peer.resetAndDestroy();
      assert.ok((await done) < 0);
      await asserted(() => assert.equal(reader.end, ECONNRESET));
      assert.equal(reader.reads, 1);
    });

    for (const how of ['close', 'reset'] as const) {
      it(`cancels writes that wait at its ${how}, before it tells of that`, async () => {
        const { handle } = await accept();
        const { writes } = fill(handle);
        const more = handle.writeLatin1String(null, 'more') as PendingWrite;
        const told: (number | string)[] = [];
        for (const write of [...writes, more]) write.oncomplete = (status): void => void told.push(status);
        handles.delete(handle);
        await new Promise<void>((resolve) => {
          handle[how](resolve);
          assert.deepEqual(told, [], 'never during the call');
        });
        assert.deepEqual(told, [ECANCELED, ECANCELED]);
        assert.ok(handle.fd < 0);
      });
    }

    it('resets', async () => {
      const { handle, peer } = await accept();
      handles.delete(handle);
      const error = once(peer, 'error');
      peer.resume();
      await new Promise<void>((resolve) => void handle.reset(resolve));
      assert.equal(((await error)[0] as NodeJS.ErrnoException).code, 'ECONNRESET');
    });

    it('ends its side and reads on', async () => {
      const { handle, peer } = await accept();
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
      const { port, peer } = await server();
      const { handle, status } = connect(port);
      const reader = new Reader(handle, tcp);
      const first = written(handle.writeLatin1String(null, 'one '));
      const second = written(handle.writeBuffer(null, Buffer.from('two ')));
      assert.equal(handle.writeQueueSize, 8);
      assert.equal(await status, 0);
      const third = written(handle.writeLatin1String(null, 'three'));
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
      const { port, peer } = await server();
      const first = connect(port);
      await first.status;
      await peer;
      const { handle, status } = connect(port);
      assert.equal(await status, ECONNREFUSED);
      await closed(handle);
    });

    it('cancels a connect at its close, before it tells of that', async () => {
      const { port, peer } = await server();
      const { handle, status } = connect(port);
      const told: string[] = [];
      void status.then((code) => told.push(`connect ${code}`));
      await closed(handle).then(() => told.push('close'));
      assert.deepEqual(told, [`connect ${ECANCELED}`, 'close']);
      (await peer).destroy();
    });

    for (const host of ['127.0.0.1', '::1']) {
      it(`names both ends of a connection over ${host}`, async () => {
        const { handle, peer } = await accept(host);
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
      const { port, peer } = await server();
      const handle = tcp.createHandle();
      handles.add(handle);
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
      const { handle, peer } = await accept();
      const first = new Reader(handle, tcp, 2);
      first.onRead = (): void => void handle.readStop();
      peer.write('0123456789');
      handle.readStart();
      await asserted(() => assert.equal(first.text, '01'));
      handles.delete(handle);
      const own = tcp.toLibuv(handle);
      handles.add(own);
      const reader = new Reader(own, tcp);
      own.readStart();
      peer.end('!');
      await asserted(() => assert.equal(reader.end, UV_EOF));
      assert.equal(reader.text, '23456789!');
      assert.equal(first.text, '01');
    });
  });
}
