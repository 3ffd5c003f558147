// Which sockets are found in the kernel's table, and what their rows say, against a simple reader and real sockets.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, it } from 'node:test';
import {
  findSockets,
  type SocketEnds,
  type SocketState,
  want,
  wantNothing,
} from '../../../src/proxy/upstream/socket-rows.ts';
import { readProcSockets, SocketTable } from '../../../src/proxy/upstream/socket-table.ts';
import { type SocketRow, socketRow, socketTable } from '../../support/socket-rows.ts';

const ENDS = {
  localAddress: '10.240.0.1',
  localPort: 40_000,
  remoteAddress: '10.240.0.12',
  remotePort: 30_080,
};
const KEY = '0100F00A:9C40 0C00F00A:7580';

function find(
  table: Buffer,
  sockets: readonly SocketEnds[],
  sliceBytes = table.length,
): Map<SocketEnds, SocketState> {
  const wanted = { ipv4: wantNothing(), ipv6: wantNothing() };
  for (const socket of sockets) want(socket, wanted);
  const found = new Map<SocketEnds, SocketState>();
  for (const family of [wanted.ipv4, wanted.ipv6])
    for (let at = 0; at < table.length; ) {
      const next = findSockets(table, at, at + sliceBytes, family, found);
      assert.ok(next > at, 'a slice goes on');
      at = next;
    }
  return found;
}

describe('rows of the table of sockets', () => {
  it('tell what is not acknowledged, how often it was sent again, and which timer runs', () => {
    const table = socketTable({ ends: KEY, queuedBytes: 78, retransmits: 2 });
    assert.deepEqual(find(table, [ENDS]).get(ENDS), {
      queuedBytes: 78,
      retransmits: 2,
      awaitsAcknowledgement: true,
    });
    const probing = socketTable({ ends: KEY, queuedBytes: 78, timer: '04' });
    assert.equal(find(probing, [ENDS]).get(ENDS)?.awaitsAcknowledgement, false);
  });
  it('belong to a socket only when both ends are its own and it is established', () => {
    assert.equal(find(socketTable({ ends: KEY, state: '06' }), [ENDS]).size, 0);
    for (const other of [
      { localAddress: '10.240.0.2' },
      { localPort: 40_001 },
      { remoteAddress: '10.240.0.13' },
      { remotePort: 30_081 },
    ])
      assert.equal(find(socketTable({ ends: KEY }), [{ ...ENDS, ...other }]).size, 0, JSON.stringify(other));
    assert.equal(find(socketTable({ ends: KEY }), [{ localPort: 40_000 }]).size, 0, 'not connected');
    assert.equal(find(socketTable(), [ENDS]).size, 0);
    assert.equal(find(Buffer.alloc(0), [ENDS]).size, 0);
  });
  it('name IPv6 addresses, short, long, with a zone and with an IPv4 one inside', () => {
    const remote = 'B80D0120000000000000000001000000';
    const table = socketTable(
      { ends: `00000000000000000000000001000000:9C40 ${remote}:7580` },
      { ends: '0000000000000000FFFF00000100F00A:9C40 0000000000000000FFFF00000C00F00A:7580' },
      { ends: '000080FE000000000000000001000000:9C40 000080FE000000000000000002000000:7580' },
    );
    for (const [localAddress, remoteAddress] of [
      ['::1', '2001:db8::1'],
      ['0:0:0:0:0:0:0:1', '2001:0db8:0:0:0:0:0:1'],
      ['::ffff:10.240.0.1', '::ffff:10.240.0.12'],
      ['fe80::1%eth0', 'fe80::2%eth0'],
    ] as const)
      assert.equal(find(table, [{ ...ENDS, localAddress, remoteAddress }]).size, 1, remoteAddress);
  });
  it('are the same however the table is cut into slices', () => {
    const ipv6 = '0000000000000000FFFF00000100F00A:9C40 0000000000000000FFFF00000C00F00A:7580';
    const mapped = { ...ENDS, localAddress: '::ffff:10.240.0.1', remoteAddress: '::ffff:10.240.0.12' };
    const table = socketTable(
      { ends: KEY, state: '06' },
      { ends: ipv6, queuedBytes: 5, number: 123_456 },
      { ends: KEY, queuedBytes: 78 },
    );
    for (let sliceBytes = 1; sliceBytes <= table.length; sliceBytes += 1)
      assert.deepEqual(
        [...find(table, [ENDS, mapped], sliceBytes).values()].map(({ queuedBytes }) => queuedBytes),
        [78, 5],
        `slices of ${sliceBytes}`,
      );
  });
  it('that are cut off, or are none, find nothing and end', () => {
    const row = socketRow({ ends: KEY, queuedBytes: 78 });
    const isWhole = row.indexOf('00000000     0') + 8;
    for (let length = 0; length < row.length; length += 1) {
      const cut = find(Buffer.from(row.slice(0, length)), [ENDS]);
      if (length < isWhole - 7) assert.equal(cut.size, 0, `${length}`);
    }
    assert.equal(find(Buffer.from('\n\n::::\n: \n'), [ENDS]).size, 0);
  });
  it('agree with a reader that splits lines into words, for tables by chance', () => {
    const addresses = [
      ['10.0.0.1', '0100000A'],
      ['10.0.0.2', '0200000A'],
      ['fd00::1', '000000FD000000000000000001000000'],
      ['::ffff:10.0.0.1', '0000000000000000FFFF00000100000A'],
    ] as const;
    let seed = 1;
    const any = (below: number): number => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    for (let round = 0; round < 300; round += 1) {
      const sockets: SocketEnds[] = [];
      const rows = new Map<string, SocketRow>();
      const texts = new Map<SocketEnds, string>();
      for (let count = any(40); count > 0; count -= 1) {
        const isIpv6 = any(2) * 2;
        const [localAddress, local] = addresses[isIpv6 + any(2)]!;
        const [remoteAddress, remote] = addresses[isIpv6 + any(2)]!;
        const localPort = [0, 9, 10, 0xabcd, 65_535][any(5)]!;
        const remotePort = 30_000 + any(3);
        const port = (value: number): string => value.toString(16).toUpperCase().padStart(4, '0');
        const ends = `${local}:${port(localPort)} ${remote}:${port(remotePort)}`;
        const socket = { localAddress, localPort, remoteAddress, remotePort };
        if (any(2) === 0) {
          sockets.push(socket);
          texts.set(socket, ends);
        }
        if (any(3) > 0)
          rows.set(ends, {
            ends,
            state: ['01', '06', '0A'][any(3)]!,
            queuedBytes: any(3) * any(1e9),
            timer: ['00', '01', '04'][any(3)]!,
            retransmits: any(16),
            number: any(100_000),
          });
      }
      const table = socketTable(...rows.values());
      const expected = new Map<SocketEnds, SocketState>();
      for (const line of table.toString('latin1').split('\n').slice(1)) {
        const [, local, remote, state, queues, timer, again] = line.trim().split(/\s+/);
        if (state !== '01') continue;
        for (const [socket, ends] of texts)
          if (ends === `${local} ${remote}`)
            expected.set(socket, {
              queuedBytes: Number.parseInt(queues!.split(':')[0]!, 16),
              retransmits: Number.parseInt(again!, 16),
              awaitsAcknowledgement: timer!.startsWith('01:'),
            });
      }
      const found = find(table, sockets, 1 + any(table.length));
      assert.equal(found.size, expected.size);
      for (const [socket, state] of expected) assert.deepEqual(found.get(socket), state, texts.get(socket)!);
    }
  });
});

