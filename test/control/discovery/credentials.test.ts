// Credentials: every kind that a kubeconfig or a pod brings, their renewal, and that no secret is ever written down.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ApiClient, readAll } from '../../../src/control/discovery/api-client.ts';
import { kubeconfigFault } from '../../../src/control/discovery/credential-files.ts';
import { type Credentials, createCredentials } from '../../../src/control/discovery/credentials.ts';
import { DiscoveryFailure } from '../../../src/control/discovery/failure.ts';
import { type RawObject, StandInApi, type StandInOptions } from '../../support/stand-in-api.ts';
import {
  type CountRecord,
  eventually,
  fixture,
  HandClock,
  node,
  recordCounts,
  recordLog,
  temporaryDirectory,
  writeKubeconfig,
} from './world.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const serverOne = { cert: fixture('server-one.crt'), key: fixture('server-one.key') };

interface Rig {
  readonly credentials: Credentials;
  readonly client: ApiClient;
  readonly clock: HandClock;
  readonly counts: CountRecord;
  readonly lines: string[];
  /** Lists nodes once and returns the answer's text. */
  get(): Promise<string>;
}

function rig(
  context: TestContext,
  kubeconfig: string | null,
  more: { environment?: Record<string, string | undefined>; serviceAccountDirectory?: string } = {},
): Rig {
  const clock = new HandClock();
  const counts = recordCounts();
  const { log, lines } = recordLog();
  const credentials = createCredentials({
    cluster: {
      name: 'iad',
      kubeconfig: kubeconfig === null ? null : { path: kubeconfig, context: null },
      inCluster: kubeconfig === null,
    },
    clock,
    log,
    onCount: counts.onCount,
    environment: { PATH: process.env['PATH'], ...more.environment },
    ...(more.serviceAccountDirectory === undefined
      ? {}
      : { serviceAccountDirectory: more.serviceAccountDirectory }),
  });
  const client = new ApiClient({ cluster: 'iad', credentials, clock, onCount: counts.onCount });
  context.after(async () => {
    credentials.close();
    await client.close();
  });
  return {
    credentials,
    client,
    clock,
    counts,
    lines,
    get: async () => {
      const body = await client.get('/api/v1/nodes', new AbortController().signal);
      return Buffer.from(await readAll(body, 1_000_000)).toString();
    },
  };
}

async function standIn(context: TestContext, options: StandInOptions = {}): Promise<StandInApi> {
  const api = await StandInApi.start(options);
  api.put('nodes', node('n1'));
  context.after(() => api.close());
  return api;
}

async function failure(promise: Promise<unknown>): Promise<DiscoveryFailure> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof DiscoveryFailure, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: 'it should have failed' });
}

/** An exec plugin: a shell script that logs each run and prints what it is given. */
function plugin(directory: string, body: string): RawObject {
  const path = join(directory, 'plugin.sh');
  writeFileSync(path, `#!/bin/sh\necho run >> "$(dirname "$0")/runs"\n${body}\n`);
  chmodSync(path, 0o755);
  return {
    exec: { apiVersion: 'client.authentication.k8s.io/v1', command: './plugin.sh', interactiveMode: 'Never' },
  };
}

function runs(directory: string): number {
  return readFileSync(join(directory, 'runs'), 'utf8').split('\n').length - 1;
}

function execCredential(status: RawObject): string {
  return JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status });
}

test('a token in the kubeconfig is sent, over TLS that trusts only the given CA', async (t) => {
  const api = await standIn(t, { tls: serverOne, token: 'secret-1' });
  const directory = temporaryDirectory(t);
  const good = writeKubeconfig(directory, {
    server: api.url,
    cluster: { 'certificate-authority-data': base64(fixture('ca-one.crt')) },
    user: { token: 'secret-1' },
  });
  assert.match(await rig(t, good).get(), /NodeList/);
  const other = writeKubeconfig(temporaryDirectory(t), {
    server: api.url,
    cluster: { 'certificate-authority-data': base64(fixture('ca-two.crt')) },
    user: { token: 'secret-1' },
  });
  const { reason, message } = await failure(rig(t, other).get());
  assert.equal(reason, 'connection');
  assert.match(message, /UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED|UNABLE_TO_GET_ISSUER/);
});

