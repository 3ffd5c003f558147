// Which namespaces are read: no more than the configuration names, the whole cluster only where a capture needs it.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import type { Scopes } from '../../src/control/discovery/discovery.ts';
import { scopesOf } from '../../src/control/scopes.ts';

/** The scopes of a configuration with clusters iad and fra, these services as pools, and these as rules of iad. */
async function scopes(
  pools: readonly (readonly [string, string])[],
  rules: readonly string[] = [],
): Promise<Scopes> {
  const directory = await mkdtemp(path.join(tmpdir(), 'portico-scopes-'));
  try {
    await writeFile(path.join(directory, 'kubeconfig'), '{}');
    const file = path.join(directory, 'portico.yaml');
    const configuration = {
      clusters: ['iad', 'fra'].map((name) => ({ name, kubeconfig: { path: './kubeconfig' } })),
      listeners: [{ name: 'web', bind: '127.0.0.1:8080', protocol: 'http' }],
      pools: [
        { name: 'static', sources: [{ static: ['127.0.0.1:9001'] }] },
        ...pools.map(([cluster, service], index) => ({
          name: `pool-${index}`,
          sources: [{ cluster, service, port: 'http' }],
        })),
      ],
      routes: [
        {
          name: 'all',
          hosts: [rules.length === 0 ? '*' : '{branch}.example.com'],
          rules: [
            ...rules.map((name, index) => ({
              matches: [{ path: { prefix: `/rule-${index}` } }],
              service: { cluster: 'iad', name, port: 'http' },
            })),
            { pools: ['static', ...pools.map((_, index) => `pool-${index}`)].map((name) => ({ name })) },
          ],
        },
      ],
    };
    await writeFile(file, JSON.stringify(configuration));
    const result = await loadConfig(file, {}, Date.now());
    assert.ok(!('problems' in result), JSON.stringify(result));
    return scopesOf(result.config);
  } finally {
    await rm(directory, { recursive: true });
  }
}

describe('scopes', () => {
  it('names each namespace of a cluster once, in order', async () => {
    const pools = [
      ['iad', 'web/unicorn'],
      ['iad', 'git/ssh'],
      ['iad', 'web/api'],
      ['fra', 'eu/unicorn'],
    ] as const;
    assert.deepEqual(await scopes(pools), { iad: ['git', 'web'], fra: ['eu'] });
  });

  it('reads nothing from a cluster that nothing refers to', async () => {
    assert.deepEqual(await scopes([['iad', 'web/unicorn']]), { iad: ['web'], fra: [] });
  });

  it('reads only the namespace of a rule whose capture is in the name of the service', async () => {
    assert.deepEqual(await scopes([], ['lab/unicorn-{branch}']), { iad: ['lab'], fra: [] });
  });

  it('reads the whole cluster where a capture is in the namespace, and no other cluster', async () => {
    const whole = await scopes(
      [
        ['iad', 'web/unicorn'],
        ['fra', 'eu/unicorn'],
      ],
      ['lab-{branch}/unicorn'],
    );
    assert.deepEqual(whole, { iad: 'all', fra: ['eu'] });
  });
});
