// What a worker had counted when it ended: told to the controller that follows, once, and not to one that heard it.

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
    ledger.exited('worker-1', 'SIGKILL', false);
    assert.deepEqual(ledger.takeUntold(), [
      {
        kind: 'worker-said',
        worker: 'worker-1',
        message: { kind: 'metrics', frame: frame(2, ['a', 'b'], 5, 8) },
      },
      { kind: 'process-exited', role: 'worker', worker: 'worker-1', reason: 'SIGKILL' },
    ]);
    assert.deepEqual(ledger.takeUntold(), []);
  });

  it('tells the exit of a worker that never reported', () => {
    const ledger = new MetricsLedger();
    ledger.exited('worker-2', 'exit-1', false);
    assert.deepEqual(ledger.takeUntold(), [
      { kind: 'process-exited', role: 'worker', worker: 'worker-2', reason: 'exit-1' },
    ]);
  });

  it('keeps nothing of a worker whose exit was heard', () => {
    const ledger = new MetricsLedger();
    ledger.keep('worker-1', frame(1, ['a'], 1));
    ledger.exited('worker-1', 'SIGKILL', true);
    assert.deepEqual(ledger.takeUntold(), []);
  });
});
