// A wire over real sockets, on descriptors, on libuv's handles and on `net`'s: all must show its owner the same.

import assert from 'node:assert/strict';
import { lookup } from 'node:dns';
import { once } from 'node:events';
import net from 'node:net';
import process from 'node:process';
import { after, afterEach, describe, it } from 'node:test';
import { Deadlines } from '../../../src/proxy/deadlines.ts';
import { BufferPool } from '../../../src/proxy/wire/buffer-pool.ts';
import { BurstShare } from '../../../src/proxy/wire/burst-share.ts';
import { loadPoller } from '../../../src/proxy/wire/epoll/load-poller.ts';
import { loadTls } from '../../../src/proxy/wire/epoll/tls.ts';
import { acceptedWire, connectingWire } from '../../../src/proxy/wire/open-wire.ts';
import { PassShare } from '../../../src/proxy/wire/pass-share.ts';
import { ReadMemory } from '../../../src/proxy/wire/read-memory.ts';
import type { SocketHandle } from '../../../src/proxy/wire/socket-handle.ts';
import { loadTcpBinding } from '../../../src/proxy/wire/tcp-binding.ts';
import { Turn } from '../../../src/proxy/wire/turn.ts';
import type { Wire, WireContext, WireOwner } from '../../../src/proxy/wire/wire.ts';
import { WriteBacklog } from '../../../src/proxy/wire/write-backlog.ts';
import { assertNoSocketLeft, eventually } from '../../support/data-plane.ts';
import { serverHandle } from '../../support/server-handle.ts';

const poller = loadPoller();
const binding = loadTcpBinding(process, null, null);

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Keeps what a wire tells, in order. */
class Owner implements WireOwner {
  readonly told: string[] = [];
  received = 0;
  first = '';
  error: NodeJS.ErrnoException | null = null;

  onBytes(buffer: Buffer, length: number): void {
    if (this.received === 0) this.first = buffer.latin1Slice(0, Math.min(length, 16));
    this.received += length;
  }

  onConnect(): void {
    this.told.push('connect');
  }

  onEnd(): void {
    this.told.push('end');
  }

  onDrain(): void {
    this.told.push('drain');
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    this.error = error;
    this.told.push('close');
  }
}

it('takes the handles of this Node, where the data plane is developed and measured', () => {
  assert.ok(binding !== null || Number.parseInt(process.versions.node, 10) < 26);
});

