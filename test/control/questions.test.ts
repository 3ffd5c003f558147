// Questions to workers: answers find their question, and a worker that is silent holds nobody up for long.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Questions } from '../../src/control/questions.ts';
import type { WorkerAnswer, WorkerQuestion } from '../../src/model/messages.ts';
import { ManualTimers } from '../support/manual-timers.ts';

const QUESTION: WorkerQuestion = { kind: 'flows', cluster: 'iad', node: 'n1' };
const flows = (count: number): WorkerAnswer => ({ kind: 'flows', flows: count });

class World {
  readonly timers = new ManualTimers();
  readonly sent: { readonly worker: string | null; readonly id: number }[] = [];
  readonly questions = new Questions({
    send: (worker, id) => this.sent.push({ worker, id }),
    after: this.timers.after,
  });
}

describe('questions', () => {
  it('asks all workers at once and resolves when all have answered', async () => {
    const world = new World();
    const answers = world.questions.askAll(['w1', 'w2', 'w3'], QUESTION);
    assert.equal(world.sent.length, 1);
    const [{ worker, id }] = world.sent as [{ worker: string | null; id: number }];
    assert.equal(worker, null);
    for (const count of [1, 2, 3]) world.questions.answered(`w${count}`, id, flows(count));
    assert.deepEqual(await answers, [flows(1), flows(2), flows(3)]);
    assert.equal(world.timers.pending, 0);
  });

  it('resolves with those that came within a second', async () => {
    const world = new World();
    const answers = world.questions.askAll(['w1', 'w2'], QUESTION);
    world.questions.answered('w1', world.sent[0]!.id, flows(1));
    world.timers.advance(1000);
    assert.deepEqual(await answers, [flows(1)]);
    world.questions.answered('w2', world.sent[0]!.id, flows(2));
  });

  it('takes no answer for that of another worker: not one that has started since, nor one that is given twice', async () => {
    const world = new World();
    const answers = world.questions.askAll(['w1', 'w2'], QUESTION);
    const [{ id }] = world.sent as [{ worker: string | null; id: number }];
    for (const worker of ['w3', 'w1', 'w1']) world.questions.answered(worker, id, flows(0));
    world.questions.answered('w2', id, flows(7));
    assert.deepEqual(await answers, [flows(0), flows(7)]);
  });

  it('keeps questions apart that are open at the same time', async () => {
    const world = new World();
    const first = world.questions.askOne('w1', QUESTION);
    const second = world.questions.askOne('w2', QUESTION);
    assert.deepEqual(
      world.sent.map(({ worker }) => worker),
      ['w1', 'w2'],
    );
    world.questions.answered('w2', world.sent[1]!.id, flows(2));
    world.questions.answered('w1', world.sent[0]!.id, flows(1));
    assert.deepEqual([await first, await second], [flows(1), flows(2)]);
  });

  it('has no answer from a worker that is silent, and asks nobody when there is no worker', async () => {
    const world = new World();
    const answer = world.questions.askOne('w1', QUESTION);
    world.timers.advance(1000);
    assert.equal(await answer, undefined);
    assert.deepEqual(await world.questions.askAll([], QUESTION), []);
    assert.equal(world.sent.length, 1);
  });

  it('takes an answer to no question for none', () => {
    new World().questions.answered('w1', 99, flows(1));
  });
});