test('certificates, keys and CA are read from files, relative to the kubeconfig', async (t) => {
  const api = await standIn(t, { tls: { ...serverOne, clientCa: fixture('ca-one.crt') } });
  const directory = temporaryDirectory(t);
  for (const name of ['ca-one.crt', 'client-one.crt', 'client-one.key']) {
    writeFileSync(join(directory, name), fixture(name));
  }
  const path = writeKubeconfig(directory, {
    server: api.url,
    cluster: { 'certificate-authority': 'ca-one.crt' },
    user: { 'client-certificate': 'client-one.crt', 'client-key': 'client-one.key' },
  });
  assert.match(await rig(t, path).get(), /NodeList/);
  assert.equal(await kubeconfigFault({ path, context: null }), null);
  writeFileSync(join(directory, 'client-one.key'), fixture('client-two.key'));
  assert.match((await kubeconfigFault({ path, context: null })) ?? '', /certificates cannot be used/);
});

test('tls-server-name is what the certificate is checked against', async (t) => {
  const api = await standIn(t, {
    tls: { cert: fixture('server-named.crt'), key: fixture('server-named.key') },
  });
  const cluster = { 'certificate-authority-data': base64(fixture('ca-one.crt')) };
  const directory = temporaryDirectory(t);
  const named = writeKubeconfig(directory, {
    server: api.url,
    cluster: { ...cluster, 'tls-server-name': 'kube.test' },
  });
  assert.match(await rig(t, named).get(), /NodeList/);
  const plain = writeKubeconfig(temporaryDirectory(t), { server: api.url, cluster });
  assert.match((await failure(rig(t, plain).get())).message, /ERR_TLS_CERT_ALTNAME_INVALID/);
});

test('insecure-skip-tls-verify is obeyed, and a path before /api is kept', async (t) => {
  const api = await standIn(t, { tls: serverOne, basePath: '/k8s/clusters/c-1' });
  const path = writeKubeconfig(temporaryDirectory(t), {
    server: api.url,
    cluster: { 'insecure-skip-tls-verify': true },
  });
  assert.match(await rig(t, path).get(), /NodeList/);
});

test('a token file wins over a token and is read again within a minute', async (t) => {
  const api = await standIn(t, { token: 'file-1' });
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'token'), 'file-1\n');
  const path = writeKubeconfig(directory, { server: api.url, user: { token: 'stale', tokenFile: 'token' } });
  const { get, clock, counts } = rig(t, path);
  await get();
  writeFileSync(join(directory, 'token'), 'file-2\n');
  clock.advance(59_000);
  await get();
  assert.equal(api.requests.at(-1)?.headers.authorization, 'Bearer file-1');
  clock.advance(1_000);
  api.token = 'file-2';
  await get();
  assert.equal(api.requests.at(-1)?.headers.authorization, 'Bearer file-2');
  assert.deepEqual(
    counts.of('credentials').map((labels) => labels.result),
    ['changed'],
  );
});

test('a 401 has the credentials read again at once and the request made again', async (t) => {
  const api = await standIn(t, { token: 'one' });
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'token'), 'one');
  const path = writeKubeconfig(directory, { server: api.url, user: { tokenFile: 'token' } });
  const { get, counts } = rig(t, path);
  await get();
  api.token = 'two';
  writeFileSync(join(directory, 'token'), 'two');
  assert.match(await get(), /NodeList/);
  assert.deepEqual(
    counts.of('credentials').map((labels) => labels.result),
    ['changed', 'renewed-after-401'],
  );
  assert.equal(api.requests.length, 3);
});

test('a 401 with unchanged credentials is a failure, not a second request', async (t) => {
  const api = await standIn(t, { token: 'other' });
  const path = writeKubeconfig(temporaryDirectory(t), { server: api.url, user: { token: 'mine' } });
  assert.equal((await failure(rig(t, path).get())).reason, 'unauthorized');
  assert.equal(api.requests.length, 1);
});

