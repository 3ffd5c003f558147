// Names of targets: how often the name server is asked, and what is used while it has no answer.

import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { beforeEach, describe, it } from 'node:test';
import { NAMES_KEPT, type NameResult, Names } from '../../src/names/names.ts';

interface Question {
  readonly name: string;
  readonly answer: (...addresses: string[]) => Promise<void>;
  readonly fail: (code: string) => Promise<void>;
}

describe('names', () => {
  let nowMs: number;
  let asked: Question[];
  let results: NameResult[];
  let logged: string[];
  let names: Names;

  beforeEach(() => {
    nowMs = 1000;
    asked = [];
    results = [];
    logged = [];
    const say = (fields: object): void => {
      const { code, kept } = fields as { code: string; kept?: boolean };
      logged.push(kept === undefined ? code : `${code}, ${kept ? 'kept' : 'nothing'}`);
    };
    names = new Names({
      resolve: (name) => {
        const { promise, resolve, reject } = Promise.withResolvers<readonly LookupAddress[]>();
        const settled = async (): Promise<void> => {
          await promise.catch(() => {});
          await Promise.resolve();
        };
        asked.push({
          name,
          answer: (...addresses) => {
            resolve(addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
            return settled();
          },
          fail: (code) => {
            reject(Object.assign(new Error(code), { code }));
            return settled();
          },
        });
        return promise;
      },
      now: () => nowMs,
      log: { warn: say, info: say },
      onResult: (result) => results.push(result),
    });
  });

  /** What a connection would be told: an address, an error's code, or nothing yet. */
  function look(name = 'app.example'): { got: string | null } {
    const seen: { got: string | null } = { got: null };
    names.lookup(name, {}, (error, address) => {
      seen.got = error !== null && error !== undefined && address === '' ? error.code! : String(address);
    });
    return seen;
  }

  it('asks once for all that wait, and not again while the answer is fresh', async () => {
    const first = look();
    const second = look();
    assert.equal(asked.length, 1);
    assert.equal(first.got, null);
    await asked[0]!.answer('10.0.0.1');
    assert.deepEqual([first.got, second.got], ['10.0.0.1', '10.0.0.1']);
    nowMs += 5000;
    assert.equal(look().got, '10.0.0.1');
    assert.equal(asked.length, 1);
    assert.deepEqual(results, ['ok']);
  });

  it('uses an answer of a few seconds while it asks again, and the new one from then on', async () => {
    look();
    await asked[0]!.answer('10.0.0.1');
    nowMs += 5001;
    assert.equal(look().got, '10.0.0.1');
    assert.equal(asked.length, 2);
    await asked[1]!.answer('10.0.0.2');
    assert.equal(look().got, '10.0.0.2');
  });

  it('waits for a new answer when the last is old', async () => {
    look();
    await asked[0]!.answer('10.0.0.1');
    nowMs += 60_001;
    const late = look();
    assert.equal(late.got, null);
    await asked[1]!.answer('10.0.0.2');
    assert.equal(late.got, '10.0.0.2');
  });

  it('keeps the last good addresses when the name vanishes, however long, and says so once', async () => {
    look();
    await asked[0]!.answer('10.0.0.1');
    for (let round = 1; round <= 3; round += 1) {
      nowMs += 3_600_000;
      const seen = look();
      await asked[round]!.fail('ENOTFOUND');
      assert.equal(seen.got, '10.0.0.1');
    }
    assert.deepEqual(results, ['ok', 'kept', 'kept', 'kept']);
    assert.deepEqual(logged, ['name-unresolved, kept']);
    nowMs += 10_000;
    look();
    await asked[4]!.answer('10.0.0.9');
    assert.equal(look().got, '10.0.0.9');
    assert.deepEqual(logged, ['name-unresolved, kept', 'name-resolved']);
  });

  it('does not make connections wait for a name server that is silent', async () => {
    look();
    await asked[0]!.answer('10.0.0.1');
    nowMs += 60_001;
    assert.equal(look().got, null);
    nowMs += 501;
    assert.equal(look().got, '10.0.0.1', 'the question has been open for too long');
    await asked[1]!.fail('EAI_AGAIN');
    nowMs += 60_000;
    assert.equal(look().got, '10.0.0.1', 'asked again in the background');
    assert.equal(asked.length, 3);
  });

  it('fails a connection to a name that was never resolved, and leaves the name server alone for a second', async () => {
    const seen = look();
    await asked[0]!.fail('ENOTFOUND');
    assert.equal(seen.got, 'ENOTFOUND');
    nowMs += 999;
    assert.equal(look().got, 'ENOTFOUND');
    assert.equal(asked.length, 1);
    nowMs += 1;
    const again = look();
    await asked[1]!.answer('10.0.0.1');
    assert.equal(again.got, '10.0.0.1');
    assert.deepEqual(results, ['failed', 'ok']);
  });

  it('takes the addresses of a name in turn, those of one family', async () => {
    look();
    await asked[0]!.answer('10.0.0.1', 'fd00::1', '10.0.0.2');
    const got = Array.from({ length: 4 }, () => look().got);
    assert.deepEqual(got, ['10.0.0.2', '10.0.0.1', '10.0.0.2', '10.0.0.1']);
  });

  it('forgets the names that were not used for the longest time', async () => {
    look('first.example');
    await asked[0]!.answer('10.0.0.1');
    for (let at = 0; at < NAMES_KEPT; at += 1) look(`${at}.example`);
    assert.equal(look('first.example').got, null);
  });

  it('resolves names that were well while many others wait for a silent name server', async () => {
    look();
    await asked[0]!.answer('10.0.0.1');
    for (let at = 0; at < 100; at += 1) look(`${at}.silent.example`);
    nowMs += 60_001;
    const seen = look();
    assert.equal(asked.at(-1)!.name, 'app.example');
    await asked.at(-1)!.answer('10.0.0.2');
    assert.equal(seen.got, '10.0.0.2');
  });
});
