// What a metric family is: its type, labels, unit and merge, and the buckets that all histograms share.

/** Seconds; the same for every histogram, so that they can be compared: Prometheus' defaults with 1 ms, 2.5 ms, 30 s and 60 s. */
export const DURATION_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const;

/** Slots of one histogram series: a count for each bucket, one for what is above the last bound, and the sum. */
export const HISTOGRAM_SLOTS = DURATION_BUCKETS.length + 2;

export type MetricType = 'counter' | 'gauge' | 'histogram';
export type MetricUnit = 'none' | 'seconds' | 'bytes' | 'timestamp' | 'info';

export interface MetricFamily {
  readonly type: MetricType;
  readonly labels: readonly string[];
  readonly unit: MetricUnit;
  /** Which process counts it. */
  readonly role: 'worker' | 'controller';
  /** How the values of several processes become one; counters and histograms are always summed. */
  readonly merge: 'sum' | 'min' | 'max';
  /** One sentence without a full stop; becomes the HELP line. */
  readonly help: string;
}

type Role = MetricFamily['role'];

export const counter = <const L extends readonly string[]>(
  role: Role,
  labels: L,
  help: string,
  unit: MetricUnit = 'none',
) => ({ type: 'counter', labels, unit, role, merge: 'sum', help }) as const;

export const gauge = <const L extends readonly string[]>(
  role: Role,
  labels: L,
  help: string,
  unit: MetricUnit = 'none',
  merge: MetricFamily['merge'] = 'sum',
) => ({ type: 'gauge', labels, unit, role, merge, help }) as const;

export const histogram = <const L extends readonly string[]>(role: Role, labels: L, help: string) =>
  ({ type: 'histogram', labels, unit: 'seconds', role, merge: 'sum', help }) as const;
