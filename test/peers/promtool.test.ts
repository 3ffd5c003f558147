// Judges the metrics with Prometheus' own linter; needs `promtool` (Debian package `prometheus`) and fails without it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { it } from 'node:test';
import { MetricsMerge } from '../../src/telemetry/metrics-merge.ts';
import { createProcessMetrics } from '../../src/telemetry/process-metrics.ts';
import { boardWithEveryFamily } from '../telemetry/sample-board.ts';

it('promtool check metrics finds nothing to say about any family', async () => {
  const own = createProcessMetrics();
  try {
    const merge = new MetricsMerge({ local: boardWithEveryFamily(), now: () => 0 });
    const input = merge.text() + (await own.text());
    const result = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8', timeout: 30_000 });
    assert.equal(
      result.error,
      undefined,
      'promtool cannot be run: install it with `apt-get install --no-install-recommends prometheus`',
    );
    assert.equal(result.status, 0, result.stderr + result.stdout);
    assert.equal(result.stdout + result.stderr, '');
  } finally {
    own.close();
  }
});