test('in-cluster credentials come from the service account and the environment', async (t) => {
  const api = await standIn(t, { tls: serverOne, token: 'pod-token' });
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'ca.crt'), fixture('ca-one.crt'));
  writeFileSync(join(directory, 'token'), 'pod-token');
  const environment = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(api.port) };
  assert.match(await rig(t, null, { environment, serviceAccountDirectory: directory }).get(), /NodeList/);
  const outside = await failure(rig(t, null, { serviceAccountDirectory: directory }).get());
  assert.match(outside.message, /not in a cluster/);
});

test('a CA that changes gets new connections, and watches on the old ones go on', async (t) => {
  const api = await standIn(t, { tls: serverOne });
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'ca.crt'), fixture('ca-one.crt'));
  const path = writeKubeconfig(directory, {
    server: api.url,
    cluster: { 'certificate-authority': 'ca.crt' },
  });
  const { client, get, clock } = rig(t, path);
  const watch = await client.get(
    '/api/v1/nodes?watch=true&resourceVersion=9999',
    new AbortController().signal,
  );
  await eventually(() => api.watches() === 1);
  writeFileSync(join(directory, 'ca.crt'), fixture('ca-one.crt') + fixture('ca-two.crt'));
  clock.advance(60_000);
  const socket = api.requests[0]?.socket;
  await get();
  assert.notEqual(api.requests.at(-1)?.socket, socket);
  assert.equal(api.watches(), 1, 'the watch is still open');
  api.sendRaw('still here\n');
  for await (const chunk of watch) {
    assert.equal(String(chunk), 'still here\n');
    break;
  }
  await client.close();
  await eventually(() => api.sockets.size === 0);
});

test('an API server that comes back with a new CA is reached again one second after the file is there', async (t) => {
  const first = await StandInApi.start({ tls: serverOne });
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'ca.crt'), fixture('ca-one.crt'));
  const path = writeKubeconfig(directory, {
    server: first.url,
    cluster: { 'certificate-authority': 'ca.crt' },
  });
  const { get, clock } = rig(t, path);
  await get();
  const { port } = first;
  await first.close();
  const tls = { cert: fixture('server-two.crt'), key: fixture('server-two.key') };
  const second = await StandInApi.start({ tls }, port);
  t.after(() => second.close());
  assert.equal((await failure(get())).reason, 'connection');
  writeFileSync(join(directory, 'ca.crt'), fixture('ca-two.crt'));
  clock.advance(1_000);
  assert.match(await get(), /NodeList/);
});

test('a certificate whose key has not followed yet, or a file that is gone, keeps what works', async (t) => {
  const api = await standIn(t, { tls: { ...serverOne, clientCa: fixture('ca-one.crt') } });
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'tls.crt'), fixture('client-one.crt'));
  writeFileSync(join(directory, 'tls.key'), fixture('client-one.key'));
  const path = writeKubeconfig(directory, {
    server: api.url,
    cluster: { 'certificate-authority-data': base64(fixture('ca-one.crt')) },
    user: { 'client-certificate': 'tls.crt', 'client-key': 'tls.key' },
  });
  const { get, clock, counts, lines } = rig(t, path);
  await get();
  writeFileSync(join(directory, 'tls.crt'), fixture('client-two.crt'));
  clock.advance(60_000);
  assert.match(await get(), /NodeList/);
  rmSync(join(directory, 'tls.key'));
  clock.advance(60_000);
  assert.match(await get(), /NodeList/);
  writeFileSync(join(directory, 'tls.key'), fixture('client-two.key'));
  clock.advance(60_000);
  assert.match(await get(), /NodeList/);
  assert.deepEqual(
    counts.of('credentials').map((labels) => labels.result),
    ['failed', 'failed', 'changed'],
  );
  assert.equal(lines.filter((line) => JSON.parse(line).level === 40).length, 1, 'said once');
});

