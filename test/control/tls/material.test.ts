// Certificates that change under a running Portico: taken when good, kept as they were when not, however files are swapped.

import assert from 'node:assert/strict';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { createSystemClock } from '../../../src/control/discovery/clock.ts';
import { Material, type MaterialResult } from '../../../src/control/tls/material.ts';
import { readSecrets } from '../../../src/control/tls/read-secrets.ts';
import type { Config } from '../../../src/model/config.ts';
import type { CertificateSource } from '../../../src/model/listener-config.ts';
import { certificateKey } from '../../../src/model/secrets.ts';
import { Authority, type Issued } from '../../support/authority.ts';
import { httpsListener } from '../../support/tls.ts';
import { until } from '../../support/until.ts';
import { recordLog } from '../discovery/world.ts';

/** Only what material looks at. */
function configOf(certificates: readonly CertificateSource[], ca: string | null = null): Config {
  const clientAuth = ca === null ? null : { mode: 'optional' as const, ca, crl: null };
  return {
    listeners: [httpsListener(0, { certificates, clientAuth })],
    pools: [],
    routes: [],
  } as unknown as Config;
}

describe('material', () => {
  let authority: Authority;
  let first: Issued;
  let second: Issued;
  let directory: string;
  let material: Material;
  let results: [string, MaterialResult][];
  let changes: number;
  let lines: string[];
  let nowMs: number;

  before(async () => {
    authority = await Authority.create();
    first = await authority.issue({ names: ['first.example.com'], days: 30 });
    second = await authority.issue({ names: ['second.example.com'], days: 40 });
  });
  after(() => authority.close());

  beforeEach(async () => {
    directory = authority.path('live');
    await mkdir(directory);
    results = [];
    changes = 0;
    nowMs = Date.now();
    const recorded = recordLog();
    lines = recorded.lines;
    const clock = createSystemClock();
    material = new Material(
      {
        clock: {
          ...clock,
          now: () => nowMs,
          after: (ms, run) => clock.after(Math.min(ms, 50 + ms / 1e6), run),
        },
        log: recorded.log,
        onChange: () => {
          changes += 1;
        },
        onResult: (certificate, result) => results.push([certificate, result]),
      },
      null,
    );
  });
  afterEach(async () => {
    await material.close();
    await rm(directory, { recursive: true });
  });

  const file = (name: string): string => path.join(directory, name);
  const source = (): CertificateSource & { kind: 'files' } => ({
    kind: 'files',
    cert: file('tls.crt'),
    key: file('tls.key'),
    ocsp: null,
  });
  const inForce = (of: CertificateSource = source()): string | undefined =>
    material.secrets.pairs[certificateKey(of)]?.cert;

  async function write(pair: { cert: string; key: string }, into = directory): Promise<void> {
    await writeFile(path.join(into, 'tls.crt'), pair.cert);
    await writeFile(path.join(into, 'tls.key'), pair.key);
  }

  async function begin(config = configOf([source()])): Promise<void> {
    material.setConfig(config, await readSecrets(config));
    await material.watching;
  }

  it('takes a pair that is written over the one before, certificate first', async () => {
    await write(first);
    await begin();
    assert.equal(inForce(), first.cert);
    await write(second);
    await until('the new pair', () => inForce() === second.cert && changes === 1);
    assert.deepEqual(results, [[file('tls.crt'), 'taken']]);
    assert.deepEqual(material.certificates[0]?.names, ['second.example.com']);
  });

  it('keeps the OCSP response before in the place of one that says that there is none, and says so', async () => {
    const authority = await Authority.create();
    const issued = await authority.issue({ names: ['first.example.com'] });
    const other = await authority.issue({ names: ['other.example.com'] });
    const good = await authority.ocsp(issued);
    await authority.close();
    const of = { ...source(), ocsp: file('ocsp.der') };
    const staple = (): string | null | undefined => material.secrets.pairs[certificateKey(of)]?.staple;
    await write(issued);
    await writeFile(file('ocsp.der'), good);
    await begin(configOf([of]));
    assert.equal(staple(), good.toString('base64'));
    await writeFile(file('ocsp.der'), Buffer.from([0x30, 3, 0x0a, 1, 3]));
    await until('the refusal', () => results.some(([, result]) => result === 'ocsp-invalid'));
    assert.equal(staple(), good.toString('base64'));
    await write(other);
    await until('the next certificate, without it', () => inForce(of) === other.cert);
    assert.equal(staple(), null);
  });

  it('takes files that are renamed over those before', async () => {
    await write(first);
    await begin();
    for (const [name, text] of [
      ['tls.key', second.key],
      ['tls.crt', second.cert],
    ] as const) {
      await writeFile(file(`${name}.new`), text);
      await rename(file(`${name}.new`), file(name));
    }
    await until('the new pair', () => inForce() === second.cert);
  });

  it('takes what an atomic swap of a symbolic link shows, as the kubelet and certbot do it, again and again', async () => {
    const versions = [first, second, first];
    for (const [index, pair] of versions.entries()) {
      await mkdir(file(`..v${index}`));
      await write(pair, file(`..v${index}`));
    }
    await symlink('..v0', file('..data'));
    await symlink('..data/tls.crt', file('tls.crt'));
    await symlink('..data/tls.key', file('tls.key'));
    await begin();
    for (const [index, pair] of versions.entries()) {
      if (index === 0) continue;
      await symlink(`..v${index}`, file('..new'));
      await rename(file('..new'), file('..data'));
      await rm(file(`..v${index - 1}`), { recursive: true });
      await until(`version ${index}`, () => inForce() === pair.cert);
    }
    assert.deepEqual(
      results.map(([, result]) => result),
      ['taken', 'taken'],
    );
  });

  it('notices a swapped link in a directory above', async () => {
    await mkdir(file('a'));
    await mkdir(file('b'));
    await write(first, file('a'));
    await write(second, file('b'));
    await symlink('a', file('current'));
    const of = { ...source(), cert: file('current/tls.crt'), key: file('current/tls.key') };
    await begin(configOf([of]));
    await symlink('b', file('next'));
    await rename(file('next'), file('current'));
    await until('the new pair', () => inForce(of) === second.cert);
  });

  const broken: readonly (readonly [string, MaterialResult, () => Promise<void>])[] = [
    ['garbage for a certificate', 'certificate-invalid', () => writeFile(file('tls.crt'), 'garbage')],
    ['garbage for a key', 'certificate-key-invalid', () => writeFile(file('tls.key'), 'SECRET garbage')],
    [
      'the key of another certificate',
      'certificate-key-mismatch',
      () => writeFile(file('tls.key'), second.key),
    ],
    ['no file', 'certificate-unreadable', () => rm(file('tls.key'))],
  ];
  for (const [what, code, harm] of broken) {
    it(`keeps the pair before and says why once, given ${what}; a good one is taken afterwards`, async () => {
      await write(first);
      await begin();
      await harm();
      await until('the refusal', () => results.length > 0);
      assert.deepEqual(results, [[file('tls.crt'), code]]);
      assert.equal(inForce(), first.cert);
      assert.equal(changes, 0);
      assert.ok(lines.some((line) => line.includes(`"code":"${code}"`)));
      assert.doesNotMatch(lines.join(), /SECRET|PRIVATE/);
      await write(second);
      await until('the new pair', () => inForce() === second.cert);
    });
  }

  it('does not take an expired pair for one that lasts longer, but one that lasts longer than an expired one', async () => {
    await write(second);
    await begin();
    nowMs += 35 * 86_400_000;
    await write(first);
    await until('the refusal', () => results.length > 0);
    assert.deepEqual(results, [[file('tls.crt'), 'certificate-expired']]);
    assert.equal(inForce(), second.cert);
  });

  it('warns of certificates that expire within two weeks', async () => {
    const of: CertificateSource = { kind: 'secret', cluster: 'iad', namespace: 'web', name: 'www' };
    nowMs += 20 * 86_400_000;
    await begin(configOf([of]));
    material.setSecrets(() => ({ cert: first.cert, key: first.key, staple: null }));
    const warned = lines.filter((line) => line.includes('"code":"certificate-expires"'));
    assert.equal(warned.length, 1);
    assert.ok(warned[0]!.includes('first.example.com'));
  });

  it('takes a changed authority, and keeps the one before given garbage', async () => {
    await write(first);
    await writeFile(file('ca.pem'), authority.cert);
    await begin(configOf([source()], file('ca.pem')));
    await writeFile(file('ca.pem'), 'garbage');
    await until('the refusal', () => results.length === 1);
    assert.equal(material.secrets.files[file('ca.pem')], authority.cert);
    const both = authority.cert + first.cert;
    await writeFile(file('ca.pem'), both);
    await until('the new authorities', () => material.secrets.files[file('ca.pem')] === both);
    assert.deepEqual(
      results.map(([, result]) => result),
      ['authority-invalid', 'taken'],
    );
  });

  it('is not set back by a configuration that is put back in force with what was read for it', async () => {
    await write(first);
    const config = configOf([source()]);
    const loaded = await readSecrets(config);
    material.setConfig(config, loaded);
    await material.watching;
    await write(second);
    await until('the new pair', () => inForce() === second.cert);
    material.setConfig(config, loaded);
    assert.equal(inForce(), second.cert);
  });

  it('takes Secrets, keeps the last good pair when one is broken or gone, and tells of that once', async () => {
    const of: CertificateSource = { kind: 'secret', cluster: 'iad', namespace: 'web', name: 'www' };
    await begin(configOf([of]));
    const offer = (pair: { cert: string; key: string } | 'missing'): boolean =>
      material.setSecrets(() =>
        pair === 'missing' ? pair : { cert: pair.cert, key: pair.key, staple: null },
      );
    assert.equal(offer('missing'), false);
    assert.equal(offer(first), true);
    assert.equal(offer(first), false, 'the same again');
    for (let round = 0; round < 2; round += 1)
      assert.equal(offer({ cert: second.cert, key: first.key }), false);
    for (let round = 0; round < 2; round += 1) assert.equal(offer('missing'), false);
    assert.equal(inForce(of), first.cert);
    assert.deepEqual(results, [
      ['iad/web/www', 'certificate-missing'],
      ['iad/web/www', 'certificate-key-mismatch'],
      ['iad/web/www', 'certificate-missing'],
    ]);
    assert.equal(offer(second), true);
    assert.equal(inForce(of), second.cert);
  });
});
