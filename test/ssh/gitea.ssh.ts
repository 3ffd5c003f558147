// Portico before a real Gitea: whom it sees over HTTP and its own SSH server by PROXY headers, and which headers it takes.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { EDGE_ADDRESS } from '../cluster/netns/network.ts';
import { until } from '../support/until.ts';
import type { ClientMachine } from './client-machine.ts';
import type { GiteaProgram } from './gitea/build.ts';
import { GiteaMachine, type GiteaSettings, USER } from './gitea/machine.ts';
import { SshWorld } from './world.ts';

const VERSIONS = ['v1', 'v2'] as const;
const GIT = { user: 'git' };
const VERSION = '/api/v1/version';

/** What each pool of a name sends. */
type Headers = Readonly<Record<string, unknown>>;

describe('Gitea behind Portico', () => {
  const gitea: GiteaProgram = JSON.parse(process.env['PORTICO_GITEA']!);
  let world: SshWorld;

  before(async () => {
    world = await SshWorld.start();
  });
  afterEach(() => world.clear());
  after(() => world.close());

  const boot = (settings: GiteaSettings): Promise<GiteaMachine> =>
    world.add((index) => GiteaMachine.boot(world.context, index, gitea, settings));

  /** Pools of HTTP, each at a host of its name, and pools of SSH, each with a listener of its name. */
  async function serve(machine: GiteaMachine, web: Headers, ssh: Headers): Promise<void> {
    const pool = (name: string, at: string, health: object, proxyProtocol: unknown) => ({
      name,
      sources: [{ static: [at] }],
      health,
      proxyProtocol,
    });
    const pools = [
      ...Object.entries(web).map(([name, headers]) =>
        pool(`web-${name}`, machine.httpAt, { http: { path: '/api/healthz' } }, headers),
      ),
      ...Object.entries(ssh).map(([name, headers]) =>
        pool(`ssh-${name}`, machine.sshAt, { ssh: {} }, headers),
      ),
    ];
    const listeners = [
      { name: 'web', bind: '0.0.0.0:0', protocol: 'http' },
      ...Object.keys(ssh).map((name) => ({ name, bind: '0.0.0.0:0', protocol: 'tcp', pool: `ssh-${name}` })),
    ];
    const routes = Object.keys(web).map((name) => ({
      name,
      hosts: [`${name}.example.com`],
      rules: [{ pools: [{ name: `web-${name}` }] }],
    }));
    await world.serve({}, { listeners, pools, routes }, 'web');
  }

  function curl(client: ClientMachine, host: string, target: string, ...words: string[]): Promise<string> {
    const { curl: program } = world.context.programs;
    const url = `http://${EDGE_ADDRESS}:${world.at('web').port}${target}`;
    return client.run([program, '-sS', '--fail-with-body', '-H', `Host: ${host}.example.com`, ...words, url]);
  }

  /** Lines of its access log that are of this client's requests for the version. */
  function requestsOf({ address }: ClientMachine, log: string): number {
    return log.match(new RegExp(`^${address} - .*"GET ${VERSION} HTTP/1\\.1" 200`, 'gm'))?.length ?? 0;
  }

  it("sees the client's address over HTTP by headers of both versions", async () => {
    // Nobody's X-Forwarded-For is believed.
    const machine = await boot({
      server: ['USE_PROXY_PROTOCOL = true', 'PROXY_PROTOCOL_ACCEPT_UNKNOWN = true'],
      security: ['REVERSE_PROXY_LIMIT = 0'],
    });
    await serve(machine, { v1: 'v1', v2: 'v2' }, {});
    for (const version of VERSIONS) await world.untilHealth({ pool: `web-${version}` }, 'healthy');
    for (const client of [world.alice, world.bob])
      for (const version of VERSIONS) assert.match(await curl(client, version, VERSION), /^\{"version":/);
    // The last line may not be written yet.
    const log = await until('a line of each request', async () => {
      const lines = await machine.accessLog();
      return [world.alice, world.bob].every((client) => requestsOf(client, lines) === 2) ? lines : false;
    });
    assert.doesNotMatch(log, new RegExp(`^${EDGE_ADDRESS} `, 'm'), 'and nothing of Portico');
  });

  it("sees the client's address over its own SSH server by headers of both versions, and over HTTP by X-Forwarded-For", async () => {
    const machine = await boot({
      server: ['PROXY_PROTOCOL_ACCEPT_UNKNOWN = true'],
      security: ['REVERSE_PROXY_LIMIT = 1', `REVERSE_PROXY_TRUSTED_PROXIES = ${EDGE_ADDRESS}/32`],
    });
    await serve(machine, { plain: 'off' }, { v1: 'v1', v2: 'v2' });
    for (const version of VERSIONS) await world.untilHealth({ pool: `ssh-${version}` }, 'healthy');

    const key = await readFile(`${world.fixture.clientKey}.pub`, 'utf8');
    const token = await machine.createUser();
    const account = ['-H', `Authorization: token ${token}`, '-H', 'Content-Type: application/json'];
    const body = JSON.stringify({ title: 'of everybody', key: key.trim() });
    await curl(world.alice, 'plain', '/api/v1/user/keys', ...account, '-d', body);
    const repository = `${USER}/project.git`;
    const work = path.join(world.fixture.directory, 'work');
    await world.alice.push(work, world.at('v2'), repository, GIT);
    for (const client of [world.alice, world.bob]) {
      assert.match(await curl(client, 'plain', VERSION), /^\{"version":/);
      for (const version of VERSIONS)
        assert.equal(await client.clone(world.at(version), repository, GIT), world.fixture.head);
    }

    const [access, log] = [await machine.accessLog(), await machine.log()];
    for (const client of [world.alice, world.bob]) {
      assert.equal(requestsOf(client, access), 1, access);
      // Its port tells the connections apart; each proves its key more than once.
      const login = new RegExp(`Successfully authenticated: ${client.address}:(\\d+) Public Key`, 'g');
      const connections = new Set([...log.matchAll(login)].map(([, port]) => port));
      assert.equal(connections.size, client === world.alice ? 3 : 2, log);
    }
    assert.doesNotMatch(log, new RegExp(`authenti.* ${EDGE_ADDRESS}:`), 'and nothing of Portico');
  });

  it('takes no UNKNOWN unless told to, and nothing behind the addresses of version 2', async () => {
    const machine = await boot({ server: ['USE_PROXY_PROTOCOL = true'] });
    const facts = { version: 'v2', send: ['unique-id'] };
    const headers = { v1: 'v1', v2: 'v2', facts, checksum: { version: 'v2', checksum: true } };
    await serve(machine, headers, headers);
    for (const kind of ['web', 'ssh']) {
      await world.untilHealth({ pool: `${kind}-v1` }, 'unhealthy');
      await world.untilHealth({ pool: `${kind}-v2` }, 'healthy');
    }
    assert.match(await curl(world.alice, 'v2', VERSION), /^\{"version":/);
    for (const kind of ['facts', 'checksum']) {
      await assert.rejects(curl(world.alice, kind, VERSION), /502/);
      await assert.rejects(world.alice.greet(world.at(kind), GIT), /closed|reset/i);
    }
    assert.match(await machine.log(), /Failed to read proxy prefix: /);
  });
});
