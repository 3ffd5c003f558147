// Drains as an operator makes them: over the command line, and still there after Portico was stopped and started again.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { clusterConfig, node, service, slice, writeKubeconfig } from '../control/discovery/world.ts';
import { StandInApi } from '../support/stand-in-api.ts';
import { until } from '../support/until.ts';
import { Backend, configuration } from './load.ts';
import { Portico } from './portico.ts';

const PROGRAM = path.join(import.meta.dirname, '../../src/portico.js');

describe('drains', () => {
  let backend: Backend;
  let api: StandInApi;
  let directory: string;
  const running: Portico[] = [];

  beforeEach(async () => {
    backend = await Backend.start();
    api = await StandInApi.start();
    directory = await mkdtemp(path.join(tmpdir(), 'portico-drains-'));
    for (const [name, address] of [
      ['n1', '127.0.0.1'],
      ['n2', '127.0.0.2'],
    ] as const) {
      api.put('nodes', node(name, { status: { addresses: [{ type: 'InternalIP', address }] } }));
    }
    api.put('services', service('shop', 'web', Number(backend.at.split(':')[1])));
    api.put('endpointslices', slice('shop', 'web'));
  });

  afterEach(async () => {
    const left: number[] = [];
    for (const portico of running.splice(0)) left.push(...(await portico.close()));
    await api.close();
    await backend.close();
    await rm(directory, { recursive: true, force: true });
    assert.deepEqual(left, [], 'no process outlives the program');
  });

  async function start(): Promise<Portico> {
    const { name } = clusterConfig('iad', '');
    const portico = await Portico.start(
      configuration(backend, {
        stateDirectory: path.join(directory, 'state'),
        clusters: [{ name, kubeconfig: { path: writeKubeconfig(directory, { server: api.url }) } }],
        pools: [{ name: 'app', sources: [{ cluster: 'iad', service: 'shop/web', port: 'http' }] }],
      }),
    );
    running.push(portico);
    return portico;
  }

  async function command(portico: Portico, ...words: string[]): Promise<string> {
    const admin = `http://127.0.0.1:${portico.adminPort}`;
    const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, ...words, '--admin', admin]);
    return stdout;
  }

  const states = async (portico: Portico): Promise<string> => {
    const { body } = await portico.admin('/targets');
    const { targets } = JSON.parse(body) as { targets: { node: string; state: string }[] };
    return targets.map(({ node: name, state }) => `${name} ${state}`).join(', ');
  };

  it('outlive a full stop and start, and end by undrain', async () => {
    const first = await start();
    assert.equal(
      await command(first, 'drain', 'n1', '--wait', '--timeout', '20s'),
      'Node n1 takes no new flow; 0 flows left.\n',
    );
    first.signal('SIGTERM');
    assert.deepEqual(await first.exited, { code: 0, signal: null });

    const second = await start();
    assert.equal(await states(second), 'n1 draining, n2 active');
    const drained = JSON.parse(await command(second, 'drain', 'n1', '--wait', '--json')) as object;
    assert.deepEqual(drained, {
      cluster: 'iad',
      node: 'n1',
      state: 'gone',
      draining: true,
      drained: true,
      flows: 0,
      kept: true,
    });
    assert.equal(await command(second, 'undrain', 'n1'), 'Node n1 is used again.\n');
    await until('n1 active', async () => (await states(second)) === 'n1 active, n2 active');
    assert.equal(await command(second, 'drain', 'iad'), 'Cluster iad takes no new flow; 0 flows left.\n');
    second.signal('SIGTERM');
    await second.exited;

    const third = await start();
    assert.equal(await states(third), 'n1 draining, n2 draining');
    assert.match((await third.admin('/drains')).body, /"cluster":"iad","node":null/);
  });

  it('are still in force after the controller was killed', async () => {
    const portico = await start();
    await command(portico, 'drain', 'n2');
    const from = portico.log.length;
    process.kill(await portico.controller(), 'SIGKILL');
    await portico.logged('controller-died', from);
    await until('a new controller', () =>
      portico.log.slice(from).some(({ message }) => message === 'admin HTTP listens'),
    );
    await until('n2 draining', async () => (await states(portico)) === 'n1 active, n2 draining');
  });
});
