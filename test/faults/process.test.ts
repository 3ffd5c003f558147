// The fault matrix of processes and the machine: the real program under real limits, with real clients.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, readFile, rm } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Backend, configuration, KeepAliveClient, ReconnectingClient } from '../integration/load.ts';
import { Portico, shell } from '../integration/portico.ts';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/until.ts';
import { EXHAUST, HANG } from './inject.ts';

const INJECT = {
  environment: {
    // A heap limit that a worker reaches in a moment.
    NODE_OPTIONS: `--import=${path.join(import.meta.dirname, 'inject.ts')} --max-old-space-size=192`,
  },
};
/** Descriptors: what a worker has open at its start, and some. */
const FEW = 96;

describe('a fault of processes and the machine', () => {
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

  /** A client on a connection of each of the workers. */
  async function clientOf(pid: number, pids: readonly number[]): Promise<KeepAliveClient> {
    for (;;) {
      const client = await KeepAliveClient.connect(portico.port());
      clients.push(client);
      await client.request();
      if ((await portico.holderOf(client.port, pids)) === pid) return client;
    }
  }

  it('a worker hangs, another runs out of memory', async () => {
    portico = await Portico.start(configuration(backend, { workers: 3 }), 'info', INJECT, 3);
    const pids = await portico.untilServing(3);
    const [hangs, exhausts, stays] = pids as [number, number, number];
    const bystander = (await clientOf(stays, pids)).run();
    process.kill(hangs, HANG);
    process.kill(exhausts, EXHAUST);
    const died = await portico.logged('worker-died', 0, exhausts);
    assert.match(String(died['reason']), /^SIGABRT$|^exit-134$/, 'V8 has ended the one without memory');
    const hung = await portico.logged('worker-hung');
    assert.equal(hung['pid'], hangs);
    assert.ok((hung['silentMs'] as number) >= 10_000);
    await portico.untilServing(3, [hangs, exhausts]).catch(() => {});
    await until('both to be replaced', async () => {
      const now = (await portico.workers()).map(({ pid }) => pid);
      return now.length === 3 && now.includes(stays) && !now.includes(hangs) && !now.includes(exhausts);
    });
    await bystander.stop();
    assert.deepEqual(bystander.failures, []);
    assert.ok(bystander.answered > 0);
    assert.equal(await portico.metric('portico_worker_restarts_total', { reason: 'hung' }), 1);
    assert.equal(
      await portico.metric('portico_worker_restarts_total', { reason: String(died['reason']) }),
      1,
    );
    const fresh = new ReconnectingClient(() => portico.port(), 1).run();
    clients.push(fresh);
    await until('answers on new connections', () => fresh.answered > 20);
    await fresh.stop();
    assert.deepEqual(fresh.failures, []);
  });

  it('more clients than descriptors', async () => {
    portico = await Portico.start(
      configuration(backend, { workers: 1 }),
      'info',
      { prefix: shell(`ulimit -n ${FEW}`) },
      1,
    );
    const [pid] = await portico.untilServing(1);
    const sockets = Array.from({ length: 150 }, () => net.connect(portico.port(), '127.0.0.1'));
    for (const socket of sockets) socket.on('error', () => {}).resume();
    clients.push(...sockets);
    await portico.logged('descriptor-limit');
    await until('all but those in their limit to be refused', () => {
      const open = sockets.filter(({ closed }) => !closed).length;
      return open > 0 && open < FEW / 2;
    });
    await until('all of them to be counted', async () => {
      const counted = await portico.metric('portico_connections_refused_total', {
        reason: 'descriptor-limit',
      });
      // Asked anew each time: a close may come late on a busy machine.
      return counted === sockets.filter(({ closed }) => closed).length;
    });
    // At its limit it sleeps: nothing is tried again and again. Time that another process does not use only passes.
    const before = await cpuMs(pid!);
    await until('a second to pass', async () => (await uptimeMs()) > before.atMs + 1000);
    const after = await cpuMs(pid!);
    assert.ok(after.usedMs - before.usedMs < (after.atMs - before.atMs) / 4, 'the worker does not spin');
    const [inside] = sockets.filter(({ closed }) => !closed);
    inside!.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const [answer] = (await once(inside!, 'data')) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 200 /, 'those that are in are served');
    for (const socket of sockets) socket.destroy();
    await portico.logged('descriptor-limit-over');
    const client = await KeepAliveClient.connect(portico.port());
    clients.push(client);
    await client.request();
  });

  it('no descriptor for another connection to a target', async () => {
    const pools = ['one', 'two', 'three', 'four'];
    const rules = pools.map((name) => ({
      matches: [{ path: { prefix: `/${name}` } }],
      pools: [{ name }],
    }));
    const servers = await Promise.all(pools.map(() => slowServer()));
    const over = {
      workers: 1,
      pools: pools.map((name, at) => ({ name, sources: [{ static: [servers[at]!.at] }] })),
      routes: [{ name: 'all', hosts: ['*'], rules }],
    };
    try {
      const options = { prefix: shell(`ulimit -n ${FEW}`) };
      portico = await Portico.start(configuration(backend, over), 'info', options, 1);
      // As many clients as are let in, all at once, to one pool after the other: idle connections of the others pile up.
      const many = await Promise.all(
        Array.from({ length: 20 }, () => KeepAliveClient.connect(portico.port())),
      );
      clients.push(...many);
      for (const name of pools) {
        await Promise.all(many.map((client) => client.request(`GET /${name} HTTP/1.1\r\nHost: a\r\n\r\n`)));
      }
      await until('a connect that found no descriptor', async () => {
        const labels = { reason: 'local-limit' };
        return (await portico.metric('portico_upstream_connect_failures_total', labels)) > 0;
      });
      assert.ok((await portico.metric('portico_retries_total', { reason: 'local-limit' })) > 0);
      assert.equal(await portico.metric('portico_ejections_total'), 0, 'no target is blamed');
      assert.equal(await portico.metric('portico_failures_total'), 0);
    } finally {
      for (const server of servers) server.close();
    }
  });

  it('the disk of the access log is full', async () => {
    const log = { access: { path: '/dev/full', bufferBytes: '64KiB' } };
    portico = await Portico.start(configuration(backend, { workers: 1, log }), 'info', {}, 1);
    const client = await KeepAliveClient.connect(portico.port());
    clients.push(client);
    for (let request = 0; request < 400; request += 1) await client.request();
    await portico.logged('access-log-failed');
    await until('lost lines to be counted', async () => {
      const labels = { reason: 'write-error' };
      return (await portico.metric('portico_access_log_lines_lost_total', labels)) > 0;
    });
    assert.equal(client.answered, 400);
  });

  for (const [what, redirect] of [
    ['the disk of Portico’s own log is full', 'exec 2>/dev/full'],
    ['nobody reads the pipe of Portico’s own log', 'mkfifo "$FIFO"; exec 3<>"$FIFO"; exec 2>"$FIFO"'],
  ] as const) {
    it(what, async () => {
      const [port, adminPort] = [await freePort(), await freePort()];
      const over = {
        workers: 1,
        listeners: [{ name: 'web', bind: `127.0.0.1:${port}`, protocol: 'http' }],
        admin: { bind: `127.0.0.1:${adminPort}` },
      };
      const fifo = path.join(import.meta.dirname, `../../.cache/fifo-${port}`);
      await mkdir(path.dirname(fifo), { recursive: true });
      portico = await Portico.launch(configuration(backend, over), 'info', {
        prefix: shell(redirect),
        environment: { FIFO: fifo },
      });
      try {
        await until('an answer', async () => (await statusOf(port, '/').catch(() => 0)) === 200);
        // Long lines, many of them: more than any buffer holds.
        const problems = Array.from({ length: 100 }, (_, at) => `${'unknown-key-'.repeat(15)}${at}: 1`).join(
          '\n',
        );
        await portico.configure(problems);
        for (let reload = 0; reload < 30; reload += 1) {
          assert.equal(await statusOf(adminPort, '/reload', 'POST'), 422);
        }
        await until('lost lines to be counted', async () => {
          const text = await textOf(adminPort, '/metrics');
          return /portico_log_lines_lost_total\{role="controller",reason="[\w-]+"\} [1-9]/.test(text);
        });
        assert.equal(await statusOf(port, '/'), 200);
        portico.signal('SIGTERM');
        assert.deepEqual(await portico.exited, { code: 0, signal: null });
      } finally {
        await rm(fifo, { force: true });
      }
    });
  }
});

