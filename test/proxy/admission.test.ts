// What a listener lets in, as pure logic: rates, clients, and that many addresses cost no more than few.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ListenerLimits } from '../../src/model/listener-config.ts';
import { Admission, ALWAYS_TAKEN, PRESSED_REQUESTS } from '../../src/proxy/admission/admission.ts';
import { clientKey } from '../../src/proxy/admission/client-key.ts';
import { MemoryWatch } from '../../src/proxy/admission/memory-watch.ts';
import { TokenBucket } from '../../src/proxy/admission/token-bucket.ts';
import { fc } from '../support/properties.ts';
import { listenerConfig } from '../support/snapshots.ts';

describe('token bucket', () => {
  it('lets a burst pass at once, then the rate, and holds no more than the burst', () => {
    const bucket = new TokenBucket();
    const taken = (nowMs: number, tries: number): number => {
      let count = 0;
      for (let index = 0; index < tries; index += 1) if (bucket.take(nowMs, 10, 5)) count += 1;
      return count;
    };
    assert.equal(taken(0, 20), 5, 'a new bucket is full');
    assert.equal(taken(99, 20), 0);
    assert.equal(taken(100, 20), 1, 'a token every 100 ms');
    assert.equal(taken(400, 20), 3);
    assert.equal(taken(1_000_000, 20), 5);
  });

  it('takes one second of the rate for a burst of 0, and a rate of 0 for none', () => {
    const bucket = new TokenBucket();
    assert.ok(Array.from({ length: 7 }, () => bucket.take(0, 7, 0)).every(Boolean));
    assert.equal(bucket.take(0, 7, 0), false);
    assert.equal(bucket.take(0, 0, 0), true);
  });

  it('never passes more than burst and rate allow, whenever the events come', () => {
    const steps = fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 200 });
    fc.assert(
      fc.property(
        steps,
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 20 }),
        (waits, rate, burst) => {
          const bucket = new TokenBucket();
          let nowMs = 0;
          let passed = 0;
          for (const waitMs of waits) {
            nowMs += waitMs;
            if (bucket.take(nowMs, rate, burst)) passed += 1;
            assert.ok(passed <= burst + (nowMs / 1000) * rate + 1e-6);
          }
        },
      ),
    );
  });
});

describe('client key', () => {
  it('is the address, or the network that one user has', () => {
    const same = (left: string, right: string, prefix4 = 32, prefix6 = 64) =>
      clientKey(left, prefix4, prefix6) === clientKey(right, prefix4, prefix6);
    assert.ok(same('192.0.2.1', '192.0.2.1'));
    assert.ok(!same('192.0.2.1', '192.0.2.2'));
    assert.ok(same('192.0.2.1', '192.0.2.200', 24));
    assert.ok(!same('192.0.2.1', '192.0.3.1', 24));
    assert.ok(same('2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff'));
    assert.ok(!same('2001:db8:1:2::1', '2001:db8:1:3::1'));
    assert.ok(!same('2001:db8:1:2::1', '2001:db8:1:2::2', 32, 128));
    assert.ok(same('2001:db8:1:2::1', '2001:db8:1:7::1', 32, 60));
    assert.ok(!same('2001:db8::1', '32.1.13.184'), 'families never meet');
  });
});

