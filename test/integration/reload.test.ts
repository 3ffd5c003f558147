// Reloads of a running Portico: a good one touches no connection, a bad one changes nothing and says what is wrong.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import net from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { RawPeer } from '../support/data-plane.ts';
import { until } from '../support/until.ts';
import { Backend, configuration, KeepAliveClient, ReconnectingClient } from './load.ts';
import { Portico } from './portico.ts';

const NEW_ROUTE = {
  name: 'new',
  hosts: ['new.example.com'],
  rules: [{ respond: { status: 200, body: 'new' } }],
};
const ALL = { name: 'all', hosts: ['*'], rules: [{ pools: [{ name: 'app' }] }] };

describe('reload', () => {
  let backend: Backend;
  let portico: Portico;
  const clients: { destroy(): void }[] = [];

  beforeEach(async () => {
    backend = await Backend.start();
    portico = await Portico.start(configuration(backend));
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    const left = await portico.close();
    await backend.close();
    assert.deepEqual(left, [], 'no process outlives the program');
  });

  async function newRouteAnswers(): Promise<boolean> {
    const peer = await RawPeer.connect(portico.port());
    peer.send('GET / HTTP/1.1\r\nHost: new.example.com\r\nConnection: close\r\n\r\n');
    const answer = await peer.all();
    peer.destroy();
    return answer.endsWith('\r\n\r\nnew');
  }

  it('puts a new route in force by SIGHUP and by POST /reload while not one connection is touched', async () => {
    const running = await Promise.all(
      Array.from({ length: 8 }, () => KeepAliveClient.connect(portico.port())),
    );
    clients.push(...running);
    for (const client of running) client.run();
    const stream = await RawPeer.connect(portico.port());
    clients.push(stream);
    stream.send('GET /stream HTTP/1.1\r\nHost: a\r\n\r\n');
    await stream.expect('begun\n');
    const workers = await portico.untilServing();

    assert.equal(await newRouteAnswers(), false);
    await portico.configure(configuration(backend, { routes: [NEW_ROUTE, ALL] }));
    portico.signal('SIGHUP');
    await portico.logged('reloaded');
    await until('the new route', newRouteAnswers);
    backend.tick('after the first reload');
    await stream.expect('after the first reload\n');

    await portico.configure(configuration(backend, { routes: [ALL] }));
    const outcome = await portico.admin('/reload', 'POST');
    assert.equal(outcome.status, 200, outcome.body);
    await until('the old routes', async () => !(await newRouteAnswers()));
    backend.tick('after the second reload');
    await stream.expect('after the second reload\n');

    const answered = running.map((client) => client.answered);
    await until('traffic of all', () =>
      running.every((client, index) => client.answered > answered[index]! + 10),
    );
    for (const client of running) await client.stop();
    assert.deepEqual(
      running.flatMap(({ failures }) => failures),
      [],
    );
    assert.ok(
      running.every((client) => !client.closed),
      'every connection is the one that was opened first',
    );
    backend.endStreams();
    await stream.expect('0\r\n\r\n');
    assert.deepEqual([...(await portico.untilServing())].sort(), [...workers].sort(), 'the same processes');
  });

  it('serves on with the configuration before when the new one is broken, and says where', async () => {
    const client = await KeepAliveClient.connect(portico.port());
    clients.push(client);
    client.run();
    const before = await portico.metric('portico_config_reloads_total', { result: 'ok' });
    const good = JSON.stringify(configuration(backend));
    const cases = [
      [
        'broken YAML',
        'listeners:\n  - { name: web, bind: "127.0.0.1:0"\npools: []\n',
        /portico\.yaml:\d+:\d+: /,
      ],
      [
        'an unknown key',
        `retires: 3\n${good.slice(1, -1).split(',"').join('\n"')}`,
        /portico\.yaml:\d+:\d+: /,
      ],
      [
        'an unknown pool',
        good.replace('[{"name":"app"}]', '[{"name":"nope"}]'),
        /portico\.yaml:1:\d+: .*nope/,
      ],
      ['no file at all', null, /portico\.yaml/],
    ] as const;
    for (const [name, text, expected] of cases) {
      if (text === null) await rm(portico.configPath);
      else await portico.configure(text);
      const from = portico.log.length;
      const outcome = await portico.admin('/reload', 'POST');
      assert.equal(outcome.status, 422, `${name}: ${outcome.body}`);
      const { ok, problems } = JSON.parse(outcome.body) as { ok: boolean; problems: string[] };
      assert.equal(ok, false);
      assert.match(problems.join('\n'), expected, name);
      const line = await portico.logged('reload-failed', from);
      assert.deepEqual(line['problems'], problems, 'the log says the same');
    }
    const from = portico.log.length;
    portico.signal('SIGHUP');
    await portico.logged('reload-failed', from);

    const { answered } = client;
    await until('traffic', () => client.answered > answered + 10);
    await client.stop();
    assert.deepEqual(client.failures, []);
    assert.equal((await portico.admin('/ready')).status, 200);
    await until(
      'five failed reloads',
      async () => (await portico.metric('portico_config_reloads_total', { result: 'failed' })) === 5,
    );
    assert.equal(await portico.metric('portico_config_reloads_total', { result: 'ok' }), before);

    await portico.configure(configuration(backend, { routes: [NEW_ROUTE, ALL] }));
    assert.equal((await portico.admin('/reload', 'POST')).status, 200);
    assert.ok(await newRouteAnswers(), 'the next good one is taken');
  });

  it('drops a configuration whose port is in use, names the listener, and keeps serving the one before', async () => {
    const taken = net.createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as net.AddressInfo;
    const client = await KeepAliveClient.connect(portico.port());
    clients.push(client);
    client.run();
    const listeners = [
      { name: 'web', bind: '127.0.0.1:0', protocol: 'http' },
      { name: 'second', bind: `127.0.0.1:${port}`, protocol: 'http' },
    ];
    try {
      await portico.configure(configuration(backend, { listeners, routes: [NEW_ROUTE, ALL] }));
      const outcome = await portico.admin('/reload', 'POST');
      assert.equal(outcome.status, 422, outcome.body);
      const { problems } = JSON.parse(outcome.body) as { problems: string[] };
      assert.match(problems.join('\n'), new RegExp(`listener second .*127\\.0\\.0\\.1:${port}: EADDRINUSE`));
      assert.equal(await newRouteAnswers(), false, 'nothing of it is in force');
    } finally {
      taken.close();
      await once(taken, 'close');
    }
    const { answered } = client;
    await until('traffic', () => client.answered > answered + 10);

    const outcome = await portico.admin('/reload', 'POST');
    assert.equal(outcome.status, 200, `the same configuration, once the port is free: ${outcome.body}`);
    assert.ok(await newRouteAnswers());
    assert.equal(portico.port('second'), port);
    const second = await KeepAliveClient.connect(port);
    clients.push(second);
    await second.request();
    await client.stop();
    assert.deepEqual(client.failures, []);
  });

  it('follows the number of workers down and up, and leaves no socket behind that nobody accepts from', async () => {
    const fresh = new ReconnectingClient(() => portico.port(), 1).run();
    clients.push(fresh);
    for (const workers of [1, 3]) {
      await portico.configure(configuration(backend, { workers }));
      assert.equal((await portico.admin('/reload', 'POST')).status, 200);
      // The workers that are too many leave when their connections do, so only the new ones are awaited here.
      await until(`${workers} workers`, async () => {
        const serving = (await portico.workers()).filter(({ snapshotVersion }) => snapshotVersion > 0);
        return workers === 3 ? serving.length >= 3 : serving.length <= 2;
      });
      const { connections } = fresh;
      await until('new connections', () => fresh.connections > connections + 50);
    }
    await fresh.stop();
    // What waits in the queue of a socket that is given up is lost to it: one request at a time, one at most here.
    assert.ok(fresh.failures.length <= 1, fresh.failures.join());
  });

  it('takes every one of many reloads in a row, each with other listeners and another number of workers', async () => {
    const client = await KeepAliveClient.connect(portico.port());
    clients.push(client);
    client.run();
    const web = { name: 'web', bind: '127.0.0.1:0', protocol: 'http' };
    const second = { name: 'second', bind: '127.0.0.2:0', protocol: 'http' };
    for (let step = 0; step < 12; step += 1) {
      const listeners = step % 2 === 0 ? [web, second] : [web];
      await portico.configure(configuration(backend, { listeners, workers: 1 + ((step * 7) % 3) }));
      const outcome = await portico.admin('/reload', 'POST');
      assert.equal(outcome.status, 200, `step ${step}: ${outcome.body}`);
    }
    await portico.configure(configuration(backend, { listeners: [web, second], workers: 3 }));
    assert.equal((await portico.admin('/reload', 'POST')).status, 200);
    await until('three workers that serve the last configuration', async () => {
      const versions = (await portico.workers()).map(({ snapshotVersion }) => snapshotVersion);
      return versions.filter((version) => version === Math.max(...versions)).length >= 3;
    });
    await client.stop();
    assert.deepEqual(client.failures, []);
  });

  it('closes the socket of a listener that is no longer configured and lets its connections end by themselves', async () => {
    const listeners = [
      { name: 'web', bind: '127.0.0.1:0', protocol: 'http' },
      { name: 'second', bind: '127.0.0.2:0', protocol: 'http' },
    ];
    await portico.configure(configuration(backend, { listeners }));
    assert.equal((await portico.admin('/reload', 'POST')).status, 200);
    const port = portico.port('second');
    const socket = net.connect({ host: '127.0.0.2', port, allowHalfOpen: true });
    await once(socket, 'connect');
    const stream = new RawPeer(socket);
    clients.push(stream);
    stream.send('GET /stream HTTP/1.1\r\nHost: a\r\n\r\n');
    await stream.expect('begun\n');

    await portico.configure(configuration(backend));
    assert.equal((await portico.admin('/reload', 'POST')).status, 200);
    await until('a refusal', async () => {
      const probe = net.connect({ host: '127.0.0.2', port });
      const [event] = await Promise.race([
        once(probe, 'connect').then(() => ['connected']),
        once(probe, 'close').then(() => ['refused']),
      ]).catch((error: NodeJS.ErrnoException) => [error.code]);
      probe.destroy();
      return event === 'ECONNREFUSED';
    });
    backend.tick('still here');
    await stream.expect('still here\n');
    backend.endStreams();
    await stream.expect('0\r\n\r\n');
  });
});
