// What every policy owes to the worker: one suite, run for each of them.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createPoolPicker } from '../../src/balance/pool-picker.ts';
import type { Member, Picker, PickerOptions } from '../../src/model/picker.ts';
import type { PolicyName } from '../../src/model/pool-config.ts';
import { HEALTH_STATES, TARGET_STATES } from '../../src/model/targets.ts';
import { fc } from '../support/properties.ts';
import {
  countPicks,
  createMember,
  createMembers,
  createOptions,
  HASH_POLICIES,
  POLICIES,
  seededRandom,
  shuffled,
} from './members.ts';

const NOBODY: readonly Member[] = [];

const isHash = (name: PolicyName): boolean => HASH_POLICIES.some((policy) => policy === name);

function createPicker(members: readonly Member[], options: PickerOptions, seed = 1, nowMs = 0): Picker {
  return createPoolPicker(members, options, seededRandom(seed), () => nowMs);
}

/** Every member picked within `turns`, sorted. */
function reached(picker: Picker, turns = 400): string[] {
  const random = seededRandom(5);
  return Array.from(countPicks((hash) => picker.pick(hash, NOBODY), turns, random).keys()).sort();
}

const identities = (members: readonly Member[]): string[] => members.map(({ identity }) => identity).sort();

for (const policy of POLICIES)
  describe(`policy ${policy}`, () => {
    const options = createOptions(policy);

    it('has nobody to pick in an empty pool', () => {
      assert.equal(createPicker([], options).pick(7, NOBODY), undefined);
    });

    it('picks nobody once it is released, and leaves its list of members and its successor as they are', () => {
      const members = createMembers(12);
      const before = createPicker(members, options);
      reached(before);
      const after = createPoolPicker(members, options, seededRandom(1), () => 0, undefined, before);
      before.release();
      assert.equal(before.pick(7, NOBODY), undefined);
      assert.equal(members.length, 12);
      assert.deepEqual(reached(after), identities(members));
    });

    it('reaches after any run of replacements whom a picker made anew reaches, and has its checksum', () => {
      const facts = fc.record({
        place: fc.nat(6),
        state: fc.constantFrom('active', 'filling', 'draining'),
        health: fc.constantFrom(...HEALTH_STATES),
        lastResort: fc.boolean(),
        picks: fc.nat(3),
      });
      const run = fc.tuple(fc.constantFrom(0, 0.5), fc.array(facts, { minLength: 1, maxLength: 12 }));
      fc.assert(
        fc.property(run, ([panicThreshold, changes]) => {
          const members = createMembers(7).map((member, index) => ({ ...member, priority: index % 2 }));
          const own = { ...options, panicThreshold };
          const picker = createPicker(members, own);
          for (const { place, picks, ...now } of changes) {
            for (let pick = 0; pick < picks; pick++) picker.pick(pick * 0x2000_0000, NOBODY);
            const after = { ...members[place]!, ...now };
            assert.ok(picker.replace(members[place]!, after));
            members[place] = after;
          }
          assert.deepEqual(reached(picker), reached(createPicker(members, own)));
          assert.equal(picker.checksum, createPicker(members, own).checksum);
        }),
      );
    });

    for (const [what, changes] of [
      ['another weight', { weight: 2 }],
      ['no weight', { weight: 0 }],
      ['another priority', { priority: 1 }],
      ['another identity', { identity: '10.0.0.9:1', port: 1 }],
      ['a place among the excluded', { state: 'excluded' }],
    ] as const)
      it(`has to be made anew for a member that gets ${what}`, () => {
        const members = createMembers(3);
        assert.equal(
          createPicker(members, options).replace(members[1]!, { ...members[1]!, ...changes }),
          false,
        );
      });

    it('replaces nobody that it does not have', () => {
      const stranger = createMember(9);
      assert.equal(createPicker(createMembers(3), options).replace(stranger, { ...stranger }), false);
    });

    it('always picks the only member', () => {
      const only = createMember(1);
      assert.deepEqual(reached(createPicker([only], options)), [only.identity]);
    });

    it('reaches every ready member', () => {
      const members = createMembers(12);
      assert.deepEqual(reached(createPicker(members, options)), identities(members));
    });

    it('never picks weight 0, draining, excluded or unhealthy members', () => {
      const ready = createMembers(2);
      const picker = createPicker(
        [
          ...ready,
          createMember(11, { weight: 0 }),
          createMember(12, { state: 'draining' }),
          createMember(13, { state: 'excluded' }),
          createMember(14, { health: 'unhealthy' }),
        ],
        options,
      );
      assert.deepEqual(reached(picker), identities(ready));
    });

    it('picks nobody when all are draining or without weight, even in panic', () => {
      const members = [createMember(1, { state: 'draining' }), createMember(2, { weight: 0 })];
      const picker = createPicker(members, { ...options, panicThreshold: 0.5 });
      assert.equal(picker.pick(7, NOBODY), undefined);
    });

    it('gives a filling member flows once it is healthy, or unknown where unknown serves', () => {
      const members = [
        createMember(1),
        createMember(2, { state: 'filling', health: 'healthy' }),
        createMember(3, { state: 'filling', health: 'unknown' }),
        createMember(4, { state: 'filling', health: 'unhealthy' }),
      ];
      assert.deepEqual(reached(createPicker(members, options)), identities(members.slice(0, 3)));
      assert.deepEqual(
        reached(createPicker(members, { ...options, unknown: 'hold' })),
        identities(members.slice(0, 2)),
      );
    });

    it('offers each member once to a flow that fails everywhere, then nobody', () => {
      const members = createMembers(7);
      for (let hash = 0; hash < 50; hash++) {
        const picker = createPicker(members, options);
        const tried: Member[] = [];
        for (let attempt = 0; attempt < members.length; attempt++) {
          const member = picker.pick(hash * 0x0101_0101, tried);
          assert.ok(member !== undefined && !tried.includes(member));
          tried.push(member);
        }
        assert.equal(picker.pick(hash, tried), undefined);
      }
    });

    it('leaves an ejected member out at the very next pick, in a pool of any size', () => {
      for (const size of [2, 3, 40, 300]) {
        const members = createMembers(size);
        const picker = createPicker(members, options);
        const first = picker.pick(99, NOBODY);
        assert.ok(first);
        first.live.ejected = true;
        for (let turn = 0; turn < size * 4; turn++) assert.notEqual(picker.pick(99, NOBODY), first);
      }
    });

    it('takes a member back after its ejection', () => {
      const members = createMembers(3);
      const picker = createPicker(members, options);
      members[0]!.live.ejected = true;
      assert.equal(reached(picker).length, 2);
      members[0]!.live.ejected = false;
      assert.equal(reached(picker).length, 3);
    });

    it('takes a member of thousands back at once when it is told that an ejection has ended', () => {
      const members = createMembers(3000);
      for (const { live } of members.slice(1)) live.ejected = true;
      const picker = createPicker(members, options);
      assert.deepEqual(reached(picker, 64), [members[0]!.identity]);
      members[1]!.live.ejected = false;
      picker.invalidate();
      assert.deepEqual(reached(picker, 64), identities(members.slice(0, 2)));
    });

    it('looks at a few members for each pick, however many there are', () => {
      let looks = 0;
      const members = createMembers(2000).map((member) => {
        const { live } = member;
        return Object.defineProperty(member, 'live', {
          get() {
            looks += 1;
            return live;
          },
        });
      });
      const picker = createPicker(members, options);
      for (let turn = 0; turn < 10_000; turn++) picker.pick(turn % 64, NOBODY);
      assert.ok(looks < 10_000 * 8, `${looks} looks`);
    });

    it('picks nobody when all are ejected and panic is off', () => {
      const picker = createPicker(createMembers(3, { live: { ejected: true } }), options);
      assert.equal(picker.pick(1, NOBODY), undefined);
    });

    it('falls back to last-resort members only when no other member is ready', () => {
      const ready = createMember(1);
      const members = [
        ready,
        createMember(2, { lastResort: true }),
        createMember(3, { lastResort: true }),
        createMember(4, { lastResort: true, health: 'unhealthy' }),
      ];
      const picker = createPicker(members, { ...options, panicThreshold: 0.5 });
      assert.deepEqual(reached(picker), [ready.identity]);
      ready.live.ejected = true;
      assert.deepEqual(reached(picker), identities(members.slice(1, 3)));
    });

    it('hands a flow that has tried every ready member to a last-resort one', () => {
      const members = [createMember(1), createMember(2), createMember(3, { lastResort: true })];
      const picker = createPicker(members, options);
      assert.equal(picker.pick(3, members.slice(0, 2)), members[2]);
    });

    it('uses everyone but draining members below the panic threshold, and nobody extra at it', () => {
      const members = [
        createMember(1),
        createMember(2),
        createMember(3, { health: 'unhealthy' }),
        createMember(4, { health: 'unhealthy' }),
        createMember(5, { state: 'draining' }),
      ];
      const picker = createPicker(members, { ...options, panicThreshold: 0.5 });
      assert.deepEqual(reached(picker), identities(members.slice(0, 2)));
      members[1]!.live.ejected = true;
      assert.deepEqual(reached(picker), identities(members.slice(0, 4)));
    });

    it('does not take new members that are not proven yet for lost ones', () => {
      const ready = createMember(1);
      const members = [
        ready,
        ...[2, 3, 4].map((number) => createMember(number, { state: 'filling', health: 'unknown' })),
      ];
      const picker = createPicker(members, { ...options, unknown: 'hold', panicThreshold: 0.5 });
      assert.deepEqual(reached(picker), [ready.identity]);
    });

    it('spreads flows by weight within 3% of all flows over 30,000', () => {
      const members = [1, 2, 3, 4].map((weight) => createMember(weight, { weight: weight * 5 }));
      const picker = createPicker(members, options);
      const turns = 30_000;
      const counts = countPicks((hash) => picker.pick(hash, NOBODY), turns, seededRandom(8));
      for (const { identity, weight } of members) {
        const share = (counts.get(identity) ?? 0) / turns;
        assert.ok(Math.abs(share - weight / 50) < 0.03, `${identity} of weight ${weight} got ${share}`);
      }
    });

    it('spills over to the next priority in proportion to what is missing', () => {
      const primary = createMembers(10);
      const secondary = [21, 22].map((number) => createMember(number, { priority: 1 }));
      const picker = createPicker([...secondary, ...primary], { ...options, panicThreshold: 0.5 });
      const share = (): number => {
        const counts = countPicks((hash) => picker.pick(hash, NOBODY), 8_000, seededRandom(9));
        return secondary.reduce((sum, { identity }) => sum + (counts.get(identity) ?? 0), 0) / 8_000;
      };
      assert.equal(share(), 0);
      for (const member of primary.slice(0, 3)) member.live.ejected = true;
      assert.equal(share(), 0, 'a share of 0.7 still carries everything');
      for (const member of primary.slice(0, 7)) member.live.ejected = true;
      assert.ok(Math.abs(share() - (1 - 0.3 / 0.7)) < 0.03, `share of the second priority ${share()}`);
      for (const member of primary) member.live.ejected = true;
      assert.equal(share(), 1);
    });

    it('gives a new member a tenth of its weight at first, and all of it at the end of slow start', () => {
      for (const [ageMs, expected] of [
        [0, 0.1 / 3.1],
        [5_000, 0.55 / 3.55],
        [10_000, 0.25],
      ] as const) {
        const old = createMembers(3, { live: { startedAtMs: 1 } });
        const fresh = createMember(9, { live: { startedAtMs: 100_000 - ageMs } });
        const picker = createPicker([...old, fresh], { ...options, slowStartMs: 10_000 }, 1, 100_000);
        const counts = countPicks((hash) => picker.pick(hash, NOBODY), 20_000, seededRandom(4));
        const share = (counts.get(fresh.identity) ?? 0) / 20_000;
        assert.ok(Math.abs(share - expected) < 0.035, `after ${ageMs} ms ${share}, expected ${expected}`);
      }
    });

    it('spreads flows evenly while all members are new', () => {
      const members = createMembers(4, { weight: 4 });
      const picker = createPicker(members, { ...options, slowStartMs: 10_000 }, 1, 100_000);
      const counts = countPicks((hash) => picker.pick(hash, NOBODY), 8_000, seededRandom(4));
      for (const { identity } of members)
        assert.ok(Math.abs((counts.get(identity) ?? 0) / 8_000 - 0.25) < 0.04);
    });

    it('gives the same sequence for the same seed, in whatever order the members are listed', () => {
      const members = [1, 2, 3, 4, 5, 6].map((number) =>
        createMember(number, { weight: (number % 3) + 1, priority: number % 2 }),
      );
      const first = createPicker(members, options, 42);
      const second = createPicker(shuffled(members, seededRandom(3)), options, 42);
      for (let turn = 0; turn < 500; turn++)
        assert.equal(first.pick(turn * 7_919, NOBODY), second.pick(turn * 7_919, NOBODY));
      assert.equal(first.checksum, second.checksum);
    });

    it('never writes to members or options, and never asks for chance or time that it was not given', () => {
      const members = createMembers(5).map((member) =>
        Object.freeze({ ...member, live: Object.freeze({ ...member.live, latencyMs: 3, inFlight: 2 }) }),
      );
      const frozen = Object.freeze({
        ...options,
        policy: Object.freeze({ ...options.policy, boundedLoad: 0 }),
      });
      const picker = createPicker(Object.freeze(members), frozen);
      for (let turn = 0; turn < 50; turn++) assert.ok(picker.pick(turn, Object.freeze([members[0]!])));
    });

    it('picks only what the rule allows, whatever the members, and somebody whenever one is ready', () => {
      const anyMember = fc.record({
        weight: fc.constantFrom(0, 0.5, 1, 7),
        priority: fc.integer({ min: 0, max: 2 }),
        state: fc.constantFrom(...TARGET_STATES),
        health: fc.constantFrom(...HEALTH_STATES),
        lastResort: fc.boolean(),
        ejected: fc.boolean(),
        inFlight: fc.integer({ min: 0, max: 50 }),
        tried: fc.boolean(),
      });
      const small = { ...options, policy: { ...options.policy, tableSize: policy === 'maglev' ? 251 : 8 } };
      fc.assert(
        fc.property(
          fc.array(anyMember, { maxLength: 9 }),
          fc.constantFrom(0, 0.5, 1),
          fc.constantFrom(0, 1.25),
          fc.integer({ min: 0, max: 0xffff_ffff }),
          (list, panicThreshold, boundedLoad, hash) => {
            const members = list.map(({ ejected, inFlight, tried: _, ...rest }, index) =>
              createMember(index + 1, { ...rest, live: { ejected, inFlight } }),
            );
            const tried = members.filter((_, index) => list[index]!.tried);
            const changed = { ...small, panicThreshold, policy: { ...small.policy, boundedLoad } };
            const picked = createPicker(members, changed).pick(hash, tried);
            const left = members.filter((member) => !tried.includes(member) && member.weight > 0);
            const ready = left.filter(
              ({ state, health, lastResort, live }) =>
                (state === 'active' || state === 'filling') &&
                health !== 'unhealthy' &&
                !lastResort &&
                !live.ejected,
            );
            if (ready.length > 0) assert.ok(picked);
            if (picked === undefined) return;
            assert.ok(left.includes(picked));
            assert.ok(picked.state === 'active' || picked.state === 'filling');
            if (panicThreshold === 0) {
              assert.ok(picked.health !== 'unhealthy' && !picked.live.ejected);
              if (picked.lastResort) assert.equal(ready.length, 0);
            }
          },
        ),
        { numRuns: 300, seed: 11 },
      );
    });

    if (isHash(policy))
      describe('as a hash policy', () => {
        it('publishes a checksum that follows members and weights, and nothing else', () => {
          const members = createMembers(5);
          const { checksum } = createPicker(members, options);
          assert.match(checksum, /^[0-9a-f]{16}$/);
          const sick = members.map(
            (member) => ({ ...member, health: 'unhealthy', state: 'draining' }) as const,
          );
          assert.equal(createPicker(sick, options).checksum, checksum);
          const doubled = members.map((member) => ({ ...member, weight: 2 }));
          // The ring has so many points for each unit of weight; the other tables know only ratios.
          assert.equal(createPicker(doubled, options).checksum === checksum, policy !== 'ring-hash');
          const heavier = members.map((member, index) => ({ ...member, weight: index === 0 ? 2 : 1 }));
          assert.notEqual(createPicker(heavier, options).checksum, checksum);
          assert.notEqual(createPicker(members.slice(1), options).checksum, checksum);
          const otherSeed = { ...options.policy, seed: 'f'.repeat(32) };
          assert.notEqual(createPicker(members, { ...options, policy: otherSeed }).checksum, checksum);
          const twoGroups = members.map((member, index) => ({ ...member, priority: index % 2 }));
          assert.match(createPicker(twoGroups, options).checksum, /^[0-9a-f]{16}$/);
        });

        it('moves only the keys of the member that is sick, draining, ejected or tried', () => {
          const members = createMembers(10);
          const before = createPicker(members, options);
          const victim = members[3]!;
          const variants: readonly (readonly [string, Picker, readonly Member[]])[] = [
            ['sick', createPicker(members.with(3, { ...victim, health: 'unhealthy' }), options), NOBODY],
            ['draining', createPicker(members.with(3, { ...victim, state: 'draining' }), options), NOBODY],
            [
              'ejected',
              createPicker(members.with(3, { ...victim, live: { ...victim.live, ejected: true } }), options),
              NOBODY,
            ],
            ['tried', before, [victim]],
          ];
          for (let hash = 1; hash < 3_000; hash++) {
            const key = Math.imul(hash, 0x9e37_79b1) >>> 0;
            const home = before.pick(key, NOBODY);
            const next = before.pick(key, [victim]);
            for (const [name, picker, tried] of variants) {
              const now = picker.pick(key, tried);
              if (home === victim) assert.equal(now?.identity, next?.identity, name);
              else assert.equal(now?.identity, home?.identity, name);
            }
          }
        });

        it('gives a joining member keys of all others, and moves no key between those', () => {
          const members = createMembers(10);
          const before = createPicker(members, options);
          const after = createPicker([...members, createMember(77)], options);
          let moved = 0;
          let strayed = 0;
          for (let hash = 0; hash < 20_000; hash++) {
            const key = Math.imul(hash, 0x9e37_79b1) >>> 0;
            const now = after.pick(key, NOBODY)?.identity;
            if (now === before.pick(key, NOBODY)?.identity) continue;
            moved++;
            if (now !== '10.0.0.77:30080') strayed++;
          }
          assert.ok(Math.abs(moved / 20_000 - 1 / 11) < 0.04, `${moved} keys moved`);
          // Maglev gives up a little of this for an even table: its paper measures the same.
          assert.ok(strayed <= (policy === 'maglev' ? 20_000 * 0.04 : 0), `${strayed} keys strayed`);
        });

        it('keeps the group of a key while shares stay, and moves only the difference when they change', () => {
          const members = [...createMembers(10), createMember(50, { priority: 1 })];
          const picker = createPicker(members, options);
          const keys = Array.from({ length: 2_000 }, (_, hash) => Math.imul(hash, 0x9e37_79b1) >>> 0);
          const inFirst = (): boolean[] => keys.map((key) => picker.pick(key, NOBODY)?.priority === 0);
          for (const member of members.slice(0, 4)) member.live.ejected = true;
          const six = inFirst();
          assert.deepEqual(inFirst(), six);
          for (const member of members.slice(0, 6)) member.live.ejected = true;
          const four = inFirst();
          assert.ok(four.every((first, index) => !first || six[index]));
        });

        it('holds every member below its bounded share of the flows in flight', () => {
          const members = [1, 1, 2, 4].map((weight, index) => createMember(index + 1, { weight }));
          const boundedLoad = 1.25;
          const picker = createPicker(members, { ...options, policy: { ...options.policy, boundedLoad } });
          const random = seededRandom(6);
          for (let flows = 1; flows <= 800; flows++) {
            // Half of the flows are of one key, as behind a large NAT.
            const key = flows % 2 === 0 ? 12_345 : Math.floor(random() * 0x1_0000_0000);
            const member = picker.pick(key, NOBODY);
            assert.ok(member);
            member.live.inFlight++;
            const most = Math.ceil((boundedLoad * flows * member.weight) / 8);
            assert.ok(member.live.inFlight <= most, `${member.live.inFlight} of ${most} at ${flows} flows`);
          }
        });

        it('sends the overflow of a key to the next in its order', () => {
          const members = createMembers(8);
          const plain = createPicker(members, options);
          const home = plain.pick(4_711, NOBODY);
          assert.ok(home);
          const next = plain.pick(4_711, [home]);
          const bounded = createPicker(members, {
            ...options,
            policy: { ...options.policy, boundedLoad: 1.5 },
          });
          assert.equal(bounded.pick(4_711, NOBODY), home);
          home.live.inFlight = 5;
          assert.equal(bounded.pick(4_711, NOBODY), next);
        });

        it('ignores the bound rather than refuse a flow', () => {
          const members = createMembers(2);
          const options2 = { ...options, policy: { ...options.policy, boundedLoad: 1.05 } };
          const picker = createPicker(members, options2);
          members[0]!.live.inFlight = 100;
          assert.equal(picker.pick(1, [members[1]!]), members[0]);
        });

        it('sends a key in slow start always to the same member', () => {
          const members = [
            ...createMembers(4, { live: { startedAtMs: 1 } }),
            createMember(9, { live: { startedAtMs: 99_000 } }),
          ];
          const picker = createPicker(members, { ...options, slowStartMs: 10_000 }, 1, 100_000);
          for (let key = 0; key < 500; key++)
            assert.equal(picker.pick(key * 65_537, NOBODY), picker.pick(key * 65_537, NOBODY));
        });

        it('draws no chance', () => {
          const members = [
            ...createMembers(5, { live: { ejected: true } }),
            createMember(9, { priority: 1 }),
          ];
          members[0]!.live.ejected = false;
          const picker = createPoolPicker(
            members,
            options,
            () => assert.fail('asked for a random number'),
            () => 0,
          );
          for (let key = 0; key < 100; key++) assert.ok(picker.pick(key * 65_537, NOBODY));
        });
      });
    else
      describe('as a policy without a table', () => {
        it('has no checksum', () => {
          assert.equal(createPicker(createMembers(3), options).checksum, '');
        });

        it('starts anywhere, since all workers make their pickers together', () => {
          const members = createMembers(8);
          const starts = new Map<string, number>();
          const random = seededRandom(12);
          for (let worker = 0; worker < 2_000; worker++) {
            const identity =
              createPoolPicker(members, options, random, () => 0).pick(0, NOBODY)?.identity ?? '';
            starts.set(identity, (starts.get(identity) ?? 0) + 1);
          }
          for (const { identity } of members)
            assert.ok(
              Math.abs((starts.get(identity) ?? 0) - 250) < 70,
              `${identity}: ${starts.get(identity)}`,
            );
        });
      });
  });
