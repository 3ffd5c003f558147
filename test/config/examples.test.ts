// Every example under config/ loads, and the shapes that the documentation promises load as they are written.

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../src/config/load.ts';
import { problems, valid } from './support.ts';

const directory = fileURLToPath(new URL('../../config/', import.meta.url));
const examples = (await readdir(directory)).filter((name) => name.endsWith('.yaml'));

test('there are the three examples that the documentation names', () => {
  assert.deepEqual(examples.toSorted(), ['github.yaml', 'minimal.yaml', 'static.yaml']);
});

for (const name of examples) {
  test(`the example ${name} loads, with no warning but for the kubeconfig that is the reader's own`, async () => {
    const result = await loadConfig(`${directory}${name}`, {}, Date.now());
    assert.ok('config' in result, JSON.stringify(result));
    assert.deepEqual(
      result.warnings.filter(({ code }) => code !== 'kubeconfig-missing'),
      [],
    );
  });
}

test('every yaml block of the reference that begins with listeners is a whole configuration', async () => {
  const page = await readFile(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  const blocks = [...page.matchAll(/```yaml\n(listeners:[\s\S]*?)```/g)];
  assert.ok(blocks.length > 0);
  for (const [, text = ''] of blocks) {
    valid(text);
  }
});

/** The shape that the design of the configuration promises, with every short and long form in it. */
const SHAPE = `clusters:
  - name: iad
    kubeconfig: { path: ./kubeconfig, context: iad }     # or inCluster: true
    nodes: { selector: "pool=web", address: InternalIP }
listeners:
  - { name: web, bind: ":8080", protocol: http }
  - { name: websecure, bind: ":8443", protocol: https, tls: { certificates: [{ cert: tls.crt, key: tls.key }] } }
  - { name: git-ssh, bind: ":2222", protocol: tcp, pool: git-ssh }
pools:
  - name: unicorn
    sources: [{ cluster: iad, service: github-production/unicorn, port: http }]
    policy: least-request
    health: { http: { path: /_ping }, interval: 2s, timeout: 1s, rise: 2, fall: 3 }
  - name: unicorn-api
    sources: [{ cluster: iad, service: github-production/unicorn-api, port: http }]
  - name: git-ssh
    sources: [{ cluster: iad, service: git-production/ssh, port: ssh }]
    policy: { name: rendezvous, key: source-ip }
    health: { ssh: {} }
  - name: unicorn-canary
    sources: [{ cluster: iad, service: github-production/unicorn-canary, port: http }]
routes:
  - name: github
    hosts: [github.example.com]
    rules:
      - matches: [{ path: { prefix: /api } }]
        pools: [{ name: unicorn-api }]
      - pools: [{ name: unicorn, weight: 95 }, { name: unicorn-canary, weight: 5 }]
  - name: review-lab
    hosts: ["{branch}.review-lab.example.com"]           # a namespace for every branch
    rules:
      - service: { cluster: iad, name: "review-lab-{branch}/unicorn", port: http }
admin: { bind: "127.0.0.1:9901" }
`;

test('the designed shape loads, paths absolute and the service rule with a template of its own', () => {
  const config = valid(SHAPE);
  assert.deepEqual(config.clusters[0]?.kubeconfig, { path: '/etc/portico/kubeconfig', context: 'iad' });
  assert.deepEqual(config.listeners[1]?.tls, {
    certificates: [{ kind: 'files', cert: '/etc/portico/tls.crt', key: '/etc/portico/tls.key', ocsp: null }],
    unknownNames: 'default',
    profile: 'intermediate',
    tickets: true,
    clientAuth: null,
  });
  const action = config.routes[1]?.rules[0]?.action;
  assert.ok(action?.kind === 'service');
  assert.equal(action.service, 'review-lab-{branch}/unicorn');
  assert.equal(action.template.name, 'review-lab/0');
  assert.deepEqual(action.template.sources, []);
  assert.deepEqual(config.routes[1]?.hosts[0], {
    kind: 'capture',
    text: '{branch}.review-lab.example.com',
    names: ['branch'],
    regex: '^(?<branch>[a-z0-9-]{1,63})\\.review-lab\\.example\\.com$',
  });
});

test('without its canary pool the designed shape has exactly that problem', () => {
  const text = SHAPE.replace(/ {2}- name: unicorn-canary\n.*\n/, '');
  assert.deepEqual(
    problems(text).map(({ code, line, column }) => [code, line, column]),
    [['pool-unknown', 26, 56]],
  );
});
