// Loading from a file: what the file names must be there and fit together, and every fault has its place.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { MINIMAL } from './support.ts';

let directory = '';

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portico-config-'));
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      join(directory, 'tls.key'),
      '-out',
      join(directory, 'tls.crt'),
      '-days',
      '2',
      '-subj',
      '/CN=example.com',
    ],
    { stdio: 'ignore' },
  );
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeFile(join(directory, 'other.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await writeFile(join(directory, 'garbage.pem'), 'not a pem file');
  await writeFile(join(directory, 'empty'), '\n');
});

after(() => rm(directory, { recursive: true }));

async function codes(text: string | Buffer): Promise<unknown> {
  const path = join(directory, 'portico.yaml');
  await writeFile(path, text);
  const result = await loadConfig(path, {}, Date.now());
  return 'problems' in result
    ? result.problems.map(({ code, line, column }) => [code, line, column])
    : 'valid';
}

const tls = (cert: string, key: string): string =>
  `${MINIMAL.replace('protocol: http }', `protocol: https,\n      tls: { certificates: [{\n        cert: ${cert},\n        key: ${key} }] } }`)}`;

test('a certificate with its key loads', async () => {
  assert.equal(await codes(tls('tls.crt', 'tls.key')), 'valid');
});

test('a certificate that is a pipe or a device is a problem, and nobody waits for it', async () => {
  execFileSync('mkfifo', [join(directory, 'pipe')]);
  for (const path of ['pipe', '/dev/zero'])
    assert.deepEqual(await codes(tls(path, 'tls.key')), [['file-unreadable', 4, 15]]);
});

test('a certificate that no handshake could use is told at the certificate', async () => {
  const whole = await readFile(join(directory, 'tls.crt'), 'utf8');
  await writeFile(join(directory, 'cut-chain.crt'), `${whole}${whole.slice(0, whole.length / 2)}`);
  assert.deepEqual(await codes(tls('cut-chain.crt', 'tls.key')), [['tls-unusable', 4, 15]]);
});

test('a certificate and a key that do not belong together are told at the key', async () => {
  assert.deepEqual(await codes(tls('tls.crt', 'other.key')), [['tls-mismatch', 5, 14]]);
});

test('files that are missing or hold something else are told at their names', async () => {
  assert.deepEqual(await codes(tls('none.crt', 'none.key')), [
    ['file-unreadable', 4, 15],
    ['file-unreadable', 5, 14],
  ]);
  assert.deepEqual(await codes(tls('garbage.pem', 'garbage.pem')), [
    ['tls-certificate', 4, 15],
    ['tls-key', 5, 14],
  ]);
});

test('a token file must hold something', async () => {
  assert.deepEqual(await codes(`${MINIMAL}admin: { tokenFile: empty }\n`), [['file-empty', 7, 21]]);
});

test('a kubeconfig that is not there yet is a warning', async () => {
  const path = join(directory, 'cluster.yaml');
  await writeFile(path, `${MINIMAL}clusters: [{ name: iad, kubeconfig: { path: nowhere } }]\n`);
  const result = await loadConfig(path, {}, Date.now());
  assert.ok('config' in result);
  assert.deepEqual(
    result.warnings.map(({ code }) => code),
    ['cluster-unused', 'kubeconfig-missing'],
  );
  assert.equal(result.config.clusters[0]?.kubeconfig?.path, join(directory, 'nowhere'));
});

test('a kubeconfig that cannot be used is a warning at its path, with what is wrong', async () => {
  const path = join(directory, 'cluster.yaml');
  await writeFile(path, `${MINIMAL}clusters: [{ name: iad, kubeconfig: { path: empty, context: gone } }]\n`);
  const fault = async (kubeconfig: unknown): Promise<string> => JSON.stringify(kubeconfig);
  const result = await loadConfig(path, {}, Date.now(), fault);
  assert.ok('config' in result);
  const warning = result.warnings.find(({ code }) => code === 'kubeconfig-unusable');
  assert.deepEqual([warning?.line, warning?.column], [7, 45]);
  assert.ok(warning?.message.endsWith(`{"path":"${join(directory, 'empty')}","context":"gone"}`));
  const unread = await loadConfig(path, {}, Date.now());
  assert.ok('config' in unread && unread.warnings.every(({ code }) => code !== 'kubeconfig-unusable'));
});

test('an access log that cannot be written now is a warning', async () => {
  const path = join(directory, 'log.yaml');
  const warned = async (log: string) => {
    await writeFile(path, `${MINIMAL}log: { access: { path: ${log} } }\n`);
    const result = await loadConfig(path, {}, Date.now());
    assert.ok('config' in result);
    return result.warnings.map(({ code, line, column }) => [code, line, column]);
  };
  const unwritable = [['log-unwritable', 7, 24]];
  assert.deepEqual(await warned('nowhere/access.log'), unwritable);
  assert.deepEqual(await warned('.'), unwritable);
  for (const path of ['access.log', 'log.yaml', '/dev/null', 'stdout', 'off'])
    assert.deepEqual(await warned(path), [], path);
});

test('a file that is missing, a directory, too large or not UTF-8 is a problem of the file', async () => {
  assert.deepEqual(await codes(Buffer.from([0x61, 0xff, 0xfe])), [['file-encoding', 1, 1]]);
  assert.deepEqual(await codes(Buffer.from('workers: 1\n# caf\xe9\n', 'latin1')), [['file-encoding', 2, 1]]);
  assert.deepEqual(await codes('x'.repeat(4 * 1024 * 1024 + 1)), [['file-too-large', 1, 1]]);
  for (const path of [join(directory, 'missing.yaml'), directory]) {
    const result = await loadConfig(path, {}, Date.now());
    assert.ok('problems' in result);
    assert.deepEqual(
      result.problems.map(({ code }) => code),
      ['file-unreadable'],
    );
  }
});
