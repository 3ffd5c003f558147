// Objects of streams to HTTP/2 targets go from one request to the next: nothing of the one before may reach it.

import assert from 'node:assert/strict';
import type { Buffer } from 'node:buffer';
import { after, afterEach, describe, it } from 'node:test';
import { Setting } from '../../../src/http2/frames.ts';
import { data, headers, settings } from '../../http2/frames.ts';
import { eventually, type RawPeer, type RawServer, Stage, sendApart } from '../../support/data-plane.ts';
import { allToFirstPool, RETRY, route, rule, snapshotOf } from '../../support/snapshots.ts';

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const WHOLE = /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nok$/;

function head(id: number, status: number, length: number, ended = false): Buffer {
  const fields = [
    [':status', String(status)],
    ['content-length', String(length)],
  ] as const;
  return headers(id, fields, ended);
}

/** A whole answer. */
function answer(peer: RawPeer, id: number): void {
  peer.socket.write(head(id, 200, 2));
  peer.socket.write(data(id, 'ok', true));
}

describe('a stream to an HTTP/2 target', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  /** @param onText what is done once this text has come, in the head of a request */
  async function target(
    onText: Readonly<Record<string, (peer: RawPeer) => void>>,
    first: Buffer = settings(),
  ): Promise<RawServer> {
    return await stage.backend((peer) => {
      peer.socket.write(first);
      for (const [text, act] of Object.entries(onText)) peer.when(text, () => act(peer));
    });
  }

  it('gets nothing of an answer with the same number at another target that its client has given up', async () => {
    const content = data(1, 'a'.repeat(100));
    let cut: RawPeer | undefined;
    let open: RawPeer | undefined;
    const one = await target({
      '/one': (peer) => {
        cut = peer;
        peer.socket.write(head(1, 200, 100));
        peer.socket.write(content.subarray(0, 59));
      },
    });
    const two = await target({
      '/two': (peer) => {
        open = peer;
      },
    });
    const rules = ['/one', '/two'].map((value, pool) =>
      rule(
        { kind: 'pools', pools: [{ pool, weight: 1 }] },
        { matches: [{ path: { kind: 'exact', value }, method: null, headers: [], query: [] }] },
      ),
    );
    const pools = [one, two].map(({ at }) => ({ targets: [at], protocol: 'http2' as const }));
    stage.plane.apply(snapshotOf({ pools, routes: [route(rules)] }));
    const first = await stage.client();
    first.send(get('/one'));
    await first.expect('a'.repeat(50));
    first.socket.resetAndDestroy();
    await eventually('the end of the first', () => stage.plane.metric('portico_requests_active') === 0);
    const second = await stage.client();
    second.send(get('/two'));
    await eventually('the second', () => open !== undefined);
    await sendApart(cut!, content.subarray(59));
    answer(open!, 1);
    await second.until(() => second.received.endsWith('ok'));
    assert.match(second.received, WHOLE);
  });

  it('is not ended by the bare head of the answer that it is a retry of', async () => {
    let asked = 0;
    const onText = {
      '/first': (peer: RawPeer) => answer(peer, 1),
      '/second': (peer: RawPeer) => {
        asked += 1;
        if (asked === 1) peer.socket.write(head(3, 503, 0, true));
        else answer(peer, 3);
      },
    };
    const targets = [(await target(onText)).at, (await target(onText)).at];
    stage.plane.apply(
      snapshotOf({
        pools: [{ targets, protocol: 'http2' }],
        routes: allToFirstPool({ ...RETRY, statuses: [503] }),
      }),
    );
    const client = await stage.client();
    for (const path of ['/first', '/first', '/second']) {
      client.take();
      client.send(get(path));
      await client.until(() => client.received.endsWith('ok'));
      assert.match(client.received, WHOLE);
    }
    assert.equal(asked, 2);
  });

  it('is not ended by an answer that came before its request was complete, where it has waited for that', async () => {
    let early: RawPeer | undefined;
    const one = await target(
      {
        '/early': (peer) => {
          early = peer;
        },
        '/late': (peer) => answer(peer, 3),
      },
      settings([Setting.MaxConcurrentStreams, 1]),
    );
    const connections = { perTarget: 1, pending: 10 };
    stage.plane.apply(snapshotOf({ pools: [{ targets: [one.at], protocol: 'http2', connections }] }));
    const first = await stage.client();
    first.send('POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx');
    await eventually('the first', () => early !== undefined);
    const second = await stage.client();
    second.send(get('/late'));
    await eventually('the second', () => stage.plane.metric('portico_upstream_pending') === 1);
    answer(early!, 1);
    await first.expect('ok');
    await second.until(() => second.received.endsWith('ok'));
    assert.match(second.received, WHOLE);
  });
});
