// What workers had counted when they ended: told to every controller that follows.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MetricsMessage } from '../../src/model/messages.ts';
import { MetricsLedger } from '../../src/supervisor/metrics-ledger.ts';

const frame = (epoch: number, series: readonly string[] | null, ...values: number[]): MetricsMessage => ({
  epoch,
  series,
  values: Float64Array.from(values),
});

describe('metrics ledger', () => {
  it('tells the newest values with the newest series list, then the exit', () => {
    const ledger = new MetricsLedger();
    ledger.keep('worker-1', frame(1, ['a'], 1));
    ledger.keep('worker-1', frame(2, ['a', 'b'], 2, 3));
    ledger.keep('worker-1', frame(2, null, 5, 8));
    ledger.exited('worker-1', 'SIGKILL');
    assert.deepEqual(ledger.exits(), [
      {
        kind: 'worker-said',
        worker: 'worker-1',
        message: { kind: 'metrics', frame: frame(2, ['a', 'b'], 5, 8) },
      },
      { kind: 'process-exited', role: 'worker', worker: 'worker-1', reason: 'SIGKILL' },
    ]);
    assert.equal(ledger.exits().length, 2, 'to the controller after that one, too');
  });

  it('tells the controller of the moment the numbers as well: it may never have heard the worker', () => {
    const ledger = new MetricsLedger();
    ledger.keep('worker-1', frame(1, ['a'], 7));
    assert.deepEqual(ledger.exited('worker-1', 'SIGKILL'), ledger.exits());
    assert.equal(ledger.exits().length, 2);
  });

  it('tells the exit of a worker that never reported', () => {
    const ledger = new MetricsLedger();
    ledger.exited('worker-2', 'exit-1');
    assert.deepEqual(ledger.exits(), [
      { kind: 'process-exited', role: 'worker', worker: 'worker-2', reason: 'exit-1' },
    ]);
  });

  it('keeps the latest exits only', () => {
    const ledger = new MetricsLedger();
    for (let number = 1; number <= 100; number += 1) ledger.exited(`worker-${number}`, 'exit-1');
    const told = ledger.exits().map((message) => ('worker' in message ? message.worker : ''));
    assert.equal(told.length, 32);
    assert.equal(told.at(-1), 'worker-100');
  });
});
