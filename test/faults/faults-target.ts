// Faults of a target after the connect: closed or reset before, within and after head and body, silent, slow, nonsense.

import { type RawPeer, sendApart, standsStill } from '../support/data-plane.ts';
import type { WireFault } from './fault.ts';
import { OK, POST, type Scene } from './scene.ts';
import { failures, retries } from './series.ts';

const CLOSED =
  'The connection to the target is closed, the next request gets another; the client connection stays.';
const CUT =
  'The client sees a reset, never an end that looks complete; both connections are gone, the next ones are new.';
const PART = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive.';

/** One target that misbehaves after the head of a request. */
function afterRequest(act: (peer: RawPeer) => void, request?: string): WireFault['play'] {
  return async (scene) => {
    scene.serve([(await scene.afterRequest(act)).at]);
    return scene.ask(request);
  };
}

/** The same, and the worker's clock moves on once the target has the request. */
function silentFor(ms: number, act: (peer: RawPeer) => void = () => {}): WireFault['play'] {
  return async (scene) => {
    const asked = Promise.withResolvers<void>();
    const target = await scene.afterRequest((peer) => {
      act(peer);
      asked.resolve();
    });
    scene.serve([target.at]);
    const client = await scene.stage.client();
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await asked.promise;
    if (act !== NOTHING) await client.until(() => client.received !== '' || client.closed).catch(() => {});
    await scene.plane.skip(ms);
    return scene.outcome(client);
  };
}

const NOTHING = (): void => {};

/** A kept connection that the target resets when it has seen the next request and answered so much; executions are counted. */
async function pooledReset(scene: Scene, request: string, begun = ''): Promise<string> {
  const seen: string[] = [];
  const target = await scene.target((peer) => {
    const serve = (): void => {
      void peer
        .until(() => peer.received.includes('\r\n\r\n') || peer.closed, 60_000)
        .then(() => {
          if (peer.closed) return;
          seen.push(peer.take().split(' ')[0]!);
          // Whichever connection it comes on: a second dial in time may have left a kept one that was never used.
          if (seen.length === 2) {
            void sendApart(peer, Buffer.from(begun)).then(() => peer.socket.resetAndDestroy());
            return;
          }
          peer.send(OK);
          serve();
        });
    };
    serve();
  });
  scene.serve([target.at]);
  await scene.ask();
  const outcome = await scene.ask(request);
  const times = seen.slice(1).length;
  return `${outcome}, seen ${times === 1 ? 'once' : times === 2 ? 'twice' : `${times} times`}`;
}

