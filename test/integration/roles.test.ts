// The three roles as processes: what a client and an operator notice when one of them dies. Nothing, or next to it.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { LIMIT_MS, until } from '../support/until.ts';
import { Backend, configuration, KeepAliveClient, ReconnectingClient } from './load.ts';
import { Portico } from './portico.ts';

describe('roles', () => {
  let backend: Backend;
  let portico: Portico | null = null;
  const clients: { destroy(): void }[] = [];

  beforeEach(async () => {
    backend = await Backend.start();
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    const left = await portico?.close();
    portico = null;
    await backend.close();
    assert.deepEqual(left ?? [], [], 'no process outlives the program');
  });

  async function start(over: object = {}, logLevel = 'info'): Promise<Portico> {
    portico = await Portico.start(configuration(backend, over), logLevel);
    return portico;
  }

  /** Clients of every worker: at least `each` connections on both. */
  async function clientsOfBoth(
    running: Portico,
    pids: readonly number[],
    each: number,
  ): Promise<Map<number, KeepAliveClient[]>> {
    const byWorker = new Map<number, KeepAliveClient[]>(pids.map((pid) => [pid, []]));
    for (let opened = 0; opened < 400; opened += 20) {
      // Opened at once, so that one worker alone does not take them all.
      const fresh = await Promise.all(
        Array.from({ length: 20 }, () => KeepAliveClient.connect(running.port())),
      );
      clients.push(...fresh);
      await Promise.all(fresh.map((client) => client.request()));
      for (const client of fresh) byWorker.get(await running.holderOf(client.port, pids))!.push(client);
      if ([...byWorker.values()].every((list) => list.length >= each)) return byWorker;
    }
    throw new Error('one worker accepts nothing');
  }

  it('replaces a killed worker, and no client of another worker notices', async () => {
    const running = await start();
    const [killed, survivor] = (await running.untilServing()) as [number, number];
    const byWorker = await clientsOfBoth(running, [killed, survivor], 2);
    const staying = byWorker.get(survivor)!;
    for (const client of staying) client.run();
    const before = staying.map(({ answered }) => answered);

    process.kill(killed, 'SIGKILL');
    const fresh = new ReconnectingClient(() => running.port(), 3).run();
    clients.push(fresh);
    const died = await running.logged('worker-died');
    const replaced = await running.untilServing(2, [killed]);

    await until('traffic on all surviving connections', () =>
      staying.every(({ answered }, index) => answered > before[index]! + 20),
    );
    await until('new connections', () => fresh.connections > 20);
    for (const client of staying) await client.stop();
    await fresh.stop();

    assert.equal(died['reason'], 'SIGKILL');
    assert.ok(replaced.includes(survivor), 'the other worker is still there');
    assert.deepEqual(
      staying.flatMap(({ failures }) => failures),
      [],
      'nobody on the other worker notices',
    );
    assert.deepEqual(fresh.failures, [], 'new connections are neither refused nor reset');
    assert.equal(await running.metric('portico_worker_restarts_total', { reason: 'SIGKILL' }), 1);
  });

  it('serves on while the controller is killed and comes back, and counters go on from where they were', async () => {
    const running = await start();
    const clientsRunning = (await clientsOfBoth(running, await running.untilServing(), 1))
      .values()
      .toArray()
      .flat();
    const workers = await running.untilServing();
    // Workers report four times a second.
    const before = await until('the first counts', async () => {
      const seen = await running.metric('portico_http_requests_total');
      return seen >= clientsRunning.length ? seen : undefined;
    });
    for (const client of clientsRunning) client.run();

    const from = running.log.length;
    const controller = await running.controller();
    process.kill(controller, 'SIGKILL');
    await running.logged('controller-died', from);
    const answeredAtDeath = clientsRunning.reduce((sum, { answered }) => sum + answered, 0);
    await until('a new controller', () =>
      running.log.slice(from).some(({ message }) => message === 'admin HTTP listens'),
    );
    assert.deepEqual([...(await running.untilServing())].sort(), [...workers].sort(), 'the same workers');
    for (const client of clientsRunning) await client.stop();

    const answered = clientsRunning.reduce((sum, client) => sum + client.answered, 0);
    assert.ok(answered > answeredAtDeath, 'traffic went on while there was no controller');
    assert.deepEqual(
      clientsRunning.flatMap(({ failures }) => failures),
      [],
    );
    const total = await until('the whole count', async () => {
      const seen = await running.metric('portico_http_requests_total');
      assert.ok(seen >= before, `counters never go back: ${before}, then ${seen}`);
      assert.ok(seen <= answered, `nothing is counted twice: ${seen} of ${answered}`);
      return seen === answered ? seen : undefined;
    });
    assert.equal(total, answered);
    const targets = await running.admin('/targets');
    assert.equal(targets.status, 200);
    assert.equal((JSON.parse(targets.body) as { targets: unknown[] }).targets.length, 1);
    assert.equal(await running.metric('portico_worker_restarts_total', { role: 'controller' }), 1);
  });

  it('keeps what a worker counted that died while there was no controller', async () => {
    const running = await start();
    const pids = await running.untilServing();
    const byWorker = await clientsOfBoth(running, pids, 1);
    const [killed] = pids as [number];
    const all = [...byWorker.values()].flat();
    const answered = all.reduce((sum, client) => sum + client.answered, 0);
    await until(
      'the whole count',
      async () => (await running.metric('portico_http_requests_total')) === answered,
    );

    // The worker first: its end is told to a controller that dies with the news unread.
    const controller = await running.controller();
    process.kill(killed, 'SIGKILL');
    process.kill(controller, 'SIGKILL');
    await running.logged('controller-died');
    await running.logged('worker-died');
    await running.untilServing();
    let seen = 0;
    await until('the whole count again', async () => {
      seen = await running.metric('portico_http_requests_total');
      return seen === answered;
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${seen} of ${answered}`);
    });
    assert.equal(await running.metric('portico_worker_restarts_total', { role: 'worker' }), 1);
  });

  it('counts every request of both workers exactly once, those of drained workers included', async () => {
    const running = await start();
    const pids = await running.untilServing();
    const byWorker = await clientsOfBoth(running, pids, 2);
    const all = [...byWorker.values()].flat();
    for (let round = 0; round < 20; round += 1) await Promise.all(all.map((client) => client.request()));
    const expected = (): number => all.reduce((sum, client) => sum + client.answered, 0);
    const counted = async (): Promise<boolean> => {
      const seen = await running.metric('portico_http_requests_total', { code: '200' });
      assert.ok(seen <= expected(), `${seen} counted of ${expected()}`);
      return seen === expected();
    };
    await until('an exact count', counted);

    running.signal('SIGUSR2');
    await running.untilServing(2, pids);
    // The old workers leave with their connections: the last request of each tells the client so.
    for (const client of all) if (!client.closed) await client.request();
    await until('the end of the old workers', async () =>
      (await running.processes()).every((pid) => !pids.includes(pid)),
    );
    await until('an exact count after the drain', counted);
    assert.equal(backend.requests, expected());
    assert.equal(await running.metric('portico_upstream_requests_total', { pool: 'app' }), expected());
    // Gauges of workers that are gone do not stay.
    await until(
      'no connection left',
      async () => (await running.metric('portico_connections_active')) === 0,
      LIMIT_MS,
    );
  });

  it('replaces every process by a new one without a failed request', async () => {
    const running = await start();
    const pids = await running.untilServing();
    const controller = await running.controller();
    const load = Array.from({ length: 4 }, (_, index) =>
      new ReconnectingClient(() => running.port(), index < 2 ? 1 : 1_000_000).run(),
    );
    clients.push(...load);
    for (let round = 1; round <= 2; round += 1) {
      const workers = await running.untilServing();
      const answeredBefore = load.map(({ answered }) => answered);
      running.signal('SIGUSR2');
      await running.untilServing(2, workers);
      await until('traffic of every client', () =>
        load.every(({ answered }, index) => answered > answeredBefore[index]! + 10),
      );
      await until('the end of the old workers', async () =>
        (await running.processes()).every((pid) => !workers.includes(pid)),
      );
    }
    for (const client of load) await client.stop();
    assert.deepEqual(
      load.flatMap(({ failures }) => failures),
      [],
    );
    const now = await running.processes();
    assert.equal(now.length, 3, 'one controller and two workers');
    assert.ok(![...pids, controller].some((pid) => now.includes(pid)));
  });

  it('has as many workers as before when it is told to replace them while it does', async () => {
    const running = await start();
    const pids = await running.untilServing();
    const load = new ReconnectingClient(() => running.port(), 1).run();
    clients.push(load);
    for (let times = 0; times < 3; times += 1) {
      running.signal('SIGUSR2');
      await running.processes();
    }
    await until('three other processes', async () => {
      const now = await running.processes();
      return now.length === 3 && !now.some((pid) => pids.includes(pid));
    });
    await running.untilServing(2, pids);
    await load.stop();
    assert.deepEqual(load.failures, []);
    assert.equal((await running.processes()).length, 3, 'one controller and two workers');
  });

  it('fills the place of a worker that dies while it is replaced, also when its successor comes to nothing', async () => {
    const running = await start({}, 'debug');
    const pids = await running.untilServing();
    const before = [...pids, await running.controller()];
    running.signal('SIGUSR2');
    const successors = await until('two successors', async () => {
      const fresh = (await running.processes()).filter((pid) => !before.includes(pid));
      return fresh.length >= 2 ? fresh.slice(0, 2) : undefined;
    });
    for (const pid of successors) process.kill(pid, 'SIGSTOP');
    process.kill(pids[0]!, 'SIGKILL');
    await running.logged('worker-died');
    await until('the successor of the controller, with all that it has to say', async () => {
      const status = await running.tryAdmin('/status');
      return status?.status === 200 && !before.includes(await running.controller());
    });
    await running.logged(
      'snapshot-made',
      running.log.findLastIndex(({ code }) => code === 'replacing'),
    );
    for (const pid of successors) process.kill(pid, 'SIGKILL');
    await running.untilServing(2);
  });
});
