// What a hash key is taken from, and what stands in for a key that a request lacks.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createFlowHasher } from '../../../src/balance/siphash.ts';
import type { HashKeyConfig } from '../../../src/model/pool-config.ts';
import { type FlowFacts, flowHash } from '../../../src/proxy/upstream/hash-key.ts';
import { fc } from '../../support/properties.ts';

const hasher = createFlowHasher('12345678901234561234567890123456');

function flow(over: Partial<FlowFacts> & { headers?: Readonly<Record<string, string>> } = {}): FlowFacts {
  return {
    clientAddress: '192.0.2.7',
    host: 'example.com',
    path: '/a/b',
    query: 'user=ann&x=1',
    header: (name) => over.headers?.[name],
    capture: (name) => (name === 'branch' ? 'main' : undefined),
    ...over,
  };
}

const byAddress = (prefix4 = 32, prefix6 = 128): HashKeyConfig => ({ kind: 'source-ip', prefix4, prefix6 });
const hash = (key: HashKeyConfig, facts: FlowFacts): number => flowHash(hasher, key, facts);

describe('hash key', () => {
  it('takes an address by its bytes, so that its spelling does not matter', () => {
    assert.equal(
      hash(byAddress(), flow({ clientAddress: '2001:db8::1' })),
      hash(byAddress(), flow({ clientAddress: '2001:0DB8:0:0:0:0:0:1' })),
    );
    assert.notEqual(
      hash(byAddress(), flow({ clientAddress: '192.0.2.7' })),
      hash(byAddress(), flow({ clientAddress: '192.0.2.8' })),
    );
  });

  it('cuts an address to its prefix: clients of one network go together, and only those', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), fc.integer({ min: 0, max: 32 }), (left, right, prefix) => {
        const bits = (address: string): number =>
          address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
        const network = (address: string): number => Math.floor(bits(address) / 2 ** (32 - prefix));
        const together =
          hash(byAddress(prefix), flow({ clientAddress: left })) ===
          hash(byAddress(prefix), flow({ clientAddress: right }));
        assert.equal(together, network(left) === network(right));
      }),
    );
  });

  it('takes header, cookie, query, capture, path and host', () => {
    const headers = { 'x-user': 'ann', cookie: 'other=1; session=s1; session=s2' };
    const facts = flow({ headers });
    const text = (value: string): number => hasher.text(value);
    assert.equal(hash({ kind: 'header', name: 'X-User' }, facts), text('ann'));
    assert.equal(hash({ kind: 'cookie', name: 'session' }, facts), text('s1'));
    assert.equal(hash({ kind: 'query', name: 'user' }, facts), text('ann'));
    assert.equal(hash({ kind: 'capture', name: 'branch' }, facts), text('main'));
    assert.equal(hash({ kind: 'path' }, facts), text('/a/b'));
    assert.equal(hash({ kind: 'host' }, facts), text('example.com'));
  });

  it('falls back to the whole client address for a key that is absent or empty', () => {
    const address = hash(byAddress(), flow());
    for (const key of [
      { kind: 'header', name: 'X-User' },
      { kind: 'cookie', name: 'session' },
      { kind: 'query', name: 'nobody' },
      { kind: 'capture', name: 'nothing' },
    ] as const) {
      assert.equal(hash(key, flow()), address, key.kind);
    }
    assert.equal(hash({ kind: 'header', name: 'x' }, flow({ headers: { x: '' } })), address);
  });

  it('reads cookies and queries that nobody should send without failing', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        assert.ok(hash({ kind: 'cookie', name: 'a' }, flow({ headers: { cookie: text } })) >= 0);
        assert.ok(hash({ kind: 'query', name: 'a' }, flow({ query: text })) >= 0);
      }),
    );
  });
});