/** CPU time of a process and when it was read (proc_pid_stat(5), USER_HZ is 100). */
async function cpuMs(pid: number): Promise<{ readonly usedMs: number; readonly atMs: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { usedMs: (Number(fields[11]) + Number(fields[12])) * 10, atMs: await uptimeMs() };
}

async function uptimeMs(): Promise<number> {
  return Number((await readFile('/proc/uptime', 'latin1')).split(' ')[0]) * 1000;
}

/**
 * Answers each request a moment later, so that many are in flight at a time, and keeps its connections. It cannot wait for
 * a number of them: how many get a descriptor is what the test is about.
 */
async function slowServer(): Promise<{ readonly at: string; close(): void }> {
  const server = http.createServer({ keepAliveTimeout: 0 }, (_request, response) => {
    setTimeout(() => response.end('ok'), 300);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    at: `127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function ask(
  port: number,
  pathname: string,
  method: string,
): Promise<{ status: number; text: string }> {
  const answer = await fetch(`http://127.0.0.1:${port}${pathname}`, { method });
  return { status: answer.status, text: await answer.text() };
}

const statusOf = async (port: number, pathname: string, method = 'GET'): Promise<number> =>
  (await ask(port, pathname, method)).status;

const textOf = async (port: number, pathname: string): Promise<string> =>
  (await ask(port, pathname, 'GET')).text;
