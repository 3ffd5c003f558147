// What only root can arrange: an unprivileged user on a read-only file system, full disks, names that vanish.

import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { node, service, slice, writeKubeconfig } from '../control/discovery/world.ts';
import { HANG } from '../faults/inject.ts';
import { Backend, configuration, KeepAliveClient } from '../integration/load.ts';
import { Portico } from '../integration/portico.ts';
import { StandInApi } from '../support/stand-in-api.ts';
import { until } from '../support/until.ts';
import { enclosed, inside, NOBODY } from './enclosed.ts';

/** Small enough to be filled in a moment. */
const DISK_BYTES = 1024 * 1024;

describe('the host', () => {
  let backend: Backend;
  let portico: Portico;
  let api: StandInApi;
  let directory: string;
  const clients: { destroy(): void }[] = [];

  beforeEach(async () => {
    assert.equal(process.getuid!(), 0, 'mount namespaces and other users need root');
    backend = await Backend.start();
    api = await StandInApi.start();
    api.put('nodes', node('n1'));
    api.put('services', service('apps', 'web'));
    api.put('endpointslices', slice('apps', 'web'));
    directory = await mkdtemp(path.join(tmpdir(), 'portico-host-'));
    await chmod(directory, 0o755);
    await mkdir(path.join(directory, 'disk'));
    writeKubeconfig(directory, { server: api.url });
    await chmod(path.join(directory, 'kubeconfig'), 0o644);
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    const left = await portico.close();
    await backend.close();
    await api.close();
    await rm(directory, { recursive: true });
    assert.deepEqual(left, [], 'no process outlives the program');
  });

  /** A cluster that is followed, a kept inventory and an access log on the disk. */
  function withCluster(over: object = {}): object {
    const disk = path.join(directory, 'disk');
    return configuration(backend, {
      workers: 1,
      clusters: [{ name: 'iad', kubeconfig: { path: path.join(directory, 'kubeconfig') } }],
      pools: [
        { name: 'app', sources: [{ static: [backend.at] }] },
        { name: 'nodes', sources: [{ cluster: 'iad', service: 'apps/web', port: 'http' }] },
      ],
      routes: [
        {
          name: 'all',
          hosts: ['*'],
          rules: [
            { matches: [{ path: { prefix: '/nodes' } }], pools: [{ name: 'nodes' }] },
            { pools: [{ name: 'app' }] },
          ],
        },
      ],
      stateDirectory: path.join(disk, 'state'),
      log: { access: { path: path.join(disk, 'access.jsonl'), bufferBytes: '64KiB' } },
      ...over,
    });
  }

  const mountDisk = (size: number): string =>
    `mount -t tmpfs -o size=${size},mode=0755,uid=${NOBODY},gid=${NOBODY} disk ${path.join(directory, 'disk')}`;

  const kept = async (): Promise<readonly string[]> =>
    (await readdir(inside(portico.pid, path.join(directory, 'disk/state'))).catch(() => [])).filter((file) =>
      file.endsWith('.json'),
    );

  async function client(): Promise<KeepAliveClient> {
    const made = await KeepAliveClient.connect(portico.port());
    clients.push(made);
    return made;
  }

  it('runs as nobody, without a capability, on a file system that is read-only but for one small disk', async () => {
    const readOnly = ['mount -o remount,bind,ro /', 'mount -t tmpfs -o ro none /var/tmp'];
    const launched = Portico.launch(
      withCluster(),
      'info',
      enclosed([mountDisk(DISK_BYTES), ...readOnly], { asNobody: true }),
    );
    portico = await launched;
    await chmod(portico.directory, 0o755);
    await portico.untilServing(1);
    const [worker] = await portico.untilServing(1);
    for (const pid of [portico.pid, ...(await portico.processes())]) {
      const status = await readFile(`/proc/${pid}/status`, 'latin1');
      assert.match(status, new RegExp(`^Uid:\\t${NOBODY}\\t${NOBODY}\\t${NOBODY}\\t${NOBODY}$`, 'm'));
      assert.match(status, /^CapEff:\t0{16}$/m);
      assert.match(status, /^CapBnd:\t0{16}$/m);
      assert.match(status, /^NoNewPrivs:\t1$/m);
      const mounts = await readFile(`/proc/${pid}/mounts`, 'latin1');
      assert.match(mounts, /^\S+ \/ \S+ ro,/m, 'the root is read-only');
    }
    const one = await client();
    await one.request();
    await until('the inventory to be kept', async () => (await kept()).length === 1);
    // Everything that happens later works there too: reload, a new worker, a new controller.
    portico.signal('SIGHUP');
    await portico.logged('reloaded');
    process.kill(worker!, 'SIGKILL');
    process.kill(await portico.controller(), 'SIGKILL');
    await portico.untilServing(1, [worker!]);
    await (await client()).request();
    await until('a line in the access log', async () => {
      const log = inside(portico.pid, path.join(directory, 'disk/access.jsonl'));
      return (await readFile(log, 'utf8').catch(() => '')).includes('"status":200');
    });
    const errors = portico.log.filter(({ level }) => level === 'error').map(({ code }) => code);
    assert.deepEqual(
      errors.sort(),
      ['controller-died', 'worker-died'],
      'nothing wanted to write anywhere else',
    );
  });

  it('goes on while the disk of the access log and the inventory is full, and writes again when it is not', async () => {
    portico = await Portico.start(
      withCluster(),
      'info',
      enclosed(
        [
          mountDisk(DISK_BYTES),
          `cd ${directory}`,
          'dd if=/dev/zero of=disk/filler bs=64k 2>/dev/null || true',
        ],
        {
          asNobody: false,
        },
      ),
      1,
    );
    await portico.logged('inventory-write-failed');
    const one = await client();
    for (let request = 0; request < 600; request += 1) await one.request();
    const failed = await portico.logged('access-log-failed');
    assert.match(String(failed['error']), /ENOSPC/);
    await until('lost lines to be counted', async () => {
      const labels = { reason: 'write-error' };
      return (await portico.metric('portico_access_log_lines_lost_total', labels)) > 0;
    });
    const failures = { result: 'write-failed' };
    assert.ok((await portico.metric('portico_inventory_file_total', failures)) > 0);
    assert.deepEqual(await kept(), []);
    await rm(inside(portico.pid, path.join(directory, 'disk/filler')));
    await until('the inventory to be kept', async () => (await kept()).length === 1);
    assert.ok((await portico.metric('portico_inventory_file_total', { result: 'written' })) > 0);
    await one.request('GET /after HTTP/1.1\r\nHost: a\r\n\r\n');
    await until('the log to go on', async () => {
      const log = inside(portico.pid, path.join(directory, 'disk/access.jsonl'));
      return (await readFile(log, 'utf8')).includes('"path":"/after"');
    });
    assert.equal(one.answered, 601);
  });

  it('keeps the addresses of a target whose name vanishes, and follows it when it comes back elsewhere', async () => {
    const elsewhere = await Backend.start('elsewhere', '127.0.0.2', Number(backend.at.split(':')[1]));
    try {
      const hosts = path.join(directory, 'hosts');
      const resolv = path.join(directory, 'resolv.conf');
      const say = (address: string | null): Promise<void> =>
        writeFile(hosts, `127.0.0.1 localhost\n${address === null ? '' : `${address} app.portico.test\n`}`);
      await say('127.0.0.1');
      // Nobody answers there: a name server that is gone.
      await writeFile(resolv, 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n');
      const over = {
        workers: 1,
        pools: [
          {
            name: 'app',
            sources: [{ static: [backend.at.replace('127.0.0.1', 'app.portico.test')] }],
            connections: { idlePerTarget: 0 },
            health: { tcp: {}, interval: '500ms' },
          },
        ],
      };
      portico = await Portico.start(
        configuration(backend, over),
        'info',
        enclosed([`mount --bind ${hosts} /etc/hosts`, `mount --bind ${resolv} /etc/resolv.conf`], {
          asNobody: false,
        }),
        1,
      );
      const one = await client();
      assert.match(await one.request(), /ok$/);
      await say(null);
      await until('a look-up that failed', async () => {
        assert.match(await one.request(), /ok$/);
        return (await portico.metric('portico_name_lookups_total', { result: 'kept' })) > 1;
      });
      await portico.logged('name-unresolved');
      for (let request = 0; request < 50; request += 1) assert.match(await one.request(), /ok$/);
      await say('127.0.0.2');
      await until('the new address to be used', async () => (await one.request()).endsWith('elsewhere'));
      assert.equal(await portico.metric('portico_failures_total'), 0);
    } finally {
      await elsewhere.close();
    }
  });

  it('replaces a controller that hangs while traffic goes on', async () => {
    const inject = path.join(import.meta.dirname, '../faults/inject.ts');
    portico = await Portico.start(
      configuration(backend, { workers: 1 }),
      'info',
      { environment: { NODE_OPTIONS: `--import=${inject}` } },
      1,
    );
    const one = (await client()).run();
    const controller = await portico.controller();
    process.kill(controller, HANG);
    const hung = await until(
      'the hang to be noticed',
      () => portico.log.find(({ code }) => code === 'controller-hung'),
      60_000,
    );
    assert.equal(hung['pid'], controller);
    await until('another controller', async () => (await portico.tryAdmin('/live'))?.status === 200);
    const labels = { role: 'controller', reason: 'hung' };
    await until(
      'the count',
      async () => (await portico.metric('portico_worker_restarts_total', labels)) === 1,
    );
    await one.stop();
    assert.deepEqual(one.failures, []);
  });
});
