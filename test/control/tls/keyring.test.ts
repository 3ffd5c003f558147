// The secrets in force over time: each change is told once, and the next controller begins with what this one had.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type KeptSecrets, Keyring } from '../../../src/control/tls/keyring.ts';
import { ROTATION_MS } from '../../../src/control/tls/ticket-rotation.ts';
import type { Config } from '../../../src/model/config.ts';
import type { SecretFact } from '../../../src/model/inventory.ts';
import type { CertificateSource } from '../../../src/model/listener-config.ts';
import { certificateKey } from '../../../src/model/secrets.ts';
import { Authority } from '../../support/authority.ts';
import { httpsListener } from '../../support/tls.ts';
import { HandClock, recordLog } from '../discovery/world.ts';

const SOURCE: CertificateSource = { kind: 'secret', cluster: 'iad', namespace: 'web', name: 'cert' };
const LOADED = {
  config: {
    listeners: [httpsListener(0, { certificates: [SOURCE], clientAuth: null })],
    pools: [],
    routes: [],
  } as unknown as Config,
  secrets: { pairs: {}, files: {} },
};

interface Rig {
  readonly keyring: Keyring;
  readonly clock: HandClock;
  readonly lines: string[];
  /** What the API server has. */
  secret: SecretFact | 'missing' | undefined;
  changes: number;
}

function start(context: TestContext, kept: KeptSecrets | null = null, clock = new HandClock()): Rig {
  const { log, lines } = recordLog();
  const rig = { clock, lines, secret: undefined as Rig['secret'], changes: 0 };
  const keyring = new Keyring(
    {
      clock,
      log,
      secret: (cluster, name) => (cluster === 'iad' && name === 'web/cert' ? rig.secret : undefined),
      onChange: () => {
        rig.changes += 1;
      },
      onResult: () => {},
    },
    kept,
  );
  context.after(() => keyring.close());
  return Object.assign(rig, { keyring });
}

test('ticket keys change twice a day, and each change is told', (t) => {
  const rig = start(t);
  const { ticketKeys } = rig.keyring.secrets;
  rig.clock.advance(ROTATION_MS - 1);
  assert.deepEqual([rig.changes, rig.keyring.secrets.ticketKeys], [0, ticketKeys]);
  rig.clock.advance(1);
  assert.equal(rig.changes, 1);
  assert.equal(rig.keyring.secrets.ticketKeys[0], ticketKeys[1]);
  assert.equal(rig.lines.filter((line) => line.includes('ticket-keys-rotated')).length, 1);
  rig.clock.advance(ROTATION_MS);
  assert.equal(rig.changes, 2);
});

test('a clock that was set back by a year does not put off the change of ticket keys that an earlier controller made', (t) => {
  const { kept } = start(t).keyring;
  const madeAtMs = kept.tickets.madeAtMs + 365 * 86_400_000;
  const rig = start(t, { ...kept, tickets: { ...kept.tickets, madeAtMs } });
  rig.clock.advance(ROTATION_MS);
  assert.equal(rig.changes, 1);
});

test('a Secret is taken when it comes, and told of when it changes', async (t) => {
  const authority = await Authority.create();
  t.after(() => authority.close());
  // Issued by the clock of this machine; the hand clock is years later, and one that has expired is better than none.
  const first = await authority.issue({ names: ['a.example.com'], days: 30 });
  const second = await authority.issue({ names: ['a.example.com'], days: 60 });
  const fact = ({ cert, key }: typeof first): SecretFact => ({
    ...{ name: 'cert', namespace: 'web', uid: 'uid', resourceVersion: '1', deletionTimestamp: null },
    ...{ cert, key },
  });
  const rig = start(t);
  rig.keyring.follow(LOADED);
  const inForce = (): string | undefined => rig.keyring.secrets.pairs[certificateKey(SOURCE)]?.cert;
  assert.deepEqual([inForce(), rig.changes], [undefined, 0]);
  rig.secret = fact(first);
  rig.keyring.refresh();
  assert.deepEqual([inForce(), rig.changes], [first.cert, 1]);
  rig.keyring.refresh();
  assert.equal(rig.changes, 1, 'it is the same');
  rig.secret = 'missing';
  rig.keyring.refresh();
  assert.deepEqual([inForce(), rig.changes], [first.cert, 1], 'one that is gone stays in force');
  rig.secret = fact(second);
  rig.keyring.refresh();
  assert.deepEqual([inForce(), rig.changes], [second.cert, 2]);
  assert.equal(rig.keyring.certificates.length, 1);

  const successor = start(t, structuredClone(rig.keyring.kept), rig.clock);
  successor.keyring.follow(LOADED);
  assert.deepEqual(successor.keyring.secrets, rig.keyring.secrets, 'while the API server is away');
});
