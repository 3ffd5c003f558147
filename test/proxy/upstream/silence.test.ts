import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, it } from 'node:test';
import {
  isUnheard,
  readProcSockets,
  SilenceWatch,
  type WatchedStream,
} from '../../../src/proxy/upstream/silence.ts';

const HEADER =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';

function row(ends: string, state: string, queued: string, again: string): string {
  return `${HEADER}  12: ${ends} ${state} ${queued}:00000000 01:00000014 ${again}     0        0 4711 2 0 20 4 30 10 -1\n`;
}

const ENDS = { localPort: 40_000, remoteAddress: '10.240.0.12', remotePort: 30_080 };
const KEY = '0100F00A:9C40 0C00F00A:7580';

describe('the socket table of the kernel', () => {
  it('tells bytes that were sent again and are still not acknowledged', () => {
    assert.equal(isUnheard(row(KEY, '01', '0000004E', '00000001'), ENDS), true);
  });
  it('calls nothing unheard that was acknowledged, is on its first way, or is another socket', () => {
    assert.equal(isUnheard(row(KEY, '01', '00000000', '00000000'), ENDS), false);
    assert.equal(isUnheard(row(KEY, '01', '0000004E', '00000000'), ENDS), false);
    assert.equal(isUnheard(row(KEY, '06', '0000004E', '00000003'), ENDS), false);
    assert.equal(isUnheard(row(KEY, '01', '0000004E', '00000001'), { ...ENDS, localPort: 40_001 }), false);
    assert.equal(isUnheard('', ENDS), false);
    assert.equal(isUnheard(row(KEY, '01', '0000004E', '00000001'), { localPort: 40_000 }), false);
  });
  it('believes long silence before anything was sent again, but not of a side that reads nothing', () => {
    const sent = row(KEY, '01', '0000004E', '00000000');
    assert.equal(isUnheard(sent, ENDS, true), true);
    assert.equal(isUnheard(sent.replace(' 01:00000014', ' 04:00000014'), ENDS, true), false);
    assert.equal(isUnheard(row(KEY, '01', '00000000', '00000000'), ENDS, true), false);
  });
  it('knows IPv6 addresses, short and long', () => {
    const key = '00000000000000000000000001000000:9C40 B80D0120000000000000000001000000:7580';
    const table = row(key, '01', '0000004E', '00000002');
    for (const remoteAddress of ['2001:db8::1', '2001:0db8:0:0:0:0:0:1']) {
      assert.equal(isUnheard(table, { ...ENDS, remoteAddress }), true, remoteAddress);
    }
  });
  it('finds a live socket of this process where there is a table, and it is heard', async (t) => {
    const server = net.createServer((socket) => socket.resume());
    server.listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
    t.after(() => {
      socket.destroy();
      server.close();
    });
    await new Promise((resolve) => socket.write('a request', resolve));
    const table = await readProcSockets('ipv4').catch(() => null);
    if (table === null) return;
    const local = socket.localPort!.toString(16).toUpperCase().padStart(4, '0');
    assert.ok(table.includes(`0100007F:${local} `), 'the table has it');
    assert.equal(isUnheard(table, socket), false);
  });
});

describe('looking for dead paths', () => {
  const connection = { socket: ENDS } as unknown as WatchedStream;
  it('tells the user of a dead one, and asks the kernel once for all that wait', async () => {
    let reads = 0;
    const told: WatchedStream[] = [];
    const watch = new SilenceWatch(
      () => 1000,
      async () => {
        reads += 1;
        return row(KEY, '01', '0000004E', '00000001');
      },
    );
    const user = { onUpstreamSilent: (silent: WatchedStream): unknown => told.push(silent) };
    watch.ask(connection, { onUpstreamSilent: (silent) => void user.onUpstreamSilent(silent) }, 0);
    watch.ask(connection, { onUpstreamSilent: (silent) => void user.onUpstreamSilent(silent) }, 0);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(reads, 1);
    assert.deepEqual(told, [connection]);
  });
  it('keeps quiet for good where there is no table', async () => {
    let reads = 0;
    let nowMs = 0;
    const watch = new SilenceWatch(
      () => nowMs,
      async () => {
        reads += 1;
        throw new Error('ENOENT');
      },
    );
    const user = { onUpstreamSilent: (): void => assert.fail('nothing is known') };
    watch.ask(connection, user, 0);
    await new Promise((resolve) => setImmediate(resolve));
    nowMs = 10_000;
    watch.ask(connection, user, 0);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(reads, 1);
  });
});
