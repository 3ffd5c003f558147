// Who goes on when hundreds of connections begin or end at once, with passes that the test makes.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BurstShare } from '../../../src/proxy/wire/burst-share.ts';

function loop(): { share: BurstShare; told: number[]; come: (count: number) => void; pass: () => boolean } {
  const told: number[] = [];
  const tasks: (() => void)[] = [];
  const share = new BurstShare((task) => tasks.push(task));
  let number = 0;
  return {
    share,
    told,
    come: (count) => {
      for (let index = 0; index < count; index += 1) {
        const mine = number++;
        if (share.mayGoOn()) told.push(mine);
        else share.wait({ onTurn: () => told.push(mine) });
      }
    },
    pass: () => {
      const due = tasks.splice(0);
      for (const task of due) task();
      return due.length > 0;
    },
  };
}

describe('the share of a burst', () => {
  it('lets a few go on at once, and the others in their order a few in each pass', () => {
    const { told, come, pass } = loop();
    come(200);
    const atOnce = told.length;
    assert.ok(atOnce > 0 && atOnce < 50, `${atOnce}`);
    let passes = 0;
    for (let before = told.length; pass(); before = told.length) {
      assert.ok(told.length - before < atOnce, 'fewer than at once');
      passes += 1;
    }
    assert.ok(passes > 10, `${passes}`);
    assert.deepEqual(
      told,
      Array.from({ length: 200 }, (_, index) => index),
    );
  });

  it('lets nobody overtake those who wait', () => {
    const { told, come, pass } = loop();
    come(100);
    while (pass()) come(told.length < 100 ? 1 : 0);
    assert.deepEqual(
      told,
      told.map((_, index) => index),
    );
    assert.ok(told.length > 100);
  });

  it('asks for a pass seldom while few come at a time', () => {
    const { told, come, pass } = loop();
    let asked = 0;
    for (let pair = 0; pair < 160; pair += 1) {
      come(1);
      if (pass()) asked += 1;
    }
    assert.equal(told.length, 160);
    assert.ok(asked <= 10, `${asked}`);
  });

  it('lets all go on at once when nobody may wait any longer', () => {
    const { share, told, come, pass } = loop();
    come(100);
    share.flush();
    assert.equal(told.length, 100);
    while (pass());
    assert.equal(told.length, 100, 'each once');
  });
});
