// What each policy without a table does beyond the contract: turns, flows in flight, latency.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createPoolPicker } from '../../src/balance/pool-picker.ts';
import type { Member, Picker } from '../../src/model/picker.ts';
import type { PolicyName } from '../../src/model/pool-config.ts';
import { countPicks, createMember, createMembers, createOptions, seededRandom } from './members.ts';

function createPicker(policy: PolicyName, members: readonly Member[], choices = 2, nowMs = 0): Picker {
  const options = createOptions(policy, { policy: { choices } });
  return createPoolPicker(members, options, seededRandom(1), () => nowMs);
}

/** Starts flows; after the first `concurrency` of them, one ends for each that starts. */
function run(
  picker: Picker,
  flows: number,
  concurrency: number,
  durations?: Map<Member, number>,
): Map<Member, number> {
  const counts = new Map<Member, number>();
  const open: { member: Member; endsAt: number }[] = [];
  for (let flow = 0; flow < flows; flow++) {
    const member = picker.pick(0, []);
    assert.ok(member);
    counts.set(member, (counts.get(member) ?? 0) + 1);
    member.live.inFlight++;
    open.push({ member, endsAt: flow + concurrency * (durations?.get(member) ?? 1) });
    for (let index = open.length - 1; index >= 0; index--)
      if (open[index]!.endsAt <= flow) open.splice(index, 1)[0]!.member.live.inFlight--;
  }
  return counts;
}

describe('round-robin', () => {
  it('visits every member of equal weight once in each round', () => {
    const members = createMembers(5);
    const picker = createPicker('round-robin', members);
    for (let round = 0; round < 6; round++)
      assert.equal(new Set(members.map(() => picker.pick(0, []))).size, 5, `round ${round}`);
  });

  it('gives exact shares over a whole round of weights', () => {
    const members = [1, 2, 5].map((weight, index) => createMember(index + 1, { weight }));
    const picker = createPicker('round-robin', members);
    const counts = countPicks(() => picker.pick(0, []), 8 * 50, seededRandom(1));
    members.forEach(({ identity, weight }) => {
      assert.ok(Math.abs(counts.get(identity)! - weight * 50) <= 1, `${weight}: ${counts.get(identity)}`);
    });
  });

  it('spreads the turns of a light member over the rounds', () => {
    const members = [createMember(1, { weight: 9 }), createMember(2, { weight: 1 })];
    const picker = createPicker('round-robin', members);
    const light = Array.from({ length: 200 }, (_, turn) =>
      picker.pick(0, []) === members[1] ? turn : -1,
    ).filter((turn) => turn >= 0);
    assert.equal(light.length, 20);
    for (let index = 1; index < light.length; index++) assert.equal(light[index]! - light[index - 1]!, 10);
  });

  it('goes on evenly among the others when a member is ejected', () => {
    const members = createMembers(4);
    const picker = createPicker('round-robin', members);
    members[2]!.live.ejected = true;
    const counts = countPicks(() => picker.pick(0, []), 300, seededRandom(1));
    assert.deepEqual(Array.from(counts.values()), [100, 100, 100]);
  });
});

describe('least-request', () => {
  it('always takes the idler of two', () => {
    const members = createMembers(2);
    members[0]!.live.inFlight = 1;
    const picker = createPicker('least-request', members);
    for (let turn = 0; turn < 50; turn++) assert.equal(picker.pick(0, []), members[1]);
  });

  it('compares all members when there are no more than choices', () => {
    const members = createMembers(6);
    for (const member of members) member.live.inFlight = 3;
    members[4]!.live.inFlight = 2;
    const picker = createPicker('least-request', members, 6);
    for (let turn = 0; turn < 50; turn++) assert.equal(picker.pick(0, []), members[4]);
  });

  it('keeps flows in flight in proportion to the weights', () => {
    const members = [1, 2, 5].map((weight, index) => createMember(index + 1, { weight }));
    run(createPicker('least-request', members), 4_000, 160);
    for (const { weight, live } of members)
      assert.ok(Math.abs(live.inFlight - weight * 20) <= 6, `${weight}: ${live.inFlight}`);
  });

  it('never takes the busiest of a large pool, since it draws two different members', () => {
    const members = createMembers(20);
    members[7]!.live.inFlight = 9;
    const picker = createPicker('least-request', members);
    const counts = countPicks(() => picker.pick(0, []), 2_000, seededRandom(1));
    assert.equal(counts.get(members[7]!.identity), undefined);
  });
});

describe('peak-ewma', () => {
  it('prefers the faster of two, until the slower is so much idler', () => {
    const [fast, slow] = [
      createMember(1, { live: { latencyMs: 10 } }),
      createMember(2, { live: { latencyMs: 40 } }),
    ];
    const picker = createPicker('peak-ewma', [fast, slow]);
    assert.equal(picker.pick(0, []), fast);
    fast.live.inFlight = 2;
    assert.equal(picker.pick(0, []), fast, '10 x 3 against 40');
    fast.live.inFlight = 4;
    assert.equal(picker.pick(0, []), slow, '10 x 5 against 40');
  });

  it('forgets an old latency', () => {
    const members = [
      createMember(1, { live: { latencyMs: 20, latencyAtMs: 60_000 } }),
      createMember(2, { live: { latencyMs: 1_000, latencyAtMs: 1_000 } }),
    ];
    assert.equal(createPicker('peak-ewma', members, 2, 60_000).pick(0, []), members[1]);
    assert.equal(createPicker('peak-ewma', members, 2, 2_000).pick(0, []), members[0]);
  });

  it('tries a member without an answer once, and does not flood it', () => {
    const known = createMember(1, { live: { latencyMs: 20 } });
    const fresh = createMember(2);
    const picker = createPicker('peak-ewma', [known, fresh]);
    assert.equal(picker.pick(0, []), fresh);
    fresh.live.inFlight = 1;
    assert.equal(picker.pick(0, []), known);
  });

  it('sends a slow member a smaller part of the flows', () => {
    const members = createMembers(4);
    for (const member of members) member.live.latencyMs = 10;
    members[0]!.live.latencyMs = 100;
    const counts = run(createPicker('peak-ewma', members), 4_000, 20, new Map([[members[0]!, 10]]));
    assert.ok((counts.get(members[0]!) ?? 0) < 300, `${counts.get(members[0]!)}`);
  });
});
