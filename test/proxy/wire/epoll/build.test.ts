// Whether the sockets and the TLS of workers are built where they can be, and loaded where they were.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { platform, tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { loadPoller } from '../../../../src/proxy/wire/epoll/load-poller.ts';
import { loadTls } from '../../../../src/proxy/wire/epoll/tls.ts';

const FOLDER = path.join(import.meta.dirname, '../../../../src/proxy/wire/epoll');

function build(folder: string, environment: NodeJS.ProcessEnv): { status: number | null; said: string } {
  const { status, stderr } = spawnSync('sh', [path.join(FOLDER, 'build.sh'), folder], {
    encoding: 'utf8',
    env: environment,
  });
  return { status, said: stderr };
}

describe('the sockets past libuv', () => {
  it('compile without a warning, where there is a compiler', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'portico-sockets-'));
    try {
      const { status, said } = build(folder, process.env);
      assert.equal(status, 0);
      const built = ['sockets.node', 'tls.node'].map((name) => existsSync(path.join(folder, name)));
      if (built[0]) assert.deepEqual([said, built], ['', [true, true]]);
      else assert.match(said, platform() === 'linux' ? /no C compiler/ : /it is for Linux/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('are left out with a reason where there is no compiler, and nothing fails', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'portico-sockets-'));
    try {
      const { status, said } = build(folder, { ...process.env, CC: 'no-such-compiler' });
      assert.equal(status, 0);
      assert.match(said, platform() === 'linux' ? /no C compiler: no-such-compiler/ : /it is for Linux/);
      assert.deepEqual(readdirSync(folder), []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('are loaded where they were built, once in a process', () => {
    const [poller, tls] = [loadPoller(), loadTls()];
    const isForbidden =
      process.execArgv.includes('--no-addons') || process.env['NODE_OPTIONS']?.includes('--no-addons');
    assert.equal(poller !== null, existsSync(path.join(FOLDER, 'sockets.node')) && isForbidden !== true);
    assert.equal(tls !== null, existsSync(path.join(FOLDER, 'tls.node')) && isForbidden !== true);
    assert.deepEqual([loadPoller(), loadTls()], [poller, tls]);
  });
});
