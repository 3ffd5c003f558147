// Faults on the way to a target, and pools whose targets are gone.

import type { WireFault } from './fault.ts';
import { POST } from './scene.ts';
import { connectFailures, failures, retries } from './series.ts';

const NEXT = 'The next request that finds the target there; no restart, no reload.';

export const CONNECTING: readonly WireFault[] = [
  {
    part: 'connecting',
    name: 'a target refuses the connection, another is there',
    client: '200',
    logged: '-',
    counted: [connectFailures('connect-refused'), retries('connect-refused')],
    recovers:
      'The request goes to the next target, whatever its method, since nothing was sent. For a second others are dialled first; after three failures in a row the target is ejected for a while.',
    play: async (scene) => {
      scene.serve([await scene.refusing(), (await scene.sound()).at]);
      // Round-robin: one of the two begins with the one that refuses.
      const outcomes = new Set([await scene.ask(POST), await scene.ask(POST)]);
      return [...outcomes].join();
    },
  },
  {
    part: 'connecting',
    name: 'every target refuses',
    client: '502 connect-refused',
    logged: 'connect-refused',
    counted: [failures('connect-refused'), connectFailures('connect-refused')],
    recovers: NEXT,
    play: async (scene) => {
      scene.serve([await scene.refusing(), await scene.refusing()]);
      return scene.ask();
    },
  },
  {
    part: 'connecting',
    name: 'a target does not answer the connect (black hole), another is there',
    client: '200',
    logged: '-',
    counted: [retries('connect-slow')],
    recovers:
      'After 75 ms another target is dialled beside it, and the first connection is used; for a second others are dialled first.',
    play: async (scene) => {
      scene.serve([await scene.blackHole(), (await scene.sound()).at]);
      const outcomes = new Set([await scene.ask(POST), await scene.ask(POST)]);
      return [...outcomes].join();
    },
  },
  {
    part: 'connecting',
    name: 'no target answers the connect (black hole)',
    client: '504 connect-timeout',
    logged: 'connect-timeout',
    counted: [failures('connect-timeout'), connectFailures('connect-timeout')],
    recovers: NEXT,
    play: async (scene) => {
      scene.serve([await scene.blackHole()], { timeouts: SHORT });
      return scene.ask();
    },
  },
  {
    part: 'connecting',
    name: 'there is no way to the target (no route, unreachable)',
    client: '502 connect-failed',
    logged: 'connect-failed',
    counted: [failures('connect-failed'), connectFailures('connect-failed')],
    recovers: NEXT,
    play: async (scene) => {
      // No TCP connection can lead to the address of everybody: the kernel says so at once.
      scene.serve(['255.255.255.255:9']);
      scene.onHeal(async () => scene.serve([(await scene.sound()).at]));
      return scene.ask();
    },
  },
  {
    part: 'connecting',
    name: 'a pool is at its bound of connections to every target',
    client: '503 connection-limit',
    logged: 'connection-limit',
    counted: [failures('connection-limit')],
    recovers: 'When a request ends; the answer says `Retry-After`.',
    play: async (scene) => {
      const target = await scene.afterRequest(() => {});
      scene.serve([target.at], {
        connections: {
          idlePerTarget: 64,
          idleMs: 55_000,
          requests: 0,
          ageMs: 0,
          perTarget: 1,
          startsPerSecond: 0,
          startWaitMs: 0,
        },
      });
      const first = await scene.stage.client();
      first.send(POST);
      await scene.until(() => target.connections === 1);
      const outcome = await scene.ask();
      first.socket.resetAndDestroy();
      await scene.until(
        () => scene.plane.metric('portico_upstream_connections{pool="pool-0",state="active"}') === 0,
      );
      return outcome;
    },
  },
  {
    part: 'pools',
    name: 'a pool has no target',
    client: '503 no-target',
    logged: 'no-target',
    counted: [failures('no-target')],
    recovers: 'With the next snapshot that has a target.',
    play: async (scene) => {
      scene.serve([]);
      const outcome = await scene.ask();
      scene.serve([(await scene.sound()).at]);
      return outcome;
    },
  },
  {
    part: 'pools',
    name: 'all targets are down by their probes',
    client: '200',
    logged: '-',
    counted: ['portico_http_requests_total{code="200"}'],
    recovers:
      'Below the panic threshold health is ignored and every target is tried: probes that are wrong cannot take a service down.',
    play: async (scene) => {
      scene.serve([await scene.refusing(), (await scene.sound()).at], { panicThreshold: 0.5 }, 'unhealthy');
      const outcomes = new Set([await scene.ask(), await scene.ask()]);
      return [...outcomes].join();
    },
  },
  {
    part: 'pools',
    name: 'a target flaps',
    client: '200',
    logged: '-',
    counted: ['portico_ejections_total', retries('connect-refused')],
    recovers:
      'Each time it fails it is left out for longer (5 s, doubled, 5 min at most), and takes requests again after that; the others serve meanwhile.',
    play: async (scene) => {
      const flapping = await scene.refusing();
      scene.serve([flapping, (await scene.sound()).at], {
        ejection: { connectFailures: 1, gatewayErrors: 0, baseMs: 5000, maxMs: 300_000, maxShare: 0.5 },
      });
      const outcomes = new Set<string>();
      for (let round = 0; round < 3; round += 1) {
        for (let request = 0; request < 3; request += 1) outcomes.add(await scene.ask());
        // Back to its turn.
        await scene.plane.skip(5000 * 2 ** round);
      }
      return [...outcomes].join();
    },
  },
  {
    part: 'connecting',
    name: 'the name of a target cannot be resolved and never could',
    client: '502 name-unresolved',
    logged: 'name-unresolved',
    counted: [
      failures('name-unresolved'),
      connectFailures('name-unresolved'),
      'portico_name_lookups_total{result="failed"}',
    ],
    recovers: 'The name is asked for again with the next request, at most once a second.',
    play: async (scene) => {
      const { at } = await scene.sound();
      scene.name('app.test', null);
      scene.serve([at.replace('127.0.0.1', 'app.test')]);
      scene.onHeal(async () => {
        scene.name('app.test', '127.0.0.1');
        await scene.plane.skip(1000);
      });
      return scene.ask();
    },
  },
  {
    part: 'connecting',
    name: 'the name of a target vanishes from DNS, or the name server is gone',
    client: '200',
    logged: 'code name-unresolved',
    counted: ['portico_name_lookups_total{result="kept"}'],
    recovers:
      'The last good addresses are used as long as the name cannot be resolved; new ones from the first answer on.',
    play: async (scene) => {
      const { at } = await scene.sound();
      scene.name('app.test', '127.0.0.1');
      scene.serve([at.replace('127.0.0.1', 'app.test')], {
        connections: {
          idlePerTarget: 0,
          idleMs: 55_000,
          requests: 0,
          ageMs: 0,
          perTarget: 4096,
          startsPerSecond: 0,
          startWaitMs: 0,
        },
      });
      const outcomes = new Set([await scene.ask()]);
      scene.name('app.test', null);
      for (let hour = 0; hour < 3; hour += 1) {
        await scene.plane.skip(3_600_000);
        outcomes.add(await scene.ask());
      }
      return [...outcomes].join();
    },
  },
];

const SHORT = {
  connectMs: 300,
  responseHeaderMs: 10_000,
  streamIdleMs: 10_000,
  tunnelIdleMs: 3_600_000,
  tunnelLifetimeMs: 0,
  totalMs: 0,
};
