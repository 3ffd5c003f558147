// The numbers that one process counts: series are bound to slots of a typed array once, and the hot path only adds.

import {
  type CounterName,
  FAMILIES,
  type FamilyName,
  type GaugeName,
  type HistogramName,
  type LabelsOf,
} from './families.ts';
import { labelText } from './labels.ts';
import { DURATION_BUCKETS, HISTOGRAM_SLOTS } from './metric-family.ts';

/** What a process sends to the controller; needs structured clone (`serialization: 'advanced'`), JSON would break `values`. */
export interface MetricsFrame {
  /** Number of the series list; grows whenever a series is bound. */
  readonly epoch: number;
  /** `name{label="value"}` in slot order; null when unchanged since the frame before. */
  readonly series: readonly string[] | null;
  /** All slots: one for a counter or gauge, `HISTOGRAM_SLOTS` for a histogram. */
  readonly values: Float64Array;
}

export interface MetricsBoardOptions {
  /** Series of one family before further ones share `{overflow="true"}`. 1 and up. Default 2000. */
  readonly seriesLimit?: number;
}

const LAST_BUCKET = DURATION_BUCKETS.length;
const BOUNDS = Float64Array.from(DURATION_BUCKETS);

/** Series live as long as the process: the same name and labels give the same slot again, whatever snapshot asks. */
export class MetricsBoard {
  /** Replaced when it grows: read it anew for each update and keep the slot, never the array. */
  values = new Float64Array(256);
  readonly #seriesLimit: number;
  readonly #slots = new Map<string, number>();
  readonly #series: string[] = [];
  readonly #familySizes = new Map<FamilyName, number>();
  #used = 0;
  #sentEpoch = -1;

  constructor(options: MetricsBoardOptions = {}) {
    this.#seriesLimit = Math.max(1, options.seriesLimit ?? 2000);
  }

  /** Binds a counter and returns its slot; add with `board.values[slot] += n`. */
  counter<N extends CounterName>(name: N, labels: LabelsOf<N>): number {
    return this.#bind(name, labels, 1);
  }

  /** Binds a gauge and returns its slot; set or add through `board.values[slot]`. */
  gauge<N extends GaugeName>(name: N, labels: LabelsOf<N>): number {
    return this.#bind(name, labels, 1);
  }

  /** Binds a histogram and returns its base slot for `observe`. */
  histogram<N extends HistogramName>(name: N, labels: LabelsOf<N>): number {
    return this.#bind(name, labels, HISTOGRAM_SLOTS);
  }

  /** Counts one duration in seconds; negative and NaN count as 0, since a clock that jumped must not spoil the sum. */
  observe(base: number, seconds: number): void {
    let value = 0;
    if (seconds > 0) value = seconds;
    let bucket = 0;
    while (bucket < LAST_BUCKET && value > BOUNDS[bucket]!) bucket += 1;
    const values = this.values;
    values[base + bucket] = values[base + bucket]! + 1;
    values[base + LAST_BUCKET + 1] = values[base + LAST_BUCKET + 1]! + value;
  }

  /** A copy to send; holds the series list only when it changed since the last frame or after `invalidate`. */
  frame(): MetricsFrame {
    const epoch = this.#series.length;
    const changed = epoch !== this.#sentEpoch;
    this.#sentEpoch = epoch;
    return {
      epoch,
      series: changed ? this.#series.slice() : null,
      values: this.values.slice(0, this.#used),
    };
  }

  /** Makes the next frame carry the series list: a new controller has not seen it. */
  invalidate(): void {
    this.#sentEpoch = -1;
  }

  #bind(name: FamilyName, labels: Readonly<Record<string, string>>, width: number): number {
    const names: readonly string[] = FAMILIES[name].labels;
    const key = names.length === 0 ? name : `${name}{${labelText(names, labels)}}`;
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    const size = this.#familySizes.get(name) ?? 0;
    if (size >= this.#seriesLimit) {
      const overflow = `${name}{overflow="true"}`;
      return this.#slots.get(overflow) ?? this.#append(overflow, width);
    }
    this.#familySizes.set(name, size + 1);
    return this.#append(key, width);
  }

  #append(key: string, width: number): number {
    const slot = this.#used;
    this.#used += width;
    if (this.#used > this.values.length) {
      const grown = new Float64Array(Math.max(this.#used, this.values.length * 2));
      grown.set(this.values);
      this.values = grown;
    }
    this.#slots.set(key, slot);
    this.#series.push(key);
    return slot;
  }
}
