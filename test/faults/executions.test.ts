// Retries never repeat what may have been executed: targets that count, and fail at every point of an exchange.

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import type { RetryConfig } from '../../src/model/route-config.ts';
import { type RawPeer, Stage } from '../support/data-plane.ts';
import { allToFirstPool, snapshotOf } from '../support/snapshots.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
/** What a target does with a request that it has read to its end, and so executed. */
const ENDS = [
  'ok',
  'ok',
  'ok',
  'reset',
  'close',
  'half-close',
  'within head',
  'within body',
  '503',
  'nonsense',
];
/** What it does before that. */
const BEGINNINGS = ['read', 'read', 'read', 'read', 'reset on accept', 'reset within request'];
const METHODS = ['GET', 'PUT', 'DELETE', 'POST', 'PATCH'] as const;
const IDEMPOTENT = new Set<string>(['GET', 'PUT', 'DELETE']);
const REQUESTS = 400;

/** Mulberry32: the same run every time. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('retries', () => {
  const stage = new Stage();
  afterEach(() => stage.clear());
  after(() => stage.end());

  for (const [what, retry] of [
    ['with retries', { attempts: 2, statuses: [503], budget: 1 }],
    ['without retries', { attempts: 0, statuses: [], budget: 1 }],
  ] as const satisfies readonly (readonly [string, RetryConfig])[]) {
    it(`never execute a request twice that is not idempotent, ${what}`, async () => {
      const random = seeded(5);
      const draw = (choices: readonly string[]): string => choices[Math.floor(random() * choices.length)]!;
      const executed = new Map<string, number>();
      const serve = (peer: RawPeer): void => {
        if (draw(BEGINNINGS) === 'reset on accept' && random() < 0.3) {
          peer.socket.resetAndDestroy();
          return;
        }
        const next = (): void => {
          void peer
            .until(() => isComplete(peer.received) || peer.closed || peer.ended, 60_000)
            .then(() => {
              if (peer.closed || !isComplete(peer.received)) return;
              const id = / \/(\S+) /.exec(peer.take())![1]!;
              executed.set(id, (executed.get(id) ?? 0) + 1);
              if (answer(peer, draw(ENDS))) next();
            });
        };
        if (draw(BEGINNINGS) === 'reset within request') {
          peer.socket.once('data', () => peer.socket.resetAndDestroy());
          return;
        }
        next();
      };
      const targets = [await stage.backend(serve), await stage.backend(serve), await stage.backend(serve)];
      stage.plane.apply(
        snapshotOf({ pools: [{ targets: targets.map(({ at }) => at) }], routes: allToFirstPool(retry) }),
      );
      const outcomes = new Map<string, string>();
      for (let request = 0; request < REQUESTS; request += 1) {
        const method = METHODS[request % METHODS.length]!;
        const id = `${method}-${request}`;
        const client = await stage.client();
        const body = IDEMPOTENT.has(method) ? '' : 'Content-Length: 4\r\n\r\nbody';
        client.send(`${method} /${id} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${body || '\r\n'}`);
        outcomes.set(id, (await client.all(20_000)).slice(9, 12));
        client.destroy();
      }
      const repeated = [...executed].filter(([, times]) => times > 1);
      for (const [id, times] of repeated) {
        assert.ok(IDEMPOTENT.has(id.split('-')[0]!), `${id} was executed ${times} times`);
        // Beside the rule's attempts, one repeat for a kept connection that was closed under the request.
        assert.ok(times <= Math.max(1, retry.attempts) + 1, `${id} was executed ${times} times`);
      }
      for (const [id, status] of outcomes) {
        if (status === '200')
          assert.ok((executed.get(id) ?? 0) >= 1, `${id} was answered and never executed`);
      }
      assert.ok([...outcomes.values()].filter((status) => status === '200').length > REQUESTS / 4);
      assert.ok(
        [...outcomes.values()].some((status) => status === '502'),
        'some had to fail',
      );
      if (retry.attempts > 0) assert.ok(repeated.length > 5, 'those that may be repeated are');
    });
  }
});

/** A head, and the four bytes behind it where it announces them. */
function isComplete(received: string): boolean {
  const end = received.indexOf('\r\n\r\n');
  if (end === -1) return false;
  return !/content-length: 4/i.test(received) || received.length >= end + 8;
}

/** Whether the connection goes on. */
function answer(peer: RawPeer, how: string): boolean {
  switch (how) {
    case 'ok':
      peer.send(OK);
      return true;
    case '503':
      peer.send('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n');
      return true;
    case 'reset':
      peer.socket.resetAndDestroy();
      return false;
    case 'close':
      peer.socket.destroy();
      return false;
    case 'half-close':
      peer.socket.end();
      return false;
    case 'within head':
      peer.socket.end('HTTP/1.1 200 OK\r\nConte');
      return false;
    case 'within body':
      peer.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok');
      return false;
    default:
      peer.socket.end('nonsense\r\n\r\n');
      return false;
  }
}
