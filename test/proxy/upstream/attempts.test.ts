// In which order the dials of one request go to a pool whose connects hang.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Member } from '../../../src/model/picker.ts';
import { Deadlines } from '../../../src/proxy/deadlines.ts';
import { Attempts, type Connect } from '../../../src/proxy/upstream/attempts.ts';
import { DialBudget } from '../../../src/proxy/upstream/dial-budget.ts';
import type { Pool } from '../../../src/proxy/upstream/pool.ts';
import type { Dial } from '../../../src/proxy/upstream/upstream-stream.ts';

type Context = ConstructorParameters<typeof Attempts>[0];

/** Attempts at a pool, and where their dials go. Members by name; those with `*` are last resorts. A dial to any of them hangs. */
function attemptsAt(names: readonly string[]): {
  attempts: Attempts<Dial>;
  dialled: string[];
  dials: Dial[];
} {
  const members = names.map(
    (name) =>
      ({
        identity: name,
        lastResort: name.endsWith('*'),
        live: { suspectUntilMs: 0, begin: () => {}, end: () => {}, suspect: () => {} },
      }) as unknown as Member,
  );
  const left = (tried: readonly Member[], lastResort: boolean): Member | undefined =>
    members.find((member) => member.lastResort === lastResort && !tried.includes(member));
  const pool = {
    life: { targetOf: ({ live }: Member) => live, dials: new DialBudget() },
    members,
    size: members.length,
    picker: { pick: (_hash: number, tried: readonly Member[]) => left(tried, false) ?? left(tried, true) },
    meters: { retried: () => {} },
    connector: { full: false },
  } as unknown as Pool;
  const dialled: string[] = [];
  const dials: Dial[] = [];
  const connect: Connect<Dial> = (_pool, target, _user, reuse) => {
    const { identity } = members.find(({ live }) => live === target)!;
    dialled.push(reuse === 'none' ? `${identity} anew` : identity);
    const dial = { connected: false, target, close: () => {}, keepWhenConnected: () => {} };
    dials.push(dial as unknown as Dial);
    return dials.at(-1);
  };
  const context = { deadlines: new Deadlines(() => 0), now: () => 0 } as unknown as Context;
  const attempts = new Attempts(context, connect);
  const nobody = {
    onUpstreamConnected: () => {},
    onUpstreamConnectFailed: () => {},
    onNoRoom: () => {},
    proxyHeader: () => Buffer.alloc(0),
  };
  attempts.reset(nobody, pool, 0, 'any');
  return { attempts, dialled, dials };
}

/** Where the first dials go, in order. */
function dialsOf(names: readonly string[], count: number): readonly string[] {
  const { attempts, dialled } = attemptsAt(names);
  attempts.dial(0);
  while (dialled.length < count) attempts.onDeadline(0);
  attempts.cancel();
  return dialled.slice(0, count);
}

it('goes once more round the good ones before a last resort: another connection may lead to another pod', () => {
  assert.deepEqual(dialsOf(['a', 'b', 'c*'], 6), ['a', 'b', 'a', 'b', 'c*', 'a']);
});

it('goes to the last resorts at once where there is nothing else', () => {
  assert.deepEqual(dialsOf(['a*', 'b*'], 3), ['a*', 'b*', 'a*']);
});

it('goes round and round where there are no last resorts', () => {
  assert.deepEqual(dialsOf(['a', 'b'], 5), ['a', 'b', 'a', 'b', 'a']);
});

for (const [names, order] of [
  [['a'], ['a', 'a anew']],
  [
    ['a', 'b'],
    ['a', 'b anew', 'a anew'],
  ],
] as const) {
  it(`goes to the others after a silent path, then over a new connection to the same one: ${names.length} targets`, () => {
    const { attempts, dialled } = attemptsAt(names);
    const { target } = attempts.dial(0)!;
    attempts.cancel();
    attempts.avoidPooledConnections(target);
    while (attempts.dial(0) !== undefined) attempts.cancel();
    assert.deepEqual(dialled, order);
  });
}

it('asks one whose connect came too late, when the one that was first refuses the request', () => {
  const { attempts, dialled, dials } = attemptsAt(['a', 'b']);
  attempts.dial(0);
  attempts.onDeadline(0);
  assert.deepEqual(dialled, ['a', 'b']);
  attempts.onUpstreamConnected(dials[0]!);
  assert.equal(attempts.hasOthers, true);
  assert.equal(attempts.dial(0)?.target, dials[1]!.target);
});
