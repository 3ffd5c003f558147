// Marked secrets are put everywhere that holds one, and then looked for in every log, answer and error text.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ADMIN_ROUTES } from '../../src/control/admin/admin-routes.ts';
import { writeKubeconfig } from '../control/discovery/world.ts';
import { certificateFor } from '../support/certificates.ts';
import { StandInApi } from '../support/stand-in-api.ts';
import { until } from '../support/until.ts';
import { Backend, configuration, KeepAliveClient } from './load.ts';
import { Portico } from './portico.ts';

const PROGRAM = path.join(import.meta.dirname, '../../src/portico.js');

/** Everything that must never show; each is unlike anything else. */
class Canaries {
  readonly all = new Map<string, string>();

  make(where: string, text = `canary${this.all.size}x${Math.random().toString(36).slice(2)}`): string {
    this.all.set(where, text);
    return text;
  }

  /** Where a secret shows in a text, also in pieces of encodings. */
  seenIn(text: string): readonly string[] {
    return [...this.all].filter(([, secret]) => text.includes(secret)).map(([where]) => where);
  }
}

describe('secrets', () => {
  let backend: Backend;
  let api: StandInApi;
  let portico: Portico;
  let directory: string;
  const clients: { destroy(): void }[] = [];

  beforeEach(async () => {
    backend = await Backend.start();
    api = await StandInApi.start({ token: 'another one' });
    directory = await mkdtemp(path.join(tmpdir(), 'portico-secrets-'));
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    const left = await portico.close();
    await backend.close();
    await api.close();
    await rm(directory, { recursive: true });
    assert.deepEqual(left, [], 'no process outlives the program');
  });

  it('show in no log, no answer of the admin HTTP, no metric and no error', async () => {
    const canaries = new Canaries();
    const environment = {
      CANARY_HEADER: canaries.make('environment, in a header'),
      CANARY_PLAIN: canaries.make('environment, in a header with a harmless name'),
    };
    const place = (name: string): string => path.join(directory, name);

    const pair = await certificateFor('a.example.com');
    const keyBody = pair.key.split('\n')[1]!;
    canaries.make('private key', keyBody);
    await writeFile(place('cert.pem'), pair.cert);
    await writeFile(place('key.pem'), pair.key);
    const adminToken = canaries.make('admin token');
    await writeFile(place('admin-token'), adminToken);
    const kubeconfigs = await writeKubeconfigs(canaries, directory, api.url);

    const clusters = kubeconfigs.map((file, at) => ({ name: `c${at}`, kubeconfig: { path: file } }));
    const good = {
      workers: 1,
      clusters,
      listeners: [
        { name: 'web', bind: '127.0.0.1:0', protocol: 'http' },
        {
          name: 'secure',
          bind: '127.0.0.1:0',
          protocol: 'https',
          tls: { certificates: [{ cert: place('cert.pem'), key: place('key.pem') }] },
        },
      ],
      pools: [
        {
          name: 'app',
          sources: [{ static: [backend.at] }],
          policy: { name: 'maglev', ...hashKeys(canaries) },
        },
        ...clusters.map(({ name }) => ({
          name: `pool-${name}`,
          sources: [{ cluster: name, service: 'apps/web', port: 'http' }],
        })),
      ],
      routes: [
        {
          name: 'all',
          hosts: ['*'],
          rules: [
            ...clusters.map(({ name }) => ({
              matches: [{ path: { prefix: `/${name}` } }],
              pools: [{ name: `pool-${name}` }],
            })),
            {
              filters: [
                {
                  requestHeaders: {
                    // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own substitution.
                    set: { Authorization: 'Bearer ${CANARY_HEADER}', 'X-Upstream': '${CANARY_PLAIN}' },
                  },
                },
              ],
              pools: [{ name: 'app' }],
            },
          ],
        },
      ],
      admin: { bind: '127.0.0.1:0', tokenFile: place('admin-token') },
      log: { access: { path: place('access.jsonl') } },
    };
    portico = await Portico.start(configuration(backend, good), 'debug', { environment }, 1);
    const texts = new Map<string, string>();

    // What clients send.
    const client = await KeepAliveClient.connect(portico.port());
    clients.push(client);
    const sent = canaries.make('credentials of a client');
    await client.request(
      `GET /?token=${sent} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${sent}\r\nCookie: s=${sent}\r\nReferer: http://b/?${sent}\r\n\r\n`,
    );
    // Wrong tokens, in every way.
    const wrong = canaries.make('a wrong admin token');
    for (const authorization of [`Bearer ${wrong}`, `Basic ${wrong}`, wrong]) {
      texts.set(
        `reload with ${authorization.split(' ')[0]}`,
        await adminText(portico, 'POST', '/reload', {
          authorization,
          // From somewhere else, as far as the guard knows.
          'x-forwarded-for': '203.0.113.9',
        }),
      );
    }
    await until('every cluster to have failed', () => {
      const failing = new Set(
        portico.log.filter(({ level }) => level === 'warn').map((line) => line['cluster']),
      );
      return clusters.every(({ name }) => failing.has(name));
    });
    // Broken reloads: a key that is none, an encrypted one, environment values where they do not fit.
    for (const [what, text] of brokenKeys(canaries)) {
      await writeFile(place('key.pem'), text);
      texts.set(what, await adminText(portico, 'POST', '/reload', {}));
    }
    await writeFile(place('key.pem'), pair.key);
    for (const broken of brokenByEnvironment(good)) {
      await portico.configure(JSON.stringify(broken, null, 1));
      texts.set('reload of a broken file', await adminText(portico, 'POST', '/reload', {}));
      const { stdout, stderr } = spawnSync(process.execPath, [PROGRAM, 'check', portico.configPath], {
        encoding: 'utf8',
        env: { ...process.env, ...environment },
      });
      texts.set('check of a broken file', stdout + stderr);
    }
    await portico.configure(configuration(backend, good));
    for (const { method, path: route } of ADMIN_ROUTES) {
      texts.set(`${method} ${route}`, await adminText(portico, method, route, {}));
    }
    texts.set('GET /explain', await adminText(portico, 'GET', '/explain?url=http://127.0.0.1/', {}));
    await until('the access log', async () => (await readFile(place('access.jsonl'), 'utf8')).includes('\n'));
    texts.set('access log', await readFile(place('access.jsonl'), 'utf8'));
    texts.set('own log', JSON.stringify(portico.log) + portico.text);

    const seen = [...texts].flatMap(([where, text]) =>
      canaries.seenIn(text).map((secret) => `${secret} shows in ${where}`),
    );
    assert.deepEqual(seen, []);
    assert.match(texts.get('GET /snapshot')!, /\[redacted\]/, 'it was looked at');
    assert.ok(portico.log.length > 20);
  });
});