describe('the table of this machine', () => {
  for (const [name, listen, connect] of [
    ['IPv4', '127.0.0.1', '127.0.0.1'],
    ['IPv6', '::1', '::1'],
    ['IPv4 in IPv6', '127.0.0.1', '::ffff:127.0.0.1'],
  ] as const)
    it(`has a live socket of this process, and what its other side has not taken: ${name}`, async (t) => {
      const server = net.createServer({ pauseOnConnect: true });
      server.listen(0, listen);
      await once(server, 'listening');
      const socket = net.connect((server.address() as net.AddressInfo).port, connect);
      const [[accepted]] = (await Promise.all([once(server, 'connection'), once(socket, 'connect')])) as [
        [net.Socket],
        unknown,
      ];
      t.after(() => {
        socket.destroy();
        accepted.destroy();
        server.close();
      });
      // Elsewhere than on Linux there is none: nothing may be found then, and nothing thrown.
      const hasTable = await readProcSockets('ipv4').then(
        () => true,
        () => false,
      );
      const look = async (): Promise<SocketState | undefined> =>
        (await new SocketTable(() => 0).look(() => [socket])).get(socket);
      const calm = await look();
      assert.equal(calm?.queuedBytes, hasTable ? 0 : undefined);
      if (!hasTable) return;
      // More than the other side, which reads nothing, has room for.
      socket.write(Buffer.alloc(8 * 1024 * 1024));
      let queuedBytes = 0;
      while (queuedBytes === 0) queuedBytes = (await look())!.queuedBytes;
    });
});
