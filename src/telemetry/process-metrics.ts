// Process and Node metrics of the controller, by prom-client.

import { collectDefaultMetrics, Registry } from 'prom-client';

/** Gauges that prom-client names like counters, which breaks the naming rules; their labelled forms stay. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
] as const;

/** Every ten milliseconds, as by default, it is a third of what a controller at rest takes. */
const LOOP_LOOK_MS = 100;

export interface ProcessMetrics {
  /** Text exposition format 0.0.4. */
  text(): Promise<string>;
  close(): void;
}

/** Starts the collection (an event-loop delay histogram and a garbage-collection observer); one for each process. */
export function createProcessMetrics(): ProcessMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_LOOK_MS });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  return {
    // The library prints `Nan` where the format says `NaN` (mean event-loop delay before the first sample).
    text: async () => (await registry.metrics()).replaceAll(/ Nan$/gm, ' NaN'),
    close: () => registry.clear(),
  };
}