for (const [kind, tcp] of [
  ['a descriptor', poller === null ? null : loadTcpBinding(process, poller, loadTls())],
  ["libuv's handle", binding],
  ['a socket of net', null],
] as const) {
  describe(`a wire on ${kind}`, () => {
    const deadlines = new Deadlines(() => performance.now());
    const context: Writable<WireContext> = {
      turn: new Turn({ clock: () => performance.now(), defer: setImmediate }),
      share: new PassShare({ now: () => performance.now(), defer: setImmediate }),
      pool: new BufferPool(),
      deadlines,
      now: () => performance.now(),
      tcp,
      lookup,
      reads: new ReadMemory(),
    };
    const opened: { destroy(): void }[] = [];
    const servers: net.Server[] = [];

    afterEach(async () => {
      for (const one of opened.splice(0)) one.destroy();
      for (const server of servers.splice(0)) {
        server.close();
        await once(server, 'close');
      }
    });
    after(() => {
      deadlines.close();
      return assertNoSocketLeft();
    });

    async function listen(): Promise<{ server: net.Server; port: number }> {
      const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, '127.0.0.1');
      servers.push(server);
      server.on('connection', (socket) => opened.push(socket));
      await once(server, 'listening');
      return { server, port: (server.address() as net.AddressInfo).port };
    }

    /** A wire that has connected, its owner, and the socket at the other end. */
    async function connected(
      within: WireContext = context,
    ): Promise<{ wire: Wire; owner: Owner; peer: net.Socket }> {
      const { server, port } = await listen();
      const accepted = once(server, 'connection') as Promise<[net.Socket]>;
      const owner = new Owner();
      const wire = connectingWire('127.0.0.1', port, owner, within);
      const [peer] = await accepted;
      peer.on('error', () => {});
      opened.push(wire, peer);
      await eventually('the connect', () => owner.told.length > 0);
      assert.deepEqual(owner.told, ['connect']);
      return { wire, owner, peer };
    }

    async function receivedBy(peer: net.Socket, length: number): Promise<string> {
      const pieces: Buffer[] = [];
      let received = 0;
      peer.on('data', (bytes: Buffer) => {
        pieces.push(bytes);
        received += bytes.length;
      });
      peer.resume();
      await eventually('all of it', () => received >= length);
      return Buffer.concat(pieces).latin1Slice();
    }

    it('accepts a handle and reads what the peer has sent already', async () => {
      const socket = serverHandle('127.0.0.1');
      const listening = tcp === null ? socket : tcp.listening(socket);
      const accepted = new Promise<SocketHandle>((resolve) => {
        listening.onconnection = (_status, client) => resolve(client);
      });
      listening.listen(1);
      const bound: { port?: number } = {};
      listening.getsockname(bound);
      const peer = net.connect(bound.port!, '127.0.0.1');
      opened.push(peer, { destroy: () => listening.close() });
      peer.write('hello');
      const handle = await accepted;
      const owner = new Owner();
      const wire = acceptedWire(handle, owner, context);
      opened.push(wire);
      await eventually('the bytes', () => owner.received === 5);
      assert.equal(owner.first, 'hello');
      wire.text('answer');
      const [bytes] = (await once(peer, 'data')) as [Buffer];
      assert.equal(String(bytes), 'answer');
    });

    /** A wire that has had its share of a pass, with most of a mebibyte still to read, and the passes that are due. */
    async function restingAfterBulk(): Promise<{ wire: Wire; owner: Owner; passes: (() => void)[] }> {
      const passes: (() => void)[] = [];
      let nowMs = 0;
      // A millisecond for each large read: more than the share of a pass.
      const share = new PassShare({ now: () => ++nowMs, defer: (task) => passes.push(task) });
      const { wire, owner, peer } = await connected({ ...context, share });
      peer.write(Buffer.alloc(1024 * 1024, 'x'));
      await eventually('large reads', () => passes.length === 1 && wire.bytesRead > 65_536);
      return { wire, owner, passes };
    }

    /** Over two passes of the event loop. */
    async function assertReadsNothing(owner: Owner, sinceBytes: number): Promise<void> {
      await new Promise(setImmediate);
      await new Promise(setImmediate);
      assert.equal(owner.received, sinceBytes);
    }

    it('reads on in its turn where much waits, and not before', async () => {
      const { wire, owner, passes } = await restingAfterBulk();
      const read = owner.received;
      wire.pause();
      wire.resume();
      await assertReadsNothing(owner, read);
      while (owner.received < 1024 * 1024) {
        const before = owner.received;
        passes.splice(0).forEach((pass) => {
          pass();
        });
        await eventually('more', () => owner.received > before);
      }
    });

    it('stays paused by its owner when its turn comes', async () => {
      const { wire, owner, passes } = await restingAfterBulk();
      const read = owner.received;
      wire.pause();
      passes.splice(0)[0]!();
      await assertReadsNothing(owner, read);
      wire.resume();
      for (const pass of passes.splice(0)) pass();
      await eventually('more', () => owner.received > read);
    });

    it('waits for its turn too when its owner lets it go on while others have had the pass', async () => {
      const { wire, owner, passes } = await restingAfterBulk();
      while (passes.length > 0) passes.splice(0)[0]!();
      await eventually('its turn', () => passes.length === 1);
      // Its owner had enough after the first read of its turn, and wants more while the pass is used up.
      const read = owner.received;
      wire.pause();
      wire.resume();
      await assertReadsNothing(owner, read);
      passes.splice(0)[0]!();
      await eventually('more', () => owner.received > read);
    });

    it('writes text and bytes in the order they were queued', async () => {
      const { wire, peer } = await connected();
      let got = '';
      peer.setEncoding('latin1').on('data', (text: string) => {
        got += text;
      });
      peer.resume();
      const block = Buffer.alloc(300_000, 'b');
      wire.text('a');
      wire.bytes(block, 0, block.length);
      wire.text('c\xff');
      await eventually('all of it', () => got.length === block.length + 3);
      assert.equal(got, `a${'b'.repeat(block.length)}c\xff`);
    });

    for (const [what, text] of [
      ['short', 'new head;'],
      ['longer than the room before the read buffer', 'h'.repeat(6000)],
    ] as const)
      it(`writes a text that is ${what} before bytes that lie where they were read`, async () => {
        const { wire, peer } = await connected();
        const { first } = context.reads;
        first.fill('o', 0, 20).fill('b', 20);
        wire.text(text);
        wire.bytes(first, 20, first.length);
        wire.text('end');
        first.fill('x');
        assert.equal(
          await receivedBy(peer, text.length + first.length - 17),
          `${text}${'b'.repeat(first.length - 20)}end`,
        );
      });

    it('keeps what the kernel does not take of bytes that are overwritten by the next read', async () => {
      const { wire, peer } = await connected();
      const { first } = context.reads;
      const rest = first.length - 10;
      let expected = '';
      for (let round = 0; !wire.congested || round % 8 !== 0; round += 1) {
        const letter = String.fromCharCode(97 + (round % 26));
        first.fill(letter);
        wire.text(`<${round}>`);
        wire.bytes(first, 10, first.length);
        expected += `<${round}>${letter.repeat(rest)}`;
      }
      first.fill('x');
      const got = await receivedBy(peer, expected.length);
      assert.ok(got === expected);
    });

    it('tells of a peer that has gone while bytes are written', async () => {
      const { wire, owner, peer } = await connected();
      peer.resetAndDestroy();
      await once(peer, 'close');
      const { first } = context.reads;
      // Where the reset has not been read yet, the write meets it.
      for (let round = 0; round < 3 && !wire.closed; round += 1) wire.bytes(first, 0, first.length);
      await eventually('the close', () => owner.told.includes('close'));
      assert.ok(['ECONNRESET', 'EPIPE'].includes(owner.error?.code ?? ''), String(owner.error));
    });

    for (const [what, act, sent] of [
      ['sends what an earlier event has written before it is closed', ['write', 'destroy'], 'written'],
      ['sends what an earlier event has written before it is reset', ['write', 'reset'], 'written'],
      ['sends it with the event that brings the end of the stream', ['write', 'end'], 'written'],
      ['drops what the event has written that closes it', ['write and destroy'], ''],
    ] as const)
      it(what, async () => {
        // Its pass never ends: what leaves does not wait for that.
        const turn = new Turn({ clock: () => 0, defer: () => {} });
        const { wire, peer } = await connected({ ...context, turn });
        let got = '';
        peer.on('data', (bytes: Buffer) => {
          got += String(bytes);
        });
        for (const event of act) {
          turn.enter();
          if (event.startsWith('write')) wire.text('written');
          if (event.endsWith('destroy')) wire.destroy();
          if (event === 'reset') wire.reset();
          if (event === 'end') wire.end();
          turn.leave();
          assert.equal(got, '');
        }
        const over = new Promise((resolve) => peer.once('end', resolve).once('error', resolve).resume());
        await over;
        assert.equal(got, sent);
      });

    it('is closed when it is reset while its end is on its way', async () => {
      const { wire, owner, peer } = await connected();
      const got = receivedBy(peer, 7);
      wire.text('written');
      wire.end();
      wire.flush();
      wire.reset();
      await eventually('the close', () => owner.told.includes('close'));
      assert.equal(await got, 'written');
    });

    it('is congested while the peer does not read, and tells when it has', async () => {
      const { wire, owner, peer } = await connected();
      const block = Buffer.alloc(1 << 20, 'x');
      let sent = 0;
      while (!wire.congested) {
        wire.bytes(block, 0, block.length);
        sent += block.length;
      }
      assert.ok(wire.pendingBytes > 0);
      let read = 0;
      peer.on('data', (bytes: Buffer) => {
        read += bytes.length;
      });
      peer.resume();
      await eventually('the drain', () => owner.told.includes('drain'));
      assert.equal(wire.congested, false);
      await eventually('all of it', () => read === sent);
      assert.equal(wire.pendingBytes, 0);
    });

    if (tcp !== null) {
      it('tells of peers that leave together in turns, of each once, and reads nothing meanwhile', async () => {
        const plain = context.tcp;
        const passes: (() => void)[] = [];
        context.tcp = { ...tcp, ends: new BurstShare((task) => passes.push(task)) };
        try {
          const all: Awaited<ReturnType<typeof connected>>[] = [];
          for (let index = 0; index < 40; index += 1) all.push(await connected());
          for (const { peer } of all.slice(0, 20)) peer.resetAndDestroy();
          for (const { peer } of all.slice(20)) peer.end();
          const ended = (): number => all.filter(({ owner }) => owner.told.length > 1).length;
          await eventually('the first', () => passes.length === 1 && ended() > 0);
          for (const { wire } of all) {
            wire.pause();
            wire.resume();
          }
          for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
          const before = ended();
          assert.ok(before < 40, `${before}`);
          while (passes.length > 0) passes.splice(0)[0]!();
          await eventually('all', () => ended() === 40);
          const told = all.map(({ owner }) => owner.told.join());
          assert.deepEqual(told.slice(0, 20), Array(20).fill('connect,close'));
          assert.deepEqual(told.slice(20), Array(20).fill('connect,end'));
          assert.ok(all.slice(0, 20).every(({ owner }) => owner.error?.code === 'ECONNRESET'));
        } finally {
          context.tcp = plain;
        }
      });

      it('reads in larger pieces while what it reads leaves at once, and in small ones when it has to wait', async () => {
        const sink = await connected();
        const source = await connected();
        const lengths: number[] = [];
        let goesOn = true;
        source.owner.onBytes = (buffer, length) => {
          lengths.push(length);
          if (goesOn) sink.wire.bytes(buffer, 0, length);
        };
        sink.peer.resume();
        const megabyte = Buffer.alloc(1 << 20, 'x');
        const send = async (): Promise<number> => {
          lengths.length = 0;
          const before = source.wire.bytesRead;
          source.peer.write(megabyte);
          await eventually('a megabyte', () => source.wire.bytesRead === before + megabyte.length);
          return Math.max(...lengths);
        };
        await send();
        assert.ok(
          lengths.slice(0, 4).every((length) => length <= 65_536),
          `${lengths}`,
        );
        assert.ok((await send()) > 65_536, `${lengths}`);
        goesOn = false;
        await send();
        assert.ok((await send()) <= 65_536, `${lengths}`);
      });

      it('keeps what a peer sends at once while the pass is used up, and tells of it in its turn', async () => {
        const passes: (() => void)[] = [];
        let nowMs = 0;
        const share = new PassShare({ now: () => ++nowMs, defer: (task) => passes.push(task) });
        const { wire, owner, peer } = await connected({ ...context, share });
        share.mayGoOn(1);
        assert.ok(share.isUsedUp);
        peer.end(Buffer.from(`first ${'x'.repeat(40_000)}`));
        await eventually('the bytes', () => wire.bytesRead === 40_006);
        for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
        assert.equal(owner.received, 0);
        // Paused and resumed it still waits, and does not read the end before what it keeps.
        wire.pause();
        wire.resume();
        while (passes.length > 0) passes.splice(0)[0]!();
        await eventually('the end', () => owner.told.includes('end'));
        assert.equal(owner.received, 40_006);
        assert.equal(owner.first, `first ${'x'.repeat(10)}`);
      });

      it('reads on where its owner stops and goes on while it is told of what was kept', async () => {
        const passes: (() => void)[] = [];
        let nowMs = 0;
        let stepMs = 1;
        const now = (): number => {
          nowMs += stepMs;
          return nowMs;
        };
        const share = new PassShare({ now, defer: (task) => passes.push(task) });
        const { wire, owner, peer } = await connected({ ...context, share });
        share.mayGoOn(1);
        peer.write(Buffer.alloc(40_000, 'x'));
        await eventually('the bytes', () => wire.bytesRead === 40_000);
        assert.equal(owner.received, 0);
        // As with the end of an answer, behind a piece that its client did not take at once.
        const { onBytes } = owner;
        owner.onBytes = (buffer, length) => {
          onBytes.call(owner, buffer, length);
          wire.pause();
          wire.resume();
        };
        stepMs = 0;
        while (passes.length > 0) passes.splice(0)[0]!();
        assert.equal(owner.received, 40_000);
        assert.equal(wire.closed, false);
        peer.end('more');
        await eventually('the end', () => owner.told.includes('end'));
        assert.equal(owner.received, 40_004);
      });

      it('keeps no more than a buffer holds of what another has read before it', async () => {
        let nowMs = 0;
        const share = new PassShare({ now: () => ++nowMs, defer: () => {} });
        const { wire, owner } = await connected({ ...context, share });
        share.mayGoOn(1);
        // A ClientHello of 16 KiB but for its last byte, and one read more.
        const early = Buffer.alloc(16_383 + 65_536, 'x');
        wire.receive(early, early.length);
        assert.equal(owner.received, early.length);
      });

      it('gives back what it keeps when it is closed meanwhile', async () => {
        const passes: (() => void)[] = [];
        let nowMs = 0;
        const share = new PassShare({ now: () => ++nowMs, defer: (task) => passes.push(task) });
        const { wire, owner, peer } = await connected({ ...context, share });
        share.mayGoOn(1);
        const mine = context.pool.take();
        context.pool.give(mine);
        peer.write(Buffer.alloc(40_000, 'x'));
        await eventually('the bytes', () => wire.bytesRead === 40_000);
        assert.notEqual(context.pool.take(), mine, 'it is in use');
        wire.destroy();
        assert.equal(context.pool.take(), mine);
        await eventually('the close', () => owner.told.includes('close'));
        while (passes.length > 0) passes.splice(0)[0]!();
        assert.equal(owner.received, 0);
      });

      it('holds less for each slow peer once all of them together hold much, and lets go of all', async () => {
        const plenty = context.tcp;
        const backlog = new WriteBacklog(1 << 20);
        context.tcp = { ...tcp, backlog };
        try {
          const block = Buffer.alloc(1 << 15, 'x');
          const held: number[] = [];
          for (let slow = 0; slow < 6; slow++) {
            const { wire } = await connected();
            while (!wire.congested) wire.bytes(block, 0, block.length);
            held.push(wire.pendingBytes);
          }
          assert.ok(held[0]! >= 256 * 1024, `${held}`);
          assert.ok(held[5]! > 0 && held[5]! <= block.length, `${held}`);
          assert.ok(backlog.bytes >= 1 << 20);
          for (const one of opened) one.destroy();
          assert.equal(backlog.bytes, 0);
        } finally {
          context.tcp = plenty;
        }
      });
    }

    it('reads nothing while it is paused, not even the end', async () => {
      const { wire, owner, peer } = await connected();
      wire.pause();
      peer.end('late');
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(owner.received, 0);
      wire.resume();
      await eventually('the end', () => owner.told.includes('end'));
      assert.equal(owner.first, 'late');
    });

    it('writes on after the end of the peer, and closes when both sides have ended', async () => {
      const { wire, owner, peer } = await connected();
      peer.end();
      await eventually('the end', () => owner.told.includes('end'));
      let got = '';
      peer.setEncoding('latin1').on('data', (text: string) => {
        got += text;
      });
      peer.resume();
      wire.text('last words');
      wire.end();
      await eventually('the close', () => owner.told.includes('close'));
      assert.deepEqual([owner.told, owner.error], [['connect', 'end', 'close'], null]);
      await eventually('the words', () => got === 'last words');
    });

    it('sends all that is queued before its end, however slowly the peer reads', async () => {
      const { wire, peer } = await connected();
      const block = Buffer.alloc(8 << 20, 'x');
      wire.bytes(block, 0, block.length);
      wire.end();
      let got = 0;
      peer.on('data', (bytes: Buffer) => {
        got += bytes.length;
      });
      peer.resume();
      await once(peer, 'end');
      assert.equal(got, block.length);
    });

    it('resets: what is cut cannot pass for complete, even when an end was queued behind it', async () => {
      const { wire, owner, peer } = await connected();
      const block = Buffer.alloc(8 << 20, 'x');
      wire.bytes(block, 0, block.length);
      wire.end();
      wire.reset();
      const failed = once(peer, 'error') as Promise<[NodeJS.ErrnoException]>;
      peer.resume();
      const [error] = await failed;
      assert.equal(error.code, 'ECONNRESET');
      await eventually('the close', () => owner.told.includes('close'));
    });

    it('tells of a reset by the peer with its code, once', async () => {
      const { owner, peer } = await connected();
      peer.resetAndDestroy();
      await eventually('the close', () => owner.told.includes('close'));
      assert.equal(owner.error?.code, 'ECONNRESET');
      assert.equal(owner.told.filter((what) => what === 'close').length, 1);
    });

    it('tells of a refused connect by its close', async () => {
      const { server, port } = await listen();
      server.close();
      await once(server, 'close');
      servers.length = 0;
      const owner = new Owner();
      opened.push(connectingWire('127.0.0.1', port, owner, context));
      await eventually('the close', () => owner.told.length > 0);
      assert.deepEqual(owner.told, ['close']);
      assert.equal(owner.error?.code, 'ECONNREFUSED');
    });

    it('connects to a name', async () => {
      const { server, port } = await listen();
      const accepted = once(server, 'connection') as Promise<[net.Socket]>;
      const owner = new Owner();
      opened.push(connectingWire('localhost', port, owner, context));
      const [peer] = await accepted;
      opened.push(peer);
      await eventually('the connect', () => owner.told.includes('connect'));
    });

    it('lets go of a connect that nobody waits for', async () => {
      const { port } = await listen();
      const owner = new Owner();
      connectingWire('127.0.0.1', port, owner, context).destroy();
      await eventually('the close', () => owner.told.includes('close'));
      assert.deepEqual(owner.told, ['close']);
    });
  });
}
