// The controller's view of all processes' numbers: live frames are summed, and what ended processes counted is retained.

import { FAMILIES, familyOf } from './families.ts';
import { HISTOGRAM_SLOTS, type MetricFamily } from './metric-family.ts';
import type { MetricsFrame } from './metrics-board.ts';
import { renderFamily, type SeriesValues } from './metrics-text.ts';

/** What must outlive the controller; plain data for structured clone. */
export interface RetainedMetrics {
  readonly series: readonly string[];
  readonly values: Float64Array;
  /** Incarnations that have ended, their numbers folded in, newest last: a frame or an exit told twice must not count twice. */
  readonly folded: readonly string[];
}

export interface MetricsMergeOptions {
  /** The controller's own numbers, merged like a worker's. */
  readonly local: { frame(): MetricsFrame } | null;
  /** Gauges of what there is now, asked for with each text: what is told of no more has no series. Default none. */
  readonly described?: () => MetricsFrame;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Age up to which a rendered text is served again. 1000 and up, so that a burst of scrapes costs one rendering. Default 1000. */
  readonly cacheMs?: number;
}

interface LiveProcess {
  epoch: number;
  series: readonly string[];
  values: Float64Array;
}

const FOLDED_LIMIT = 256;
const NO_VALUES = new Float64Array(0);
const NOTHING: MetricsFrame = { epoch: 0, series: [], values: NO_VALUES };

/** The family name of a series key. */
function nameOf(key: string): string {
  const brace = key.indexOf('{');
  return brace < 0 ? key : key.slice(0, brace);
}

const widthOf = (family: MetricFamily): number => (family.type === 'histogram' ? HISTOGRAM_SLOTS : 1);

export class MetricsMerge {
  readonly #local: MetricsMergeOptions['local'];
  readonly #described: () => MetricsFrame;
  readonly #now: () => number;
  readonly #cacheMs: number;
  readonly #live = new Map<string, LiveProcess>();
  readonly #localState: LiveProcess = { epoch: -1, series: [], values: NO_VALUES };
  readonly #retained = new Map<string, Float64Array>();
  readonly #folded = new Set<string>();
  #text = '';
  #renderedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: MetricsMergeOptions) {
    this.#local = options.local;
    this.#described = options.described ?? (() => NOTHING);
    this.#now = options.now;
    this.#cacheMs = Math.max(1000, options.cacheMs ?? 1000);
  }

  /**
   * Takes the latest frame of a process.
   * @param incarnation unique for one life of a process (slot and process id, say), never used again
   * @returns false when the series list of the frame is not known here: ask the process to `invalidate` and send again
   */
  apply(incarnation: string, frame: MetricsFrame): boolean {
    if (this.#folded.has(incarnation)) return true;
    const known = this.#live.get(incarnation);
    if (frame.series === null && known?.epoch !== frame.epoch) return false;
    const state = known ?? { epoch: -1, series: [], values: NO_VALUES };
    update(state, frame);
    this.#live.set(incarnation, state);
    return true;
  }

  /** A process ended: its counters and histograms are kept for ever, its gauges are gone. Telling it twice changes nothing. */
  exit(incarnation: string): void {
    if (this.#folded.has(incarnation)) return;
    const state = this.#live.get(incarnation);
    this.#live.delete(incarnation);
    // One that never reported has ended all the same, and is told of again.
    if (state !== undefined) foldLasting(state, this.#retained);
    this.#folded.add(incarnation);
    if (this.#folded.size > FOLDED_LIMIT) {
      const oldest = this.#folded.values().next();
      if (!oldest.done) this.#folded.delete(oldest.value);
    }
  }

  /** What the next controller has to be given with `restore`; counts what this controller itself counted, too. */
  retain(): RetainedMetrics {
    const kept = new Map<string, Float64Array>();
    for (const [key, values] of this.#retained) kept.set(key, values.slice());
    foldLasting(this.#ownState(), kept);
    const values = new Float64Array([...kept.values()].reduce((total, item) => total + item.length, 0));
    let offset = 0;
    for (const item of kept.values()) {
      values.set(item, offset);
      offset += item.length;
    }
    return { series: [...kept.keys()], values, folded: [...this.#folded] };
  }

  /** Adds what an earlier controller retained; call it once, before the first frame. */
  restore(retained: RetainedMetrics): void {
    foldLasting({ epoch: 0, series: retained.series, values: retained.values }, this.#retained);
    for (const incarnation of retained.folded) this.#folded.add(incarnation);
  }

  /** The merged families in the text exposition format 0.0.4, at most `cacheMs` old. */
  text(): string {
    const now = this.#now();
    if (now - this.#renderedAtMs >= this.#cacheMs) {
      this.#text = this.#render();
      this.#renderedAtMs = now;
    }
    return this.#text;
  }

  #ownState(): LiveProcess {
    if (this.#local !== null) update(this.#localState, this.#local.frame());
    return this.#localState;
  }

  #render(): string {
    const families = new Map<string, Map<string, SeriesValues>>();
    const sumOf = (key: string, family: MetricFamily, values: Float64Array, offset: number): void => {
      const name = nameOf(key);
      let series = families.get(name);
      if (series === undefined) {
        series = new Map();
        families.set(name, series);
      }
      const width = widthOf(family);
      const merged = series.get(key);
      if (merged === undefined) {
        series.set(key, values.slice(offset, offset + width));
        return;
      }
      for (let index = 0; index < width; index += 1) {
        merged[index] = mergeValue(family.merge, merged[index]!, values[offset + index]!);
      }
    };
    eachSeries({ epoch: 0, series: [...this.#retained.keys()], values: NO_VALUES }, (key, family) => {
      sumOf(key, family, this.#retained.get(key)!, 0);
    });
    const { epoch, series: told, values } = this.#described();
    const described = { epoch, series: told ?? [], values };
    for (const state of [...this.#live.values(), this.#ownState(), described]) {
      eachSeries(state, (key, family, offset) => sumOf(key, family, state.values, offset));
    }
    let text = '';
    for (const name of Object.keys(FAMILIES)) {
      const series = families.get(name);
      if (series !== undefined) text += renderFamily(name, familyOf(name)!, series);
    }
    return text;
  }
}

function update(state: LiveProcess, frame: MetricsFrame): void {
  state.epoch = frame.epoch;
  if (frame.series !== null) state.series = frame.series;
  state.values = frame.values;
}

/** Walks the series of a process; a family that the table does not have ends the walk, since its width is unknown. */
function eachSeries(
  state: LiveProcess,
  visit: (key: string, family: MetricFamily, offset: number) => void,
): void {
  let offset = 0;
  for (const key of state.series) {
    const family = familyOf(nameOf(key));
    if (family === undefined) return;
    visit(key, family, offset);
    offset += widthOf(family);
  }
}

function foldLasting(state: LiveProcess, into: Map<string, Float64Array>): void {
  eachSeries(state, (key, family, offset) => {
    if (family.type === 'gauge') return;
    const width = widthOf(family);
    const kept = into.get(key) ?? new Float64Array(width);
    for (let index = 0; index < width; index += 1) {
      kept[index] = kept[index]! + (state.values[offset + index] ?? 0);
    }
    into.set(key, kept);
  });
}

function mergeValue(merge: MetricFamily['merge'], left: number, right: number): number {
  if (merge === 'min') return Math.min(left, right);
  if (merge === 'max') return Math.max(left, right);
  return left + right;
}