test('a pipe in the place of a kubeconfig or of a file that it names holds nothing up', async (t) => {
  const api = await standIn(t, { token: 'secret' });
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'token'), 'secret');
  const path = writeKubeconfig(directory, { server: api.url, user: { tokenFile: 'token' } });
  const { get, clock, lines } = rig(t, path);
  await get();
  for (const file of [join(directory, 'token'), path]) {
    rmSync(file);
    execFileSync('mkfifo', [file]);
    clock.advance(60_000);
    assert.match(await get(), /NodeList/);
  }
  assert.match(lines.join('\n'), /token cannot be read \(not-a-regular-file\)/);
});

test('an exec plugin runs once, is cached until it expires, and then runs again', async (t) => {
  const api = await standIn(t, { token: 'exec-token' });
  const directory = temporaryDirectory(t);
  const status = { token: 'exec-token', expirationTimestamp: '2030-01-01T00:10:00Z' };
  const user = plugin(directory, `cat <<'EOF'\n${execCredential(status)}\nEOF`);
  const { get, clock } = rig(t, writeKubeconfig(directory, { server: api.url, user }));
  await Promise.all([get(), get(), get()]);
  assert.equal(runs(directory), 1, 'requests at the same time share a run');
  clock.advance(599_000);
  await get();
  assert.equal(runs(directory), 1);
  clock.advance(1_000);
  await get();
  assert.equal(runs(directory), 2);
});

test('an exec credential without an expiry is renewed by a 401, but not more often than every 5 s', async (t) => {
  const api = await standIn(t, { token: 'token-1' });
  const directory = temporaryDirectory(t);
  const script = `n=$(wc -l < "$(dirname "$0")/runs" | tr -d ' ')\ncat <<EOF\n${execCredential({ token: 'token-$n' })}\nEOF`;
  const { get, clock } = rig(
    t,
    writeKubeconfig(directory, { server: api.url, user: plugin(directory, script) }),
  );
  await get();
  clock.advance(30_000);
  api.token = 'token-2';
  assert.match(await get(), /NodeList/);
  assert.equal(runs(directory), 2);
  api.token = 'never';
  for (let attempt = 0; attempt < 3; attempt += 1) {
    assert.equal((await failure(get())).reason, 'unauthorized');
  }
  assert.equal(runs(directory), 2);
  clock.advance(5_000);
  await failure(get());
  assert.equal(runs(directory), 3);
});

test('an exec plugin that fails is run again every 5 s at most, and said to fail once until it works again', async (t) => {
  const api = await standIn(t, { token: 'token-1' });
  const directory = temporaryDirectory(t);
  const script = `n=$(wc -l < "$(dirname "$0")/runs" | tr -d ' ')
[ $n = 1 ] || [ $n = 4 ] || exit 1\ncat <<EOF\n${execCredential({ token: 'token-$n' })}\nEOF`;
  const path = writeKubeconfig(directory, { server: api.url, user: plugin(directory, script) });
  const { get, clock, lines } = rig(t, path);
  await get();
  api.token = 'token-4';
  clock.advance(60_000);
  for (let second = 0; second < 10; second += 1) {
    assert.equal((await failure(get())).reason, 'unauthorized');
    clock.advance(1_000);
  }
  assert.equal(runs(directory), 3, 'the first, and two in ten seconds');
  assert.match(await get(), /NodeList/);
  assert.equal(runs(directory), 4);
  const said = lines.map((line) => JSON.parse(line).msg ?? JSON.parse(line).message);
  assert.deepEqual(
    said.map((text: string) => text.replace(/.*ended/, 'ended')),
    ['ended with code 1; run it by hand to see why', 'credentials can be read again', 'credentials changed'],
  );
});