describe('admission', () => {
  const admissionOf = (
    limits: Partial<ListenerLimits>,
    pressure = { over: false, critical: false },
  ): Admission => {
    const { limits: inForce } = listenerConfig({ limits });
    return new Admission(() => inForce, pressure);
  };

  it('forgets a client with its last connection when no rate is limited', () => {
    const admission = admissionOf({});
    const loads = Array.from({ length: 100 }, (_, index) => admission.connect(`10.0.0.${index}`, false, 0));
    assert.equal(admission.clients, 100);
    for (const load of loads) admission.disconnect(load!);
    assert.equal(admission.clients, 0);
    assert.equal(admission.connections, 0);
  });

  it('remembers rates over connections, in a table that no number of addresses makes grow', () => {
    const admission = admissionOf({ connectionRatePerClient: 1, connections: 10 });
    admission.disconnect(admission.connect('192.0.2.1', false, 0)!);
    assert.equal(admission.connect('192.0.2.1', false, 0), null);
    assert.equal(admission.refusal, 'client-connection-rate');
    for (let index = 0; index < 100_000; index += 1) {
      const address = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
      admission.disconnect(admission.connect(address, false, 0)!);
      assert.ok(admission.clients <= 4096 + 10);
    }
    assert.ok(admission.connect('192.0.2.1', false, 0) !== null, 'the oldest was forgotten');
  });

  it('holds every count exact under any order of connects, requests and ends', () => {
    const action = fc.tuple(
      fc.constantFrom('connect', 'disconnect', 'begin', 'end'),
      fc.nat(3),
      fc.nat(2000),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 300 }), (actions) => {
        const admission = admissionOf({
          connections: 6,
          connectionsPerClient: 3,
          requests: 5,
          requestsPerClient: 2,
          requestRatePerClient: 5,
        });
        const open: { load: NonNullable<ReturnType<Admission['connect']>>; requests: number }[] = [];
        let nowMs = 0;
        for (const [what, which, waitMs] of actions) {
          nowMs += waitMs;
          const connection = open[which % Math.max(1, open.length)];
          if (what === 'connect') {
            const load = admission.connect(`10.0.0.${which}`, false, nowMs);
            if (load !== null) open.push({ load, requests: 0 });
          } else if (connection === undefined) continue;
          else if (what === 'begin') {
            if (admission.beginRequest(connection.load, nowMs) === null) connection.requests += 1;
          } else if (connection.requests > 0) {
            admission.endRequest(connection.load);
            connection.requests -= 1;
          } else if (what === 'disconnect') {
            admission.disconnect(connection.load);
            open.splice(open.indexOf(connection), 1);
          }
          assert.equal(admission.connections, open.length);
          assert.equal(
            admission.requests,
            open.reduce((sum, { requests }) => sum + requests, 0),
          );
          assert.ok(admission.connections <= 6 && admission.requests <= 5);
          for (const { load } of open) assert.ok(load.connections <= 3 && load.requests <= 2);
        }
      }),
    );
  });

  it("a client's refused requests take nothing from the rate of all", () => {
    const admission = admissionOf({ requestRate: 3, requestRatePerClient: 1 });
    const greedy = admission.connect('10.0.0.1', false, 0)!;
    const other = admission.connect('10.0.0.2', false, 0)!;
    assert.equal(admission.beginRequest(greedy, 0), null);
    for (let round = 0; round < 100; round += 1) {
      assert.equal(admission.beginRequest(greedy, 0), 'client-request-rate');
    }
    assert.equal(admission.beginRequest(other, 0), null);
  });

  it('at the memory ceiling takes what is few and refuses the rest', () => {
    const pressure = { over: true, critical: false };
    const admission = admissionOf({}, pressure);
    for (let index = 0; index < ALWAYS_TAKEN; index += 1) {
      const load = admission.connect('10.0.0.1', false, 0)!;
      assert.equal(admission.beginRequest(load, 0), null);
    }
    assert.equal(admission.connect('10.0.0.1', false, 0), null);
    assert.equal(admission.refusal, 'memory-limit');
    pressure.over = false;
    const load = admission.connect('10.0.0.1', false, 0)!;
    const other = admission.connect('10.0.0.2', false, 0)!;
    pressure.over = true;
    assert.equal(admission.beginRequest(load, 0), 'memory-limit');
    for (let index = 0; index < PRESSED_REQUESTS; index += 1) {
      assert.equal(admission.beginRequest(other, 0), null, 'a client with few requests goes on');
    }
    assert.equal(admission.beginRequest(other, 0), 'memory-limit');
    admission.endRequest(other);
    pressure.critical = true;
    assert.equal(admission.beginRequest(other, 0), 'memory-limit');
  });
});

describe('memory watch', () => {
  it('is over at the ceiling and until memory has fallen well below, and collects garbage now and then', () => {
    let bytes = 0;
    let nowMs = 0;
    let collections = 0;
    const watch = new MemoryWatch(
      () => bytes,
      () => {
        collections += 1;
      },
      () => nowMs,
    );
    watch.ceilingBytes = 1000;
    const at = (value: number): boolean => {
      bytes = value;
      assert.equal(watch.look(), value);
      return watch.over;
    };
    assert.equal(at(999), false);
    assert.equal(at(1000), true);
    assert.equal(collections, 1);
    nowMs += 250;
    assert.equal(at(1500), true);
    assert.equal(watch.excessBytes, 500);
    assert.equal(watch.critical, true);
    assert.equal(collections, 1, 'not at each look');
    assert.equal(at(960), true, 'no flapping');
    assert.equal(watch.critical, false);
    nowMs += 2000;
    assert.equal(at(960), true);
    assert.equal(collections, 2);
    assert.equal(at(949), false);
    assert.equal(at(999), false);
  });

  it('collects garbage that V8 does not know of, where it is much and grows no more, and not at each look', () => {
    const abandoned = { abandonedBytes: 0 };
    let nowMs = 0;
    let collections = 0;
    const watch = new MemoryWatch(
      () => 100,
      () => {
        collections += 1;
      },
      () => nowMs,
      abandoned,
    );
    const look = (megabytes: number): number => {
      abandoned.abandonedBytes += megabytes * 1024 * 1024;
      nowMs += 250;
      watch.look();
      return collections;
    };
    assert.equal(look(60), 0);
    assert.equal(look(0), 0);
    assert.equal(look(10), 0, 'it still grows');
    assert.equal(look(0), 1);
    assert.equal(look(60), 1, 'what was collected is forgotten');
    assert.equal(look(60), 1);
    assert.equal(look(0), 1, 'a moment after the last');
    nowMs += 2000;
    assert.equal(look(0), 2);
    assert.equal(watch.over, false);
  });

  it('keeps its verdict while nothing can be seen, as where no descriptor is left', () => {
    let bytes: number | null = 100;
    const measure = (): number => {
      if (bytes === null) throw new Error('EMFILE');
      return bytes;
    };
    const watch = new MemoryWatch(
      measure,
      () => {},
      () => 0,
    );
    watch.ceilingBytes = 100;
    assert.equal(watch.look(), 100);
    bytes = null;
    assert.equal(watch.look(), 100);
    assert.equal(watch.over, true);
    bytes = 10;
    assert.equal(watch.look(), 10);
    assert.equal(watch.over, false);
  });

  it('never is over without a ceiling', () => {
    const watch = new MemoryWatch(
      () => Number.MAX_SAFE_INTEGER,
      assert.fail,
      () => 0,
    );
    watch.look();
    assert.equal(watch.over, false);
  });
});
