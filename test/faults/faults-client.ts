// Faults of a client: it leaves or resets before, within and after its request and its answer, ends its side, or is slow.

import { type RawPeer, type RawServer, sendApart, standsStill } from '../support/data-plane.ts';
import type { WireFault } from './fault.ts';
import { GET, OK, type Scene } from './scene.ts';
import { failures } from './series.ts';

const BIG = 64 * 1024 * 1024;
const CANCELLED =
  'The connection to the target is closed as well, so that it can stop working; nothing else is touched.';
const SAYS_NOTHING = '-';

/** A client in the middle of a request that its target has begun to receive. */
async function uploading(scene: Scene): Promise<{ client: RawPeer; target: RawServer; upstream: RawPeer }> {
  const got = Promise.withResolvers<RawPeer>();
  const target = await scene.afterRequest((peer) => got.resolve(peer));
  scene.serve([target.at]);
  const client = await scene.stage.client();
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nonly this');
  return { client, target, upstream: await got.promise };
}

/** What the target saw of a request that was left: never an end that looks complete. */
async function seenByTarget(upstream: RawPeer): Promise<string> {
  await upstream.until(() => upstream.closed || upstream.ended);
  return upstream.received.endsWith('only this') ? 'the target sees a cut request' : 'the target saw more';
}

export const CLIENT: readonly WireFault[] = [
  {
    part: 'the client',
    name: 'connects and leaves',
    client: SAYS_NOTHING,
    logged: '-',
    counted: ['portico_connections_total'],
    recovers: 'Nothing to recover.',
    play: async (scene) => {
      scene.serve([(await scene.sound()).at]);
      const client = await scene.stage.client();
      client.socket.end();
      await client.until(() => client.closed);
      return SAYS_NOTHING;
    },
  },
  {
    part: 'the client',
    name: 'ends its side within the head',
    client: '400 bad-request',
    logged: 'incomplete-head',
    counted: [failures('bad-request')],
    recovers: 'The connection is closed; no target has heard of it.',
    play: async (scene) => {
      scene.serve([(await scene.sound()).at]);
      const client = await scene.stage.client();
      client.send('GET / HTTP/1.1\r\nHo');
      client.socket.end();
      return scene.outcome(client);
    },
  },
  {
    part: 'the client',
    name: 'is silent within the head',
    client: '408 header-timeout',
    logged: 'header-timeout',
    counted: [failures('header-timeout')],
    recovers:
      'After `timeouts.header` of the listener, counted from the first byte; the connection is closed.',
    play: async (scene) => {
      scene.serve([(await scene.sound()).at]);
      const client = await scene.stage.client();
      await sendApart(client, Buffer.from('GET / HTTP/1.1\r\nHo'));
      await scene.plane.skip(10_000);
      return scene.outcome(client);
    },
  },
  {
    part: 'the client',
    name: 'resets within the body',
    client: 'the target sees a cut request',
    logged: 'client-aborted',
    counted: [failures('client-aborted')],
    recovers: CANCELLED,
    play: async (scene) => {
      const { client, upstream } = await uploading(scene);
      client.socket.resetAndDestroy();
      return seenByTarget(upstream);
    },
  },
  {
    part: 'the client',
    name: 'ends its side within the body (half-close)',
    client: 'the target sees a cut request',
    logged: 'client-aborted',
    counted: [failures('client-aborted')],
    recovers: CANCELLED,
    play: async (scene) => {
      const { client, upstream } = await uploading(scene);
      client.socket.end();
      return seenByTarget(upstream);
    },
  },
  {
    part: 'the client',
    name: 'is silent within the body',
    client: '408 body-timeout',
    logged: 'body-timeout',
    counted: [failures('body-timeout')],
    recovers: `After \`timeouts.streamIdle\`. ${CANCELLED}`,
    play: async (scene) => {
      const { client } = await uploading(scene);
      await scene.plane.skip(10_000);
      return scene.outcome(client);
    },
  },
  {
    part: 'the client',
    name: 'ends its side after the request (half-close)',
    client: '200',
    logged: '-',
    counted: ['portico_http_requests_total{code="200"}'],
    recovers:
      'It gets its whole answer; then the connection is closed. Whether it is still there is asked every ten seconds: one that has left is found out within about 80 s (Linux), and its request to the target given up.',
    play: async (scene) => {
      scene.serve([(await scene.sound()).at]);
      const client = await scene.stage.client();
      client.send(GET);
      client.socket.end();
      return scene.outcome(client);
    },
  },
  {
    part: 'the client',
    name: 'leaves before the answer',
    client: 'the target sees a close',
    logged: 'client-aborted',
    counted: [failures('client-aborted'), 'portico_http_requests_total{code="499"}'],
    recovers: CANCELLED,
    play: async (scene) => {
      const got = Promise.withResolvers<RawPeer>();
      scene.serve([(await scene.afterRequest((peer) => got.resolve(peer))).at]);
      const client = await scene.stage.client();
      client.send(GET);
      const upstream = await got.promise;
      client.socket.resetAndDestroy();
      await upstream.until(() => upstream.closed || upstream.ended);
      return 'the target sees a close';
    },
  },
  {
    part: 'the client',
    name: 'resets within the answer',
    client: 'the target sees a close',
    logged: 'client-aborted',
    counted: [failures('client-aborted')],
    recovers: CANCELLED,
    play: async (scene) => {
      const got = Promise.withResolvers<RawPeer>();
      scene.serve([
        (
          await scene.afterRequest((peer) => {
            peer.send('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun');
            got.resolve(peer);
          })
        ).at,
      ]);
      const client = await scene.stage.client();
      client.send(GET);
      const upstream = await got.promise;
      await client.expect('begun');
      client.socket.resetAndDestroy();
      await upstream.until(() => upstream.closed || upstream.ended);
      return 'the target sees a close';
    },
  },
  {
    part: 'the client',
    name: 'does not read its answer (slow reader)',
    client: '200, cut by a reset',
    logged: 'stream-idle',
    counted: [failures('stream-idle')],
    recovers:
      'What is held for it is bounded and the target is not read any further; after `timeouts.streamIdle` without a byte the connection is reset.',
    play: async (scene) => {
      const target = await scene.afterRequest((peer) => {
        peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${BIG}\r\n\r\n`);
        peer.socket.write(Buffer.alloc(BIG));
      });
      scene.serve([target.at]);
      const client = await scene.stage.client();
      client.send(GET);
      await client.expect('200 OK');
      client.socket.pause();
      const [sender] = target.sockets;
      await standsStill('the answer', () => sender!.writableLength);
      await scene.plane.skip(10_000);
      client.socket.resume();
      return scene.outcome(client);
    },
  },
  {
    part: 'the client',
    name: 'sends a second request behind the first and leaves',
    client: '200',
    logged: '-',
    counted: ['portico_http_requests_total{code="200"}'],
    recovers:
      'Requests of one connection are handled one after the other; those that were not begun are forgotten.',
    play: async (scene) => {
      scene.serve([(await scene.sound()).at]);
      const client = await scene.stage.client();
      client.send(GET + GET);
      await client.until(() => client.received.split(OK.slice(-2)).length > 1);
      client.socket.end();
      return scene.outcome(client);
    },
  },
];