test('an exec plugin gets its arguments, its variables and the cluster, and may bring a client certificate', async (t) => {
  const api = await standIn(t, { tls: { ...serverOne, clientCa: fixture('ca-one.crt') } });
  const directory = temporaryDirectory(t);
  const status = {
    clientCertificateData: fixture('client-one.crt'),
    clientKeyData: fixture('client-one.key'),
  };
  const user = plugin(
    directory,
    `echo "$KUBERNETES_EXEC_INFO" > "$(dirname "$0")/info"\necho "$1 $EXTRA $KEPT" > "$(dirname "$0")/args"\ncat <<'EOF'\n${execCredential(status)}\nEOF`,
  );
  Object.assign(user['exec'], {
    args: ['--cluster'],
    env: [{ name: 'EXTRA', value: 'yes' }],
    provideClusterInfo: true,
  });
  const path = writeKubeconfig(directory, {
    server: api.url,
    cluster: {
      'certificate-authority-data': base64(fixture('ca-one.crt')),
      extensions: [{ name: 'client.authentication.k8s.io/exec', extension: { audience: 'portico' } }],
    },
    user,
  });
  assert.match(await rig(t, path, { environment: { KEPT: 'too' } }).get(), /NodeList/);
  assert.equal(readFileSync(join(directory, 'args'), 'utf8'), '--cluster yes too\n');
  assert.deepEqual(JSON.parse(readFileSync(join(directory, 'info'), 'utf8')), {
    kind: 'ExecCredential',
    apiVersion: 'client.authentication.k8s.io/v1',
    spec: {
      interactive: false,
      cluster: {
        server: api.url,
        'certificate-authority-data': base64(fixture('ca-one.crt')),
        config: { audience: 'portico' },
      },
    },
  });
});

const badPlugins: [string, string, RegExp][] = [
  ['fails', 'echo secret-out; echo secret-err >&2; exit 3', /ended with code 3/],
  ['prints no credential', 'echo secret-out', /did not print an ExecCredential/],
  [
    'prints one of another version',
    `echo '{"kind":"ExecCredential","apiVersion":"v1"}'`,
    /did not print an ExecC/,
  ],
  ['prints an empty status', `echo '${execCredential({})}'`, /neither a token nor a client certificate/],
  ['prints a certificate alone', `echo '${execCredential({ clientCertificateData: 'x' })}'`, /only one of/],
  [
    'prints a bad date',
    `echo '${execCredential({ token: 'secret-out', expirationTimestamp: 'soon' })}'`,
    /no date/,
  ],
  [
    'prints a token that could break the header',
    `printf %s '${execCredential({ token: 'secret-out\r\nX: y' })}'`,
    /malformed/,
  ],
  ['prints without end', 'yes secret-out', /printed more than/],
];
for (const [name, script, message] of badPlugins) {
  test(`an exec plugin that ${name} is a failure that quotes nothing of it`, async (t) => {
    const directory = temporaryDirectory(t);
    const path = writeKubeconfig(directory, {
      server: 'https://127.0.0.1:1',
      user: plugin(directory, script),
    });
    const { get, lines } = rig(t, path);
    const error = await failure(get());
    assert.equal(error.reason, 'credentials');
    assert.match(error.message, message);
    assert.doesNotMatch(error.message + lines.join(''), /secret/);
  });
}

test('an exec plugin that hangs is killed after 30 s, also when a child of its own holds the pipe', async (t) => {
  const directory = temporaryDirectory(t);
  const path = writeKubeconfig(directory, {
    server: 'https://127.0.0.1:1',
    user: plugin(directory, 'sleep 5 & wait'),
  });
  const { get, clock } = rig(t, path);
  const result = failure(get());
  await eventually(() => clock.waits.includes(30_000));
  clock.advance(30_000);
  assert.match((await result).message, /did not end within 30000 ms/);
});

test('an exec plugin for which no descriptor is left fails, and the process lives on', () => {
  const program = join(import.meta.dirname, 'run-plugin-without-descriptors.ts');
  const command = ['-c', 'ulimit -n 64; exec "$@"', 'sh', process.execPath, program];
  assert.match(execFileSync('sh', command, { encoding: 'utf8' }), /could not be started: EMFILE\n$/);
});

