// Session tickets: resumption in TLS 1.2 and 1.3, by another worker, through rotations, and not where it must not be.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import type { ListenerTls } from '../../../src/model/listener-config.ts';
import { Authority, type Issued } from '../../support/authority.ts';
import { answering, DataPlane, eventually, Stage } from '../../support/data-plane.ts';
import { openssl } from '../../support/openssl.ts';
import { snapshotOf } from '../../support/snapshots.ts';
import { httpsListener, secretsOf } from '../../support/tls.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer';
const GET = 'GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n';
const newKey = (): string => randomBytes(48).toString('base64');

describe('session tickets', () => {
  const stage = new Stage();
  let authority: Authority;
  let pair: Issued;
  let version = 0;
  let target = '';
  const others: DataPlane[] = [];

  before(async () => {
    authority = await Authority.create();
    pair = await authority.issue({ names: ['a.example.com'] });
  });
  afterEach(async () => {
    for (const other of others.splice(0)) await other.close();
    await stage.clear();
  });
  after(async () => {
    await stage.end();
    await authority.close();
  });

  async function backend(): Promise<void> {
    target = (await stage.backend(answering(OK))).at;
  }

  function apply(plane: DataPlane, ticketKeys: readonly string[], over: Partial<ListenerTls> = {}): void {
    version += 1;
    plane.apply(
      snapshotOf({ version, listeners: [httpsListener(1, over)], pools: [{ targets: [target] }] }),
      secretsOf([pair], { ticketKeys, files: { '/ca': authority.cert } }),
    );
  }

  /** Connects, gets an answer, and keeps the session in a file. */
  async function first(plane: DataPlane, ...parameters: string[]): Promise<string> {
    const file = authority.path(`session-${version}.pem`);
    const name = ['-servername', 'a.example.com'];
    const seen = await openssl(plane.port('tls'), [...name, '-sess_out', file, ...parameters], GET, /answer/);
    assert.deepEqual(seen.sessions, ['New'], seen.output);
    return file;
  }

  /** `New` or `Reused`. */
  async function again(plane: DataPlane, file: string, ...parameters: string[]): Promise<string | undefined> {
    const name = ['-servername', 'a.example.com'];
    const seen = await openssl(plane.port('tls'), [...name, '-sess_in', file, ...parameters], GET, /answer/);
    return seen.sessions[0];
  }

  for (const protocol of ['-tls1_2', '-tls1_3']) {
    it(`resumes with ${protocol}, also at another worker with the same keys`, async () => {
      await backend();
      const keys = [newKey(), newKey()];
      apply(stage.plane, keys);
      const session = await first(stage.plane, protocol);
      assert.equal(await again(stage.plane, session, protocol), 'Reused');
      const other = new DataPlane();
      others.push(other);
      apply(other, keys);
      assert.equal(await again(other, session, protocol), 'Reused');
      const stranger = new DataPlane();
      others.push(stranger);
      apply(stranger, [newKey()]);
      assert.equal(await again(stranger, session, protocol), 'New');
    });
  }

  it('reconnects five times on the session of the first connection', async () => {
    await backend();
    apply(stage.plane, [newKey()]);
    const parameters = ['-servername', 'a.example.com', '-tls1_2', '-reconnect'];
    const seen = await openssl(stage.plane.port('tls'), parameters);
    assert.deepEqual(seen.sessions, ['New', ...Array<string>(5).fill('Reused')]);
    const handshakes = (resumed: boolean): number =>
      stage.plane.metric(
        `portico_tls_handshakes_total{listener="tls",version="TLSv1.2",resumed="${resumed}"}`,
      );
    await eventually('the count', () => handshakes(true) === 5 && handshakes(false) === 1);
  });

  it('reads the tickets of keys that encrypt no more, until they are gone', async () => {
    await backend();
    const [before, now, later] = [newKey(), newKey(), newKey()];
    apply(stage.plane, [before, now]);
    const session = await first(stage.plane);
    apply(stage.plane, [now, later, before]);
    assert.equal(await again(stage.plane, session), 'Reused');
    apply(stage.plane, [later, newKey(), now]);
    assert.equal(await again(stage.plane, session), 'New');
  });

  it('gives none when they are off', async () => {
    await backend();
    apply(stage.plane, [newKey()], { tickets: false });
    const session = await first(stage.plane, '-tls1_2');
    assert.equal(await again(stage.plane, session, '-tls1_2'), 'New');
  });

  it('resumes no session that was made when less was asked of the client', async () => {
    await backend();
    const keys = [newKey()];
    apply(stage.plane, keys, { clientAuth: { mode: 'optional', ca: '/ca', crl: null } });
    const session = await first(stage.plane);
    assert.equal(await again(stage.plane, session), 'Reused');
    apply(stage.plane, keys, { clientAuth: { mode: 'required', ca: '/ca', crl: null } });
    const refused = await openssl(
      stage.plane.port('tls'),
      ['-servername', 'a.example.com', '-sess_in', session],
      GET,
      /alert|answer/,
    );
    assert.notEqual(refused.sessions[0], 'Reused');
    assert.doesNotMatch(refused.output, /answer/);
  });
});