const hashKeys = (canaries: Canaries): object => {
  const hex = (): string =>
    Array.from({ length: 32 }, () => Math.floor(Math.random() * 16).toString(16)).join('');
  return { seed: canaries.make('hash seed', hex()), hashKey: canaries.make('hash key', hex()) };
};

/** Kubeconfigs that fail, each in its own way, with secrets in them. */
async function writeKubeconfigs(
  canaries: Canaries,
  directory: string,
  server: string,
): Promise<readonly string[]> {
  const users: readonly (readonly [string, object])[] = [
    ['token', { token: canaries.make('kubeconfig: token') }],
    ['basic', { username: 'u', password: canaries.make('kubeconfig: password') }],
    [
      'key',
      {
        'client-certificate-data': Buffer.from(canaries.make('kubeconfig: certificate')).toString('base64'),
        'client-key-data': Buffer.from(canaries.make('kubeconfig: key')).toString('base64'),
      },
    ],
    [
      'exec',
      {
        exec: {
          apiVersion: 'client.authentication.k8s.io/v1',
          interactiveMode: 'Never',
          command: 'sh',
          args: [
            '-c',
            `echo ${canaries.make('output of a plugin')}; echo ${canaries.make('errors of a plugin')} >&2; exit 1`,
          ],
        },
      },
    ],
  ];
  const files: string[] = [];
  for (const [name, user] of users) {
    const folder = path.join(directory, name);
    await mkdir(folder);
    files.push(writeKubeconfig(folder, { server, user }));
  }
  const withUser = path.join(directory, 'url');
  await mkdir(withUser);
  const url = server.replace('//', `//u:${canaries.make('kubeconfig: password in the URL')}@`);
  files.push(writeKubeconfig(withUser, { server: url }));
  const broken = path.join(directory, 'broken');
  await writeFile(
    broken,
    `users: [{ name: u, user: { token: ${canaries.make('broken kubeconfig')}, } ]\n\t: x`,
  );
  return [...files, broken];
}

function brokenKeys(canaries: Canaries): readonly (readonly [string, string])[] {
  const body = canaries.make('a broken private key');
  return [
    ['a key that is none', body],
    ['a key that cannot be read', `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`],
    [
      'an encrypted key',
      `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${body}\n-----END ENCRYPTED PRIVATE KEY-----\n`,
    ],
  ];
}

/** Environment values where they do not fit: numbers, names, addresses, header names. */
function brokenByEnvironment(good: object): readonly object[] {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own substitution.
  const value = '${CANARY_HEADER}';
  const filter = (set: object): object => ({
    routes: [
      {
        name: 'r',
        hosts: ['*'],
        rules: [{ filters: [{ requestHeaders: { set } }], pools: [{ name: 'app' }] }],
      },
    ],
  });
  return [filter({ 'X-Key': `${value}\u0001` }), filter({ 'X-Key': `{${value}` })].map((over) => ({
    ...good,
    ...over,
  }));
}

async function adminText(
  portico: Portico,
  method: string,
  pathname: string,
  headers: Readonly<Record<string, string>>,
): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${portico.adminPort}${pathname}`, { method, headers });
  return `${JSON.stringify([...answer.headers])}${await answer.text()}`;
}