test('an exec plugin that is not there says so with its hint', async (t) => {
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: 'portico-no-such-plugin',
    installHint: 'install it',
  };
  const path = writeKubeconfig(temporaryDirectory(t), { server: 'https://127.0.0.1:1', user: { exec } });
  assert.match((await failure(rig(t, path).get())).message, /ENOENT \(hint: install it\)/);
});

const badKubeconfigs: [string, RawObject, RawObject, RegExp][] = [
  ['proxy-url', { 'proxy-url': 'http://proxy:3128' }, {}, /proxy-url is not supported/],
  ['auth-provider', {}, { 'auth-provider': { name: 'gcp' } }, /auth-provider is not supported/],
  ['as-groups', {}, { as: 'x', 'as-groups': ['y'] }, /as-groups is not supported/],
  [
    'exec v1alpha1',
    {},
    { exec: { apiVersion: 'client.authentication.k8s.io/v1alpha1', command: 'x' } },
    /needs apiV/,
  ],
  [
    'an exec plugin that wants a terminal',
    {},
    { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'x', interactiveMode: 'Always' } },
    /wants a terminal/,
  ],
  ['a CA that is no PEM', { 'certificate-authority-data': base64('secret') }, {}, /not PEM/],
  [
    'a CA file that is missing',
    { 'certificate-authority': 'nowhere' },
    {},
    /nowhere cannot be read \(ENOENT\)/,
  ],
];
for (const [name, cluster, user, message] of badKubeconfigs) {
  test(`a kubeconfig with ${name} is refused with its reason`, async (t) => {
    const path = writeKubeconfig(temporaryDirectory(t), { server: 'https://127.0.0.1:1', cluster, user });
    const told = await failure(rig(t, path).get());
    assert.match(told.message, message);
    assert.equal(await kubeconfigFault({ path, context: null }), told.message);
  });
}

test('a kubeconfig that is broken or incomplete is refused without a word of its content', async (t) => {
  const texts = [
    '',
    'users:\n- name: u\n  user: {token: secret-1\n',
    'token: secret-1\n\t- bad',
    '[]',
    '42',
    'clusters:\n- name: c\nusers:\n- name: u\n  user: {token: secret-1}\n',
    'current-context: gone\nusers:\n- name: u\n  user: {token: secret-1}\n',
    'current-context: m\ncontexts:\n- {name: m, context: {cluster: c, user: u}}\nclusters:\n- {name: c, cluster: {server: "secret-1"}}\nusers:\n- {name: u, user: {}}\n',
  ];
  for (const text of texts) {
    const path = join(temporaryDirectory(t), 'kubeconfig');
    writeFileSync(path, text);
    const { get, lines } = rig(t, path);
    const error = await failure(get());
    assert.equal(error.reason, 'credentials', text);
    assert.doesNotMatch(error.message + lines.join(''), /secret/);
    assert.equal(await kubeconfigFault({ path, context: null }), error.message, text);
  }
});

test('a kubeconfig is looked at without its API server and without running its plugin', async (t) => {
  const directory = temporaryDirectory(t);
  const path = writeKubeconfig(directory, {
    server: 'https://127.0.0.1:1',
    user: plugin(directory, 'exit 1'),
  });
  assert.equal(await kubeconfigFault({ path, context: null }), null);
  assert.throws(() => runs(directory), /ENOENT/);
  assert.match((await kubeconfigFault({ path, context: 'other' })) ?? '', /has no context other/);
});

test('a server that echoes the token in its error does not get it into our message', async (t) => {
  const api = await standIn(t);
  api.script(
    () => true,
    (request, response) => {
      response.writeHead(500);
      response.end(JSON.stringify({ kind: 'Status', message: `you sent ${request.headers.authorization}` }));
      return true;
    },
  );
  const path = writeKubeconfig(temporaryDirectory(t), { server: api.url, user: { token: 'secret-1' } });
  const { message } = await failure(rig(t, path).get());
  assert.match(message, /you sent Bearer \[redacted\]/);
});
