// Turns of look-ups: who goes first, and how many at once.

import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { LOOKUPS_AT_ONCE, LookupTurns, type Standing } from '../../src/names/lookup-turns.ts';
import { CONTROLLER_ENVIRONMENT, WORKER_ENVIRONMENT } from '../../src/supervisor/exec-argv.ts';
import { fc } from '../support/properties.ts';

const UNPROVEN = LOOKUPS_AT_ONCE / 2;

describe('turns of look-ups', () => {
  let open: { name: string; end: (error?: Error) => void }[];
  let turns: LookupTurns;

  beforeEach(() => {
    open = [];
    turns = new LookupTurns((name) => {
      const { promise, resolve, reject } = Promise.withResolvers<[]>();
      const question = {
        name,
        end: (error?: Error): void => {
          open.splice(open.indexOf(question), 1);
          if (error === undefined) resolve([]);
          else reject(error);
        },
      };
      open.push(question);
      return promise;
    });
  });

  const settle = (): Promise<void> => new Promise((done) => setImmediate(done));
  const names = (): string[] => open.map(({ name }) => name);

  function ask(standing: Standing, count: number): Promise<unknown>[] {
    return Array.from({ length: count }, (_, at) => turns.lookup(`${standing}-${at}`, standing));
  }

  it('leave half of the threads to names that were resolved before', async () => {
    ask('failing', 100);
    ask('new', 100);
    await settle();
    assert.equal(open.length, UNPROVEN);
    ask('known', 100);
    await settle();
    assert.equal(open.length, LOOKUPS_AT_ONCE);
    assert.equal(names().filter((name) => name.startsWith('known')).length, LOOKUPS_AT_ONCE - UNPROVEN);
  });

  it('go to names that were resolved before, then to new ones, then to those that failed', async () => {
    ask('known', LOOKUPS_AT_ONCE);
    ask('failing', 1);
    ask('new', 1);
    turns.lookup('late', 'known');
    const came: string[] = [];
    for (let at = 0; at < 3; at += 1) {
      open[0]!.end();
      await settle();
      came.push(names().at(-1)!);
    }
    assert.deepEqual(came, ['late', 'new-0', 'failing-0']);
  });

  it('are given back by look-ups that fail', async () => {
    const failed = ask('new', UNPROVEN);
    const next = turns.lookup('next', 'new');
    open[0]!.end(new Error('EAI_AGAIN'));
    await assert.rejects(failed[0]!, /EAI_AGAIN/);
    await settle();
    open.find(({ name }) => name === 'next')!.end();
    assert.deepEqual(await next, []);
  });

  it('come to everybody, and never are more than there are threads', async () => {
    const standing = fc.constantFrom<Standing>('known', 'new', 'failing');
    const step = fc.oneof(fc.record({ standing }), fc.record({ ends: fc.nat() }));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const asked: Promise<unknown>[] = [];
        const check = async (): Promise<void> => {
          await settle();
          assert.ok(open.length <= LOOKUPS_AT_ONCE);
          assert.ok(names().filter((name) => name !== 'known').length <= UNPROVEN);
        };
        for (const taken of steps) {
          if ('standing' in taken) asked.push(turns.lookup(taken.standing, taken.standing));
          else if (open.length > 0) open[taken.ends % open.length]!.end();
          await check();
        }
        while (open.length > 0) {
          open[0]!.end();
          await check();
        }
        await Promise.all(asked);
      }),
    );
  });

  it('are as many as the threads that libuv lets wait for name servers', () => {
    for (const { UV_THREADPOOL_SIZE } of [WORKER_ENVIRONMENT, CONTROLLER_ENVIRONMENT]) {
      assert.equal(Number(UV_THREADPOOL_SIZE), 2 * LOOKUPS_AT_ONCE);
    }
  });
});
