// How many clients the descriptors of a process allow.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Descriptors, openFilesLimit } from '../../src/proxy/descriptors.ts';

function descriptors(limit: number): { readonly budget: Descriptors; readonly said: string[] } {
  const said: string[] = [];
  const say = (fields: object): void => void said.push((fields as { code: string }).code);
  return { budget: new Descriptors({ limit, log: { warn: say, info: say } }), said };
}

describe('descriptors', () => {
  it('leave half of what is not needed otherwise to clients', () => {
    for (const [limit, listeners, clients] of [
      [1_048_576, 1, 524_255],
      [1024, 1, 479],
      [1024, 100, 430],
      [96, 1, 23],
      [8, 3, 1],
    ] as const) {
      const { budget } = descriptors(limit);
      for (let count = 0; count < listeners; count += 1) budget.listening(1);
      assert.equal(budget.clientLimit, clients, `${limit} descriptors, ${listeners} listeners`);
    }
  });

  it('limit nothing where the limit is not known', () => {
    const { budget } = descriptors(Number.POSITIVE_INFINITY);
    for (let count = 0; count < 10_000; count += 1) budget.opened();
    assert.ok(budget.mayAccept);
  });

  it('say once that they are used up, and once that there is room again', () => {
    const { budget, said } = descriptors(96);
    const limit = budget.clientLimit;
    for (let count = 0; count < limit; count += 1) {
      assert.ok(budget.mayAccept);
      budget.opened();
    }
    for (let count = 0; count < 5; count += 1) assert.ok(!budget.mayAccept);
    budget.closed();
    assert.ok(budget.mayAccept);
    budget.opened();
    assert.ok(!budget.mayAccept);
    assert.deepEqual(said, ['descriptor-limit'], 'going to and fro at the limit is no news');
    for (let count = 0; count < 5; count += 1) budget.closed();
    assert.deepEqual(said, ['descriptor-limit', 'descriptor-limit-over']);
  });

  it('are read from the text of the kernel', () => {
    const line = 'Max open files            1024                 524288               files     \n';
    assert.equal(openFilesLimit(`Limit  Soft Limit  Hard Limit  Units\n${line}`), 1024);
    assert.equal(openFilesLimit(line.replace('1024', 'unlimited')), Number.POSITIVE_INFINITY);
    assert.equal(openFilesLimit(''), Number.POSITIVE_INFINITY);
  });
});
