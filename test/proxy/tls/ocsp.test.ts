// OCSP responses as openssl makes them: until when they are stapled.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Certificates } from '../../../src/proxy/tls/certificates.ts';
import { NodeTlsContexts } from '../../../src/proxy/tls/node-tls-contexts.ts';
import { nextUpdateMs } from '../../../src/proxy/tls/ocsp.ts';
import { Authority, type Issued } from '../../support/authority.ts';
import { tlsContextOptions } from '../../support/tls.ts';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

describe('OCSP responses', () => {
  let authority: Authority;
  let good: Issued;
  let revoked: Issued;

  before(async () => {
    authority = await Authority.create();
    good = await authority.issue({ names: ['a.example.com'] });
    revoked = await authority.issue({ names: ['b.example.com'] });
    await authority.revoke(revoked);
  });
  after(() => authority.close());

  it('say when the next one is to be had, whatever they say of the certificate', async () => {
    for (const issued of [good, revoked]) {
      const untilMs = nextUpdateMs(await authority.ocsp(issued));
      assert.ok(Math.abs(untilMs - Date.now() - DAY_MS) < MINUTE_MS, new Date(untilMs).toISOString());
    }
    const soonMs = nextUpdateMs(await authority.ocsp(good, ['-nmin', '5']));
    assert.ok(Math.abs(soonMs - Date.now() - 5 * MINUTE_MS) < MINUTE_MS);
  });

  it('hold without end when they do not say', async () => {
    assert.equal(nextUpdateMs(await authority.ocsp(good, [])), Number.POSITIVE_INFINITY);
    assert.equal(nextUpdateMs(Buffer.from('0')), Number.POSITIVE_INFINITY);
  });

  it('are stapled until then', async () => {
    const response = await authority.ocsp(good);
    const staple = response.toString('base64');
    const identity = new Certificates([{ ...good, staple }], tlsContextOptions(), new NodeTlsContexts()).find(
      'a.example.com',
    )!;
    const hello = {
      serverName: 'a.example.com',
      alpn: [],
      ciphers: [],
      signatureAlgorithms: [],
      offersTls13: true,
      wantsStatus: true,
    };
    assert.deepEqual(identity.stapleFor(hello, Date.now()), response);
    assert.equal(identity.stapleFor(hello, Date.now() + DAY_MS + MINUTE_MS), null);
  });
});
