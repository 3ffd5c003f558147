// The beginning and the end of a run: what exit codes, signals and refused starts look like from outside.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp, readFile, rename } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { RawPeer } from '../support/data-plane.ts';
import { until } from '../support/until.ts';
import { Backend, configuration, KeepAliveClient, refuses } from './load.ts';
import { Portico, shell } from './portico.ts';

describe('start and stop', () => {
  let backend: Backend;
  let portico: Portico;
  const clients: { destroy(): void }[] = [];

  beforeEach(async () => {
    backend = await Backend.start();
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    const left = await portico.close();
    await backend.close();
    assert.deepEqual(left, [], 'no process outlives the program');
  });

  it('ends with exit code 1 and all problems when the first configuration is invalid', async () => {
    portico = await Portico.launch(
      'listeners: [{ name: web, bind: "127.0.0.1:0", protocol: gopher }]\npoolz: []\nroutes: [{ name: r, hosts: ["*"], rules: [{ pools: [{ name: nope }] }] }]\n',
    );
    assert.deepEqual(await portico.exited, { code: 1, signal: null });
    await until('the report', () => portico.text.includes('nope'));
    assert.match(portico.text, /portico\.yaml:1:\d+: .*gopher/);
    assert.match(portico.text, /portico\.yaml:2:1: .*poolz/);
    assert.match(portico.text, /portico\.yaml:3:\d+: .*nope/);
  });

  for (const which of ['listener', 'admin'] as const) {
    it(`ends with exit code 1 and a clear text when the ${which} port is in use at the start`, async () => {
      const taken = net.createServer().listen(0, '127.0.0.1');
      await once(taken, 'listening');
      const { port } = taken.address() as net.AddressInfo;
      const bind = `127.0.0.1:${port}`;
      const over =
        which === 'admin' ? { admin: { bind } } : { listeners: [{ name: 'web', bind, protocol: 'http' }] };
      portico = await Portico.launch(configuration(backend, over));
      const end = await portico.exited;
      taken.close();
      await once(taken, 'close');
      assert.deepEqual(end, { code: 1, signal: null });
      await until('the report', () => portico.text.includes(`127.0.0.1:${port}`));
      assert.match(portico.text, /^portico: .*cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/m);
    });
  }

  it('ends with exit code 1 and a clear text when its listeners take more descriptors than there are', async () => {
    const listeners = Array.from({ length: 40 }, (_, index) => ({
      name: `web-${index}`,
      bind: '127.0.0.1:0',
      protocol: 'http',
    }));
    portico = await Portico.launch(configuration(backend, { listeners }), 'info', {
      prefix: shell('ulimit -n 64'),
    });
    assert.deepEqual(await portico.exited, { code: 1, signal: null });
    await until('the report', () => portico.text.includes('cannot listen'));
    assert.match(portico.text, /cannot listen on 127\.0\.0\.1:0: EMFILE: no descriptor is left/);
  });

  it('finishes what is in flight on SIGTERM, refuses what is new, and leaves nothing behind', async () => {
    portico = await Portico.start(configuration(backend));
    const port = portico.port();
    const idle = await KeepAliveClient.connect(port);
    clients.push(idle);
    await idle.request();
    const slow = await KeepAliveClient.connect(port);
    clients.push(slow);
    const answer = slow.request('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
    await backend.slowRequest();

    portico.signal('SIGTERM');
    await until('a refused connection', () => refuses(port));
    // A connection that waits for a request may still send one: it is answered and told to leave.
    assert.match(await idle.request(), /\r\nConnection: close\r\n/);
    const ready = await portico.tryAdmin('/ready');
    assert.ok(ready === undefined || ready.status === 503, 'not ready any more');
    assert.equal(portico.ended, false);
    backend.release('worth the wait');
    assert.match(await answer, /\r\nConnection: close\r\n[\s\S]*worth the wait$/);

    assert.deepEqual(await portico.exited, { code: 0, signal: null });
    assert.deepEqual(await portico.survivors(), []);
    assert.ok(await refuses(port), 'the socket is closed');
  });

  it('stops at once on the second SIGTERM', async () => {
    portico = await Portico.start(configuration(backend));
    const slow = await RawPeer.connect(portico.port());
    clients.push(slow);
    slow.send('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
    await backend.slowRequest();
    portico.signal('SIGTERM');
    await portico.logged('draining');
    const begunAtMs = performance.now();
    portico.signal('SIGTERM');
    assert.deepEqual(await portico.exited, { code: 0, signal: null });
    assert.ok(performance.now() - begunAtMs < 5000, 'far sooner than the drain deadline of 30 s');
    await slow.until(() => slow.ended || slow.closed);
  });

  it('drains a long answer to a slow reader to its last byte', async () => {
    const size = 16 * 1024 * 1024;
    const bulk = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
        socket.write(Buffer.alloc(size, 'x'));
      });
    });
    bulk.listen(0, '127.0.0.1');
    await once(bulk, 'listening');
    const at = `127.0.0.1:${(bulk.address() as net.AddressInfo).port}`;
    portico = await Portico.start(configuration({ at }));
    const socket = net.connect(portico.port(), '127.0.0.1');
    clients.push(socket);
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(socket, 'readable');
    portico.signal('SIGTERM');
    await portico.logged('draining');
    let received = 0;
    for await (const chunk of socket) {
      received += (chunk as Buffer).length;
      // Slow all the time: what the worker still holds when the target is done must not be lost with its process. A pace,
      // not a wait: no event of this process tells how much another one holds.
      await sleep(4);
    }
    assert.ok(received > size, `${received} of ${size} bytes and a head`);
    bulk.close();
    assert.deepEqual(await portico.exited, { code: 0, signal: null });
  });

  it('writes to a new access log after a rename and SIGUSR1, and loses no line', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'portico-log-'));
    clients.push({ destroy: () => rmSync(directory, { recursive: true }) });
    const file = path.join(directory, 'access.log');
    portico = await Portico.start(configuration(backend, { log: { access: { path: file } } }));
    const ids: string[] = [];
    const connections = await Promise.all(
      Array.from({ length: 6 }, () => KeepAliveClient.connect(portico.port())),
    );
    clients.push(...connections);
    const requests = async (): Promise<void> => {
      for (const client of connections) {
        const answer = await client.request();
        ids.push(/x-request-id: (\S+)\r/i.exec(answer)![1]!);
      }
    };
    await requests();
    await until('lines in the file', async () => (await lines(file)).length === 6);
    await rename(file, `${file}.1`);
    portico.signal('SIGUSR1');
    // What rotates logs may well signal the whole group; Node's own answer to SIGUSR1 is to open a debugger.
    for (const pid of await portico.processes()) process.kill(pid, 'SIGUSR1');
    await until('a new file', async () => (await lines(file).catch(() => null)) !== null);
    await requests();
    await until('lines in both files', async () => {
      const all = [...(await lines(`${file}.1`)), ...(await lines(file))];
      return all.length === 12;
    });
    const fresh = await lines(file);
    assert.ok(fresh.length > 0, 'the new file is used');
    const logged = [...(await lines(`${file}.1`)), ...fresh].map(
      (line) => (JSON.parse(line) as { id: string }).id,
    );
    assert.deepEqual(logged.sort(), ids.sort());
    assert.equal(portico.text, '', 'nobody says anything beside the log');
  });
});

async function lines(file: string): Promise<readonly string[]> {
  return (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
}
