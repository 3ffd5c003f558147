// Faults of tunnels: tcp listeners and connections that switched to WebSocket.

import type { RawPeer } from '../support/data-plane.ts';
import type { WireFault } from './fault.ts';
import type { Scene } from './scene.ts';
import { connectFailures, retries, tcpEnded } from './series.ts';

const ENDS_ARE_PASSED = 'Each side learns how the other one ended: an end is an end, a reset a reset.';

/** A tunnel through which a word has gone each way. */
async function tunnel(scene: Scene): Promise<{ client: RawPeer; upstream: RawPeer }> {
  const got = Promise.withResolvers<RawPeer>();
  const target = await scene.target((peer) => got.resolve(peer));
  scene.serve([target.at]);
  const client = await scene.stage.client('tcp');
  client.send('ping');
  const upstream = await got.promise;
  await upstream.expect('ping');
  upstream.send('pong');
  await client.expect('pong');
  return { client, upstream };
}

export const TUNNELS: readonly WireFault[] = [
  {
    part: 'tunnels',
    name: 'a target of a tcp listener refuses, another is there',
    client: 'connected',
    logged: '-',
    counted: [connectFailures('connect-refused'), retries('connect-refused')],
    recovers:
      'Up to five targets are tried; a hash policy goes along its row, so that every Portico chooses the same one.',
    play: async (scene) => {
      const target = await scene.stage.backend((peer) => peer.send('hello'));
      scene.serve([await scene.refusing(), target.at]);
      for (let connection = 0; connection < 2; connection += 1) {
        const client = await scene.stage.client('tcp');
        await client.expect('hello');
      }
      for (const peer of scene.stage.clients) peer.socket.end();
      for (const socket of target.sockets) socket.end();
      scene.serve([(await scene.sound()).at]);
      return 'connected';
    },
  },
  {
    part: 'tunnels',
    name: 'every target of a tcp listener refuses',
    client: 'reset',
    logged: 'connect-refused',
    counted: [tcpEnded('connect-refused'), connectFailures('connect-refused')],
    recovers: 'The next connection that finds a target there.',
    play: async (scene) => {
      scene.serve([await scene.refusing()]);
      return scene.outcome(await scene.stage.client('tcp'));
    },
  },
  {
    part: 'tunnels',
    name: 'the target resets',
    client: 'reset',
    logged: 'upstream-reset',
    counted: [tcpEnded('upstream-reset')],
    recovers: ENDS_ARE_PASSED,
    play: async (scene) => {
      const { client, upstream } = await tunnel(scene);
      upstream.socket.resetAndDestroy();
      return scene.outcome(client);
    },
  },
  {
    part: 'tunnels',
    name: 'the client resets',
    client: 'the target sees a reset',
    logged: 'client-aborted',
    counted: [tcpEnded('client-aborted')],
    recovers: ENDS_ARE_PASSED,
    play: async (scene) => {
      const { client, upstream } = await tunnel(scene);
      client.socket.resetAndDestroy();
      await upstream.until(() => upstream.closed);
      return upstream.error?.code === 'ECONNRESET' ? 'the target sees a reset' : 'the target sees an end';
    },
  },
  {
    part: 'tunnels',
    name: 'one side ends, the other goes on (half-close)',
    client: 'both directions end by themselves',
    logged: '-',
    counted: [tcpEnded('complete')],
    recovers: 'The other direction stays open until it ends too.',
    play: async (scene) => {
      const { client, upstream } = await tunnel(scene);
      client.socket.end();
      await upstream.until(() => upstream.ended);
      upstream.send('late');
      await client.expect('late');
      upstream.socket.end();
      await client.until(() => client.ended);
      return 'both directions end by themselves';
    },
  },
  {
    part: 'tunnels',
    name: 'nothing comes from either side',
    client: 'closed',
    logged: 'stream-idle',
    counted: [tcpEnded('stream-idle')],
    recovers:
      'After `timeouts.idle` of the listener (an hour unless set). TCP keep-alive finds dead peers sooner.',
    play: async (scene) => {
      const { client } = await tunnel(scene);
      await scene.plane.skip(60_000);
      return scene.outcome(client);
    },
  },
  {
    part: 'tunnels',
    name: 'the target of a WebSocket resets',
    client: '101, cut by a reset',
    logged: 'upstream-reset',
    counted: ['portico_failures_total{reason="upstream-reset"}'],
    recovers: 'The client connects again.',
    play: async (scene) => {
      const got = Promise.withResolvers<RawPeer>();
      const target = await scene.afterRequest((peer) => {
        peer.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
        got.resolve(peer);
      });
      scene.serve([target.at]);
      const client = await scene.stage.client();
      client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      const upstream = await got.promise;
      await client.expect('101');
      upstream.socket.resetAndDestroy();
      return scene.outcome(client);
    },
  },
];
