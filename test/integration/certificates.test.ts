// Certificates of the whole program: changed files and Secrets reach both workers while connections go on, and keys stay in memory.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import tls from 'node:tls';
import { writeKubeconfig } from '../control/discovery/world.ts';
import { Authority, type Issued } from '../support/authority.ts';
import { RawPeer } from '../support/data-plane.ts';
import { openssl } from '../support/openssl.ts';
import { StandInApi } from '../support/stand-in-api.ts';
import { until } from '../support/until.ts';
import { Backend, configuration } from './load.ts';
import { Portico } from './portico.ts';

const GET = 'GET / HTTP/1.1\r\nHost: file.example.com\r\n\r\n';
const encoded = (text: string): string => Buffer.from(text).toString('base64');

describe('certificates of a running Portico', () => {
  let authority: Authority;
  let pairs: Issued[];
  let backend: Backend;
  let api: StandInApi;
  let portico: Portico;

  before(async () => {
    authority = await Authority.create();
    pairs = [
      await authority.issue({ names: ['file.example.com'], subject: '/CN=file 1' }),
      await authority.issue({ names: ['file.example.com'], subject: '/CN=file 2' }),
      await authority.issue({ names: ['secret.example.com'], subject: '/CN=secret 1' }),
      await authority.issue({ names: ['secret.example.com'], subject: '/CN=secret 2' }),
    ];
  });
  after(() => authority.close());

  const file = (name: string): string => authority.path(name);

  async function write(pair: Issued): Promise<void> {
    await writeFile(file('live.crt'), pair.cert);
    await writeFile(file('live.key'), pair.key);
  }

  function putSecret(pair: Issued): void {
    api.put('secrets', {
      metadata: { name: 'www', namespace: 'web' },
      type: 'kubernetes.io/tls',
      data: { 'tls.crt': encoded(pair.cert), 'tls.key': encoded(pair.key) },
    });
  }

  beforeEach(async () => {
    api = await StandInApi.start();
    backend = await Backend.start();
    await write(pairs[0]!);
    putSecret(pairs[2]!);
    portico = await Portico.start(
      configuration(backend, {
        clusters: [
          { name: 'iad', kubeconfig: { path: writeKubeconfig(authority.directory, { server: api.url }) } },
        ],
        listeners: [
          { name: 'web', bind: '127.0.0.1:0', protocol: 'http' },
          {
            name: 'tls',
            bind: '127.0.0.1:0',
            protocol: 'https',
            tls: {
              certificates: [
                { cert: file('live.crt'), key: file('live.key') },
                { secret: { cluster: 'iad', name: 'web/www' } },
              ],
            },
          },
        ],
      }),
    );
  });
  afterEach(async () => {
    const left = await portico.close();
    await backend.close();
    await api.close();
    assert.deepEqual(left, [], 'no process outlives the program');
  });

  async function subjectOf(servername: string): Promise<string> {
    const socket = tls.connect({
      host: '127.0.0.1',
      port: portico.port('tls'),
      servername,
      ca: authority.cert,
    });
    await once(socket, 'secureConnect');
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return String(CN);
  }

  /** Connections are spread over the workers by the kernel. */
  async function subjects(name: string): Promise<ReadonlySet<string>> {
    return new Set(await Promise.all(Array.from({ length: 12 }, () => subjectOf(`${name}.example.com`))));
  }

  const everywhere = (name: string, subject: string): Promise<unknown> =>
    until(`${subject} at every worker`, async () => {
      const found = await subjects(name);
      return found.size === 1 && found.has(subject);
    });

  it('shows changed files and Secrets at every worker, resumes across workers, and keeps connections', async () => {
    await everywhere('file', 'file 1');
    await everywhere('secret', 'secret 1');
    const socket = tls.connect({
      host: '127.0.0.1',
      port: portico.port('tls'),
      servername: 'file.example.com',
      ca: authority.cert,
    });
    await once(socket, 'secureConnect');
    const peer = new RawPeer(socket);
    const ask = async (): Promise<void> => {
      peer.send(GET);
      await peer.expect('HTTP/1.1 200');
      peer.take();
    };
    await ask();

    await write(pairs[1]!);
    await portico.logged('certificate-taken');
    await everywhere('file', 'file 2');
    putSecret(pairs[3]!);
    await everywhere('secret', 'secret 2');
    await writeFile(file('live.key'), 'garbage');
    await portico.logged('certificate-key-invalid');
    await everywhere('file', 'file 2');
    await ask();
    peer.destroy();

    assert.equal(await portico.metric('portico_tls_certificate_changes_total', { result: 'taken' }), 2);
    const lasts = await portico.metric('portico_tls_certificate_not_after_timestamp_seconds', {
      certificate: 'iad/web/www',
    });
    assert.ok(lasts > Date.now() / 1000 && lasts < Date.now() / 1000 + 2 * 86_400);

    const session = file('session.pem');
    const name = ['-servername', 'file.example.com'];
    await openssl(portico.port('tls'), [...name, '-sess_out', session], GET, /HTTP\/1\.1 200/);
    for (let round = 0; round < 4; round += 1) {
      const again = await openssl(portico.port('tls'), [...name, '-sess_in', session]);
      assert.deepEqual(again.sessions, ['Reused'], 'whichever worker took it');
    }
  });

  it('goes on with a Secret after the controller died while the API server is away; keys are nowhere to be seen', async () => {
    await everywhere('secret', 'secret 1');
    const session = file('kept.pem');
    const name = ['-servername', 'file.example.com'];
    await openssl(portico.port('tls'), [...name, '-sess_out', session], GET, /HTTP\/1\.1 200/);
    await api.close();
    const controller = await portico.controller();
    process.kill(controller, 'SIGKILL');
    await until(
      'another controller',
      async () => (await portico.controller().catch(() => controller)) !== controller,
    );
    await portico.untilServing();
    await everywhere('secret', 'secret 1');

    const again = await openssl(portico.port('tls'), [...name, '-sess_in', session]);
    assert.deepEqual(again.sessions, ['Reused'], 'the ticket keys are those of the controller before');

    const { body } = await portico.admin('/snapshot');
    const { body: metrics } = await portico.admin('/metrics');
    const entries = await readdir(portico.directory, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    const kept = await Promise.all(
      files.map((entry) => readFile(path.join(entry.parentPath, entry.name), 'latin1')),
    );
    const shown = [body, metrics, JSON.stringify(portico.log), portico.text, ...kept].join('\n');
    assert.ok(body.includes('live.key'), 'the snapshot names the files');
    for (const { key } of pairs) {
      const [, line] = key.split('\n');
      assert.ok(!shown.includes(line!) && !shown.includes(encoded(key).slice(40, 80)));
    }
    assert.doesNotMatch(shown, /PRIVATE KEY|ticketKeys/);
    api = await StandInApi.start();
  });
});