export const TARGET: readonly WireFault[] = [
  {
    part: 'the target',
    name: 'resets a kept connection under a GET',
    client: '200, seen twice',
    logged: '-',
    counted: [retries('upstream-reset')],
    recovers:
      'Repeated once on a new connection: the method is idempotent (RFC 9110, 9.2.2), and the budget allows it.',
    play: (scene) => pooledReset(scene, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
  },
  {
    part: 'the target',
    name: 'resets a kept connection under a POST',
    client: '502 upstream-reset, seen once',
    logged: 'upstream-reset',
    counted: [failures('upstream-reset')],
    recovers: `Never repeated: it may have been executed. ${CLOSED}`,
    play: (scene) => pooledReset(scene, POST),
  },
  {
    part: 'the target',
    name: 'resets a kept connection under a GET, within the head of its answer',
    client: '502 upstream-incomplete, seen once',
    logged: 'upstream-incomplete',
    counted: [failures('upstream-incomplete')],
    recovers: `Never repeated: some of its answer has come. ${CLOSED}`,
    play: (scene) => pooledReset(scene, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'HTTP/1.1 200 OK\r\nConte'),
  },
  {
    part: 'the target',
    name: 'closes before the head of its answer',
    client: '502 upstream-reset',
    logged: 'upstream-reset',
    counted: [failures('upstream-reset')],
    recovers: CLOSED,
    play: afterRequest((peer) => peer.socket.destroy()),
  },
  {
    part: 'the target',
    name: 'ends its side before the head of its answer (half-close)',
    client: '502 upstream-reset',
    logged: 'upstream-reset',
    counted: [failures('upstream-reset')],
    recovers: CLOSED,
    play: afterRequest((peer) => peer.socket.end()),
  },
  {
    part: 'the target',
    name: 'resets before the head of its answer',
    client: '502 upstream-reset',
    logged: 'upstream-reset',
    counted: [failures('upstream-reset')],
    recovers: CLOSED,
    play: afterRequest((peer) => peer.socket.resetAndDestroy()),
  },
  {
    part: 'the target',
    name: 'closes within the head of its answer',
    client: '502 upstream-incomplete',
    logged: 'upstream-incomplete',
    counted: [failures('upstream-incomplete')],
    recovers: CLOSED,
    play: afterRequest((peer) => peer.socket.end('HTTP/1.1 200 OK\r\nContent-Le')),
  },
  {
    part: 'the target',
    name: 'closes within a body of known length',
    client: '200, cut by a reset',
    logged: 'upstream-incomplete',
    counted: [failures('upstream-incomplete')],
    recovers: CUT,
    play: afterRequest((peer) => peer.socket.end(PART)),
  },
  {
    part: 'the target',
    name: 'closes within a chunked body',
    client: '200, cut by a reset',
    logged: 'upstream-incomplete',
    counted: [failures('upstream-incomplete')],
    recovers: CUT,
    play: afterRequest((peer) =>
      peer.socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive.\r\n'),
    ),
  },
  {
    part: 'the target',
    name: 'resets within a body that ends with the connection',
    client: '200, cut by a reset',
    logged: 'upstream-incomplete',
    counted: [failures('upstream-incomplete')],
    recovers: `A reset never counts as an end. ${CUT}`,
    play: async (scene) => {
      const started = Promise.withResolvers<RawPeer>();
      const target = await scene.afterRequest((peer) => {
        peer.send('HTTP/1.1 200 OK\r\n\r\nbegun');
        started.resolve(peer);
      });
      scene.serve([target.at]);
      const client = await scene.stage.client();
      client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      const peer = await started.promise;
      await client.expect('begun');
      peer.socket.resetAndDestroy();
      return scene.outcome(client);
    },
  },
  {
    part: 'the target',
    name: 'closes after a whole answer that promised to stay',
    client: '200',
    logged: '-',
    counted: ['portico_http_requests_total{code="200"}'],
    recovers: 'The connection is dropped from the idle ones when its end is seen.',
    play: afterRequest((peer) => peer.socket.end(OK)),
  },
  {
    part: 'the target',
    name: 'answers before the request is complete, and closes',
    client: '200',
    logged: '-',
    counted: ['portico_http_requests_total{code="200"}'],
    recovers:
      'The answer is relayed, with `Connection: close`; what is left of the request is not read. So it is where the ' +
      "target's close is a reset, since it has left some of the request unread: what it said before is read first. " +
      'To targets with `tls` that is up to a race.',
    play: afterRequest(
      (peer) => peer.socket.end(OK),
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nonly this',
    ),
  },
  {
    part: 'the target',
    name: 'is silent after the request',
    client: '504 response-timeout',
    logged: 'response-timeout',
    counted: [failures('response-timeout')],
    recovers: `After \`timeouts.responseHeader\`; never repeated. ${CLOSED}`,
    play: silentFor(10_000, NOTHING),
  },
  {
    part: 'the target',
    name: 'answers nothing any more, another is there',
    client: '200',
    logged: 'response-timeout',
    counted: ['portico_ejections_total', failures('response-timeout')],
    recovers:
      'Requests without an answer in time count like gateway errors: five in a row, or a fifth of its recent answers and twice the share of the others, eject it; from then on only the others are asked.',
    play: async (scene) => {
      let silent = 0;
      const target = await scene.afterRequest(() => {
        silent += 1;
      });
      scene.serve([target.at, (await scene.sound()).at], {
        ejection: { connectFailures: 0, gatewayErrors: 2, baseMs: 300_000, maxMs: 300_000, maxShare: 0.5 },
      });
      while (scene.plane.metric('portico_ejections_total') === 0) {
        const before = silent;
        const client = await scene.stage.client();
        client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
        await scene.until(() => silent > before || client.received !== '', 'one of the targets');
        if (silent > before) await scene.plane.skip(10_000);
        await scene.outcome(client);
      }
      const outcomes = new Set([await scene.ask(), await scene.ask(), await scene.ask()]);
      return [...outcomes].join();
    },
  },
  {
    part: 'the target',
    name: 'falls silent within its body',
    client: '200, cut by a reset',
    logged: 'stream-idle',
    counted: [failures('stream-idle')],
    recovers: `After \`timeouts.streamIdle\`. ${CUT}`,
    play: silentFor(10_000, (peer) => peer.send(PART)),
  },
  {
    part: 'the target',
    name: 'does not read a long request (slow reader)',
    client: '504 stream-idle',
    logged: 'stream-idle',
    counted: [failures('stream-idle')],
    recovers: `What is held for it is bounded, the client is not read any further; after \`timeouts.streamIdle\` without a byte it is given up. ${CLOSED}`,
    play: async (scene) => {
      const target = await scene.target((peer) => peer.socket.pause());
      scene.serve([target.at]);
      const client = await scene.stage.client();
      client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n');
      // More than all buffers on the way hold: in the end the client is not read.
      client.socket.write(Buffer.alloc(32 * 1024 * 1024));
      await scene.until(() => target.connections === 1 && client.socket.writableLength > 0);
      await standsStill('the request', () => client.socket.writableLength);
      await scene.plane.skip(10_000);
      return scene.outcome(client);
    },
  },
  {
    part: 'the target',
    name: 'speaks nonsense',
    client: '502 upstream-protocol',
    logged: 'upstream-protocol',
    counted: [failures('upstream-protocol')],
    recovers: `Counts as a gateway error: five in a row eject the target. ${CLOSED}`,
    play: afterRequest((peer) => peer.send('SMTP/1.0 hello\r\n\r\n')),
  },
  {
    part: 'the target',
    name: 'sends a second answer behind the first',
    client: '200',
    logged: '-',
    counted: ['portico_http_requests_total{code="200"}'],
    recovers: 'Surplus bytes close the connection: they never reach another client.',
    play: afterRequest((peer) => peer.send(OK + OK)),
  },
];
