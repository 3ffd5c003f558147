// Listening sockets of worker slots: shared among our own, with nobody else, and all or none of a configuration.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { ListenAddress } from '../../src/model/messages.ts';
import { BindError, type BoundHandle, boundPort, Sockets } from '../../src/supervisor/sockets.ts';
import { freePort } from '../support/free-port.ts';

const address = (name: string, port = 0, host = '127.0.0.1'): ListenAddress => ({
  name,
  host,
  port,
  protocol: 'http',
});

/** Accepts on the handle, as a worker does with its copy; resolves for each connection. */
function accept(handle: BoundHandle, onConnection: () => void): void {
  const listening = handle as BoundHandle & {
    onconnection: (status: number, client: { close(): void }) => void;
    listen(backlog: number): number;
  };
  listening.onconnection = (_status, client) => {
    client.close();
    onConnection();
  };
  assert.equal(listening.listen(16), 0);
}

async function connects(port: number, host = '127.0.0.1'): Promise<boolean> {
  const socket = net.connect({ port, host });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    // Refused: what the caller asks.
    return false;
  } finally {
    socket.destroy();
  }
}

describe('sockets', () => {
  let sockets: Sockets;
  beforeEach(() => {
    sockets = new Sockets();
  });
  afterEach(() => sockets.close());

  it('gives each slot a socket of its own at the same port', () => {
    const [handles] = [...sockets.bind([address('web')], 3).values()];
    assert.equal(new Set(handles).size, 3);
    assert.equal(new Set(handles!.map(boundPort)).size, 1);
    assert.ok(boundPort(handles![0]!) > 0);
  });

  it('gives the same sockets again, and more when there are more slots', () => {
    const before = sockets.bind([address('web')], 2).get('web')!;
    const after = sockets.bind([address('web'), address('second', 0, '127.0.0.2')], 4).get('web')!;
    assert.equal(after[0], before[0]);
    assert.equal(after[1], before[1]);
    assert.equal(after.length, 4);
    assert.equal(new Set(after.map(boundPort)).size, 1);
  });

  it('spreads connections over all slots that accept', async () => {
    const handles = sockets.bind([address('web')], 2).get('web')!;
    const accepted = [0, 0];
    const all = Promise.withResolvers<void>();
    for (const [slot, handle] of handles.entries()) {
      accept(handle, () => {
        accepted[slot]! += 1;
        if (accepted[0]! + accepted[1]! === 64) all.resolve();
      });
    }
    for (let count = 0; count < 64; count += 1) assert.ok(await connects(boundPort(handles[0]!)));
    await all.promise;
    assert.ok(
      accepted.every((count) => count > 8),
      `${accepted}`,
    );
  });

  it('accepts no connection for nobody when there are fewer slots than before', async () => {
    const [first, second] = sockets.bind([address('web')], 2).get('web')! as [BoundHandle, BoundHandle];
    const port = boundPort(first);
    let accepted = 0;
    accept(first, () => {
      accepted += 1;
    });
    accept(second, () => {});
    sockets.bind([address('web')], 1);
    sockets.closeOthers([address('web')], 1);
    for (let count = 1; count <= 20; count += 1) {
      assert.ok(await connects(port));
      while (accepted < count) await new Promise((resolve) => setImmediate(resolve));
    }
  });

  it('refuses an address where somebody else listens, even one that would share it', async () => {
    for (const reusePort of [false, true]) {
      const other = net.createServer().listen({ host: '127.0.0.1', port: 0, reusePort });
      await once(other, 'listening');
      const { port } = other.address() as net.AddressInfo;
      assert.throws(
        () => sockets.bind([address('web'), address('taken', port)], 2),
        (error) =>
          error instanceof BindError &&
          error.listener === 'taken' &&
          error.message.startsWith(`127.0.0.1:${port}: EADDRINUSE`),
      );
      other.close();
      await once(other, 'close');
    }
  });

  it('says what is wrong with an address that this machine has not', () => {
    assert.throws(() => sockets.bind([address('far', 0, '192.0.2.1')], 1), /192\.0\.2\.1:0: EADDRNOTAVAIL/);
  });

  it('binds nothing new when one of the addresses cannot be bound, and keeps what was there', async () => {
    const probe = net.createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as net.AddressInfo;
    probe.close();
    await once(probe, 'close');
    const before = sockets.bind([address('web')], 1).get('web')!;
    assert.throws(() =>
      sockets.bind([address('web'), address('new', port), address('far', 0, '192.0.2.1')], 1),
    );
    const free = net.createServer().listen(port, '127.0.0.1');
    await once(free, 'listening');
    free.close();
    await once(free, 'close');
    assert.deepEqual(sockets.bind([address('web')], 1).get('web'), before);
  });

  it('frees the addresses that are no longer configured', async () => {
    const handles = sockets.bind([address('web'), address('old', 0, '127.0.0.2')], 1);
    const port = boundPort(handles.get('old')![0]!);
    accept(handles.get('old')![0]!, () => {});
    assert.equal(await connects(port, '127.0.0.2'), true);
    sockets.closeOthers([address('web')], 1);
    assert.equal(await connects(port, '127.0.0.2'), false);
  });

  for (const [from, to] of [
    ['127.0.0.1', '0.0.0.0'],
    ['0.0.0.0', '127.0.0.1'],
    ['0.0.0.0', '::'],
    ['::', '0.0.0.0'],
  ] as const) {
    it(`moves a listener from ${from} to ${to} on the same port, and refuses nobody meanwhile`, async () => {
      const port = await freePort();
      const before = sockets.bind([address('web', port, from)], 2).get('web')!;
      for (const handle of before) accept(handle, () => {});
      assert.equal(await connects(port), true);
      const wanted = [address('web', port, to)];
      for (const handle of sockets.bind(wanted, 2).get('web')!) accept(handle, () => {});
      assert.equal(await connects(port), true);
      sockets.closeOthers(wanted, 2);
      assert.equal(await connects(port), true);
      sockets.closeOthers([], 2);
      assert.equal(await connects(port), false);
    });
  }

  it('keeps two listeners apart that both ask for any port', () => {
    const handles = sockets.bind([address('web'), address('git')], 1);
    assert.notEqual(boundPort(handles.get('web')![0]!), boundPort(handles.get('git')![0]!));
  });
});
