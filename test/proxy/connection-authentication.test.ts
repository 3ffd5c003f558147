// NTLM and Negotiate authenticate connections, not requests: what is sent on one that a client has proven itself on is
// taken for that client's. A pool that hands it to the next client makes them one person (RFC 4559, section 6).

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import { eventually, type RawPeer, type RawServer, Stage } from '../support/data-plane.ts';
import { Http2Client } from '../support/http2-client.ts';
import { type PoolShape, route, rule, snapshotOf } from '../support/snapshots.ts';

const NOBODY = 'nobody';

const to = (pool: number, value: string) =>
  rule(
    { kind: 'pools', pools: [{ pool, weight: 1 }] },
    { matches: [{ path: { kind: 'prefix', value }, method: null, headers: [], query: [] }] },
  );

/** As IIS does it: a challenge for this connection, an answer to that, and from then on the connection is the user's. */
function authenticatingConnections(peer: RawPeer): void {
  let user = NOBODY;
  let challenged = false;
  const answer = (status: string, lines = ''): void => {
    const body = `[${user}]`;
    peer.send(`HTTP/1.1 ${status}\r\n${lines}Content-Length: ${body.length}\r\n\r\n${body}`);
  };
  peer.socket.on('end', () => peer.socket.end());
  peer.socket.on('data', () => {
    if (!peer.received.includes('\r\n\r\n')) return;
    const [, scheme, word] =
      /^authorization:[ \t]*(ntlm|negotiate|nego2) +(\S+)\r\n/im.exec(peer.take()) ?? [];
    if (word === 'hello') {
      challenged = true;
      answer('401 Unauthorized', `WWW-Authenticate: ${scheme} challenge\r\n`);
    } else if (word !== undefined && (challenged || scheme !== 'NTLM')) {
      user = word;
      answer('200 OK');
    } else {
      answer(user === NOBODY ? '401 Unauthorized' : '200 OK', 'WWW-Authenticate: NTLM\r\n');
    }
  });
}

