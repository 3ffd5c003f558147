// Secrets: only the named ones are read, each by a watch of its own, and nothing of them leaves memory.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { createDiscovery, type Discovery } from '../../../src/control/discovery/discovery.ts';
import { createInventoryStore } from '../../../src/control/discovery/inventory-store.ts';
import { faults, type RawObject, StandInApi } from '../../support/stand-in-api.ts';
import {
  clusterConfig,
  eventually,
  HandClock,
  node,
  recordCounts,
  recordLog,
  temporaryDirectory,
  writeKubeconfig,
} from './world.ts';

const CERT = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
const KEY = '-----BEGIN PRIVATE KEY-----\nPRIVATE-MATERIAL\n-----END PRIVATE KEY-----\n';
const encoded = (text: string): string => Buffer.from(text).toString('base64');

function secret(name: string, over: RawObject = {}): RawObject {
  return {
    metadata: { name, namespace: 'web' },
    type: 'kubernetes.io/tls',
    data: { 'tls.crt': encoded(CERT), 'tls.key': encoded(KEY) },
    ...over,
  };
}

async function start(context: TestContext, api: StandInApi, names: readonly string[]) {
  const clock = new HandClock();
  const counts = recordCounts();
  const { log, lines } = recordLog();
  const directory = temporaryDirectory(context);
  const cluster = clusterConfig('iad', writeKubeconfig(temporaryDirectory(context), { server: api.url }));
  let changes = 0;
  const discovery: Discovery = createDiscovery({
    clusters: [cluster],
    scopes: {},
    secrets: { iad: names },
    onSecrets: () => {
      changes += 1;
    },
    store: createInventoryStore({ directory, clock, log, onCount: counts.onCount }),
    clock,
    random: () => 0.5,
    log,
    environment: {},
    onChange: () => {},
    onCount: counts.onCount,
  });
  context.after(() => discovery.close());
  return { discovery, cluster, counts, lines, directory, changes: () => changes };
}

async function standIn(context: TestContext): Promise<StandInApi> {
  const api = await StandInApi.start();
  context.after(() => api.close());
  api.put('nodes', node('n1'));
  return api;
}

test('each named secret is listed and watched by name, in its namespace, and no other is read', async (context) => {
  const api = await standIn(context);
  api.put('secrets', secret('www'));
  api.put('secrets', secret('other'));
  const { discovery } = await start(context, api, ['web/www', 'web/absent']);
  await eventually(() => api.watches('secrets') === 2);
  for (const request of [...api.lists('secrets'), ...api.watchRequests('secrets')]) {
    assert.equal(request.namespace, 'web');
    assert.match(request.query.get('fieldSelector') ?? '', /^metadata\.name=(www|absent)$/);
  }
  const fact = discovery.secret('iad', 'web/www');
  assert.ok(typeof fact === 'object');
  assert.deepEqual([fact.cert, fact.key], [CERT, KEY]);
  assert.equal(discovery.secret('iad', 'web/absent'), 'missing');
  assert.equal(discovery.secret('iad', 'web/other'), undefined, 'nobody asked for it');
});

test('a changed secret is told of, a bad or deleted one is not taken for one, and scopes follow a reload', async (context) => {
  const api = await standIn(context);
  api.put('secrets', secret('www'));
  const { discovery, cluster, changes, counts } = await start(context, api, ['web/www']);
  await eventually(
    () => typeof discovery.secret('iad', 'web/www') === 'object' && api.watches('secrets') === 1,
  );
  const before = changes();
  api.put('secrets', secret('www', { data: { 'tls.crt': encoded('renewed'), 'tls.key': encoded(KEY) } }));
  await eventually(() => changes() > before);
  assert.equal((discovery.secret('iad', 'web/www') as { cert: string }).cert, 'renewed');
  api.put('secrets', secret('www', { type: 'Opaque' }));
  api.put('secrets', secret('www', { data: { 'tls.crt': encoded(CERT) } }));
  await eventually(() => counts.of('bad-object').length >= 2);
  assert.equal(
    (discovery.secret('iad', 'web/www') as { cert: string }).cert,
    'renewed',
    'the good version stays',
  );
  api.delete('secrets', 'www', 'web');
  await eventually(() => discovery.secret('iad', 'web/www') === 'missing');
  discovery.setClusters([cluster], {}, { iad: ['web/second'] });
  api.put('secrets', secret('second'));
  await eventually(() => typeof discovery.secret('iad', 'web/second') === 'object');
  assert.equal(discovery.secret('iad', 'web/www'), undefined);
});

test('a secret that may not be read holds up nothing else', async (context) => {
  const api = await standIn(context);
  api.script(({ resource }) => resource === 'secrets', faults.status(403, 'Forbidden'), 1000);
  const { discovery } = await start(context, api, ['web/www']);
  await eventually(() => discovery.status()[0]?.live === true);
  assert.equal(discovery.secret('iad', 'web/www'), undefined);
  await eventually(() => discovery.status()[0]?.kinds.secrets.failing === true);
});

test('keys are in no file, no log line and no status', async (context) => {
  const api = await standIn(context);
  api.put('secrets', secret('www'));
  api.put('secrets', secret('bad', { data: { 'tls.crt': encoded(CERT), 'tls.key': { a: KEY } } }));
  const { discovery, lines, directory } = await start(context, api, ['web/www', 'web/bad']);
  await eventually(
    () => typeof discovery.secret('iad', 'web/www') === 'object' && discovery.status()[0]?.live === true,
  );
  const shown = JSON.stringify([discovery.status(), discovery.inventory(), lines]);
  await discovery.close();
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  assert.ok(files.length > 0, 'the inventory is kept');
  const kept = files.map((file) => readFileSync(path.join(file.parentPath, file.name), 'latin1')).join();
  for (const text of [shown, kept]) {
    assert.doesNotMatch(text, /PRIVATE/);
    assert.ok(!text.includes(encoded(KEY)));
  }
});
