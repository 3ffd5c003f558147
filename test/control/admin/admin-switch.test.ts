// The admin HTTP follows the configuration: who may call changes where it listens already.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { pino } from 'pino';
import { AdminSwitch } from '../../../src/control/admin/admin-switch.ts';
import type { AdminConfig } from '../../../src/model/config.ts';
import { freePort } from '../../support/free-port.ts';
import { FakeSource } from './fake-source.ts';

describe('the admin HTTP in force', () => {
  let directory = '';
  let admin = new AdminSwitch(new FakeSource(), pino({ level: 'silent' }));
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'portico-admin-'));
  });
  afterEach(async () => {
    await admin.close();
    admin = new AdminSwitch(new FakeSource(), pino({ level: 'silent' }));
  });
  after(() => rm(directory, { recursive: true }));

  /** Status of a call that names this host. */
  function statusFor(host: string, { port, unixPath }: AdminConfig): Promise<number> {
    const place = unixPath === null ? { host: '127.0.0.1', port } : { socketPath: unixPath };
    return new Promise((resolve, reject) => {
      const call = request({ ...place, path: '/live', headers: { host }, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      call.on('error', reject);
      call.end();
    });
  }

  for (const kind of ['address', 'UNIX socket']) {
    it(`takes other hosts and another token on the ${kind} that it listens on`, async () => {
      const unixPath = kind === 'address' ? null : join(directory, 'admin.sock');
      const port = kind === 'address' ? await freePort() : 0;
      const config: AdminConfig = { host: '127.0.0.1', port, unixPath, tokenFile: null, hosts: [] };
      await admin.use(config);
      assert.equal(await statusFor('admin.example.com', config), 403);
      await admin.use({ ...config, tokenFile: join(directory, 'token'), hosts: ['admin.example.com'] });
      assert.equal(await statusFor('admin.example.com', config), 200);
      await admin.use(config);
      assert.equal(await statusFor('admin.example.com', config), 403);
    });
  }

  it('moves to an address that overlaps with its own, and stays where another is in the way', async () => {
    const port = await freePort();
    const config: AdminConfig = { host: '127.0.0.1', port, unixPath: null, tokenFile: null, hosts: [] };
    await admin.use(config);
    await admin.use({ ...config, host: '0.0.0.0' });
    assert.equal(await statusFor('localhost', config), 200);
    await admin.use(config);
    const other = net.createServer().listen(port, '127.0.0.2');
    await once(other, 'listening');
    await assert.rejects(admin.use({ ...config, host: '0.0.0.0' }), { code: 'EADDRINUSE' });
    assert.equal(await statusFor('localhost', config), 200);
    other.close();
    await once(other, 'close');
    await admin.use({ ...config, host: '0.0.0.0' });
    assert.equal(await statusFor('localhost', config), 200);
  });
});