describe('a target that authenticates connections', () => {
  const stage = new Stage();
  const sessions: Http2Client[] = [];
  afterEach(async () => {
    for (const session of sessions.splice(0)) await session.close();
    await stage.clear();
  });
  after(() => stage.end());

  async function serve(shape: Omit<PoolShape, 'targets'> = {}): Promise<RawServer> {
    const server = await stage.backend(authenticatingConnections);
    stage.plane.apply(snapshotOf({ pools: [{ ...shape, targets: [server.at] }] }));
    // On a slow machine a dial would be given company, and connections that are counted would be more.
    stage.plane.freeze();
    return server;
  }

  /** @returns whom the target takes the client for */
  async function ask(client: RawPeer, lines = ''): Promise<string> {
    client.take();
    client.send(`GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`);
    await client.expect(']');
    return /\[(.*)\]$/.exec(client.received)![1]!;
  }

  async function logIn(client: RawPeer, name: string): Promise<void> {
    await ask(client, 'Authorization: NTLM hello\r\n');
    assert.equal(await ask(client, `Authorization: NTLM ${name}\r\n`), name);
  }

  it('does not take the next client for the one that has proven itself', async () => {
    await serve();
    const [alice, bob] = [await stage.client(), await stage.client()];
    await logIn(alice, 'alice');
    assert.equal(await ask(bob), NOBODY);
  });

  for (const line of [
    'Authorization: Negotiate alice',
    'authorization: negotiate alice',
    'Authorization:\tNego2 alice',
    'Authorization: Basic YTpi\r\nAuthorization: Negotiate alice',
  ])
    it(`keeps clients apart after ${JSON.stringify(line)}`, async () => {
      await serve();
      const [alice, bob] = [await stage.client(), await stage.client()];
      assert.equal(await ask(alice, `${line}\r\n`), 'alice');
      assert.equal(await ask(bob), NOBODY);
      assert.equal(await ask(alice), 'alice');
    });

  it('keeps a client of HTTP/2, whose requests share nothing in order, apart as well', async () => {
    const server = await serve();
    const alice = new Http2Client(`http://127.0.0.1:${stage.plane.port()}`);
    sessions.push(alice);
    assert.equal((await alice.get('/', { authorization: 'Negotiate alice' })).body, '[alice]');
    assert.equal((await alice.get('/')).body, `[${NOBODY}]`);
    assert.equal(await ask(await stage.client()), NOBODY);
    assert.equal(server.connections, 2);
  });

  it('has its whole handshake on one connection, whoever asks in between', async () => {
    const server = await serve();
    const [alice, bob] = [await stage.client(), await stage.client()];
    await ask(alice, 'Authorization: NTLM hello\r\n');
    assert.equal(await ask(bob), NOBODY);
    assert.equal(await ask(alice, 'Authorization: NTLM alice\r\n'), 'alice');
    await logIn(bob, 'bob');
    assert.equal(await ask(alice), 'alice');
    assert.equal(await ask(bob), 'bob');
    assert.equal(server.connections, 2);
  });

  it('knows the client after a rest, and forgets it with the connection', async () => {
    const server = await serve();
    const alice = await stage.client();
    await logIn(alice, 'alice');
    await stage.plane.skip(10_000);
    assert.equal(await ask(alice), 'alice');
    await stage.plane.skip(56_000);
    await eventually('the end of the idle connection', () => server.sockets.size === 0);
  });

  it('keeps as many for all others as if nobody had one to himself', async () => {
    const server = await serve({ connections: { idlePerTarget: 1 } });
    const [alice, bob] = [await stage.client(), await stage.client()];
    await logIn(alice, 'alice');
    for (let round = 0; round < 3; round += 1) assert.equal(await ask(bob), NOBODY);
    assert.equal(await ask(alice), 'alice');
    assert.equal(server.connections, 2);
  });

  it('loses the connection with its client', async () => {
    const server = await serve();
    const alice = await stage.client();
    await logIn(alice, 'alice');
    assert.equal(server.sockets.size, 1);
    alice.destroy();
    await eventually('the end of the connection', () => server.sockets.size === 0);
    assert.equal(await ask(await stage.client()), NOBODY);
  });

  it('gives the connection up for the request of another when there may be no more', async () => {
    const server = await serve({ connections: { perTarget: 1 } });
    const [alice, bob] = [await stage.client(), await stage.client()];
    await logIn(alice, 'alice');
    assert.equal(await ask(bob), NOBODY);
    assert.equal(await ask(alice), NOBODY);
    assert.equal(server.connections, 2);
  });

  it('shares connections between all others, tokens of theirs in each request or not', async () => {
    const server = await serve();
    const [alice, bob] = [await stage.client(), await stage.client()];
    for (const line of [
      '',
      'Authorization: Bearer x\r\n',
      'Authorization: Basic YTpi\r\n',
      'Authorization: NT x\r\n',
    ])
      for (const client of [alice, bob]) assert.equal(await ask(client, line), NOBODY);
    assert.equal(server.connections, 1);
  });

  it('is left to its client when that asks at another pool between', async () => {
    const login = await stage.backend(authenticatingConnections);
    const other = await stage.backend(authenticatingConnections);
    const pools = [{ targets: [login.at] }, { targets: [other.at] }];
    stage.plane.apply(snapshotOf({ pools, routes: [route([to(1, '/other'), to(0, '/')])] }));
    stage.plane.freeze();
    const alice = await stage.client();
    await logIn(alice, 'alice');
    alice.take();
    alice.send('GET /other HTTP/1.1\r\nHost: a\r\n\r\n');
    await alice.expect(`[${NOBODY}]`);
    assert.equal(await ask(alice), 'alice');
    assert.equal(login.connections, 1);
  });
});
