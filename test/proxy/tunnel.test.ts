// A tunnel between two sides that are scripted by hand: what it does to them when it is over.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Deadlines } from '../../src/proxy/deadlines.ts';
import { Tunnel, type TunnelSide } from '../../src/proxy/tunnel.ts';
import type { UpstreamSide } from '../../src/proxy/upstream/upstream-stream.ts';
import type { WireOwner } from '../../src/proxy/wire/wire.ts';

const NOBODY: WireOwner = { onBytes() {}, onEnd() {}, onDrain() {}, onClose() {} };

it('a side that has been given back is not read on for its tunnel', () => {
  let resumed = 0;
  const side = {
    congested: false,
    hasPeer: true,
    bytes() {},
    pause() {},
    resume() {
      resumed += 1;
    },
    end() {},
    endAndLinger() {},
    destroyWhenSent() {},
    destroy() {},
    reset() {},
    owner: NOBODY,
  };
  const upstream = { wire: side, handOver() {}, close() {} } as unknown as UpstreamSide;
  const now = (): number => 0;
  const limits = { idleMs: 1000, lifetimeMs: Number.POSITIVE_INFINITY, webSocket: false };
  const results: string[] = [];
  const deadlines = new Deadlines(now);
  const tunnel = new Tunnel(side as TunnelSide, NOBODY, upstream, limits, deadlines, now, (result) =>
    results.push(result),
  );
  tunnel.onEnd();
  tunnel.onUpstreamEnd();
  assert.deepEqual(results, ['complete']);
  resumed = 0;
  // What the target had not taken yet has left: the client's side may serve another request by now.
  tunnel.onUpstreamDrain();
  assert.equal(resumed, 0);
});
