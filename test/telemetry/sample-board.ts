// A board with every family of the table bound once, with awkward label values.

import { FAMILIES, type FamilyName } from '../../src/telemetry/families.ts';
import type { MetricFamily } from '../../src/telemetry/metric-family.ts';
import { MetricsBoard } from '../../src/telemetry/metrics-board.ts';

export function boardWithEveryFamily(): MetricsBoard {
  const board = new MetricsBoard();
  for (const name of Object.keys(FAMILIES) as FamilyName[]) {
    const family: MetricFamily = FAMILIES[name];
    const labels = Object.fromEntries(
      family.labels.map((label, index) => [label, `v${index}"\\\n${label}`]),
    ) as never;
    if (family.type === 'counter') board.values[board.counter(name as never, labels)]! += 3;
    if (family.type === 'gauge') board.values[board.gauge(name as never, labels)] = 2.5;
    if (family.type === 'histogram') board.observe(board.histogram(name as never, labels), 0.02);
  }
  return board;
}
