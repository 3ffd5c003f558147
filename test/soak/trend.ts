// Whether a series of measurements grows: Theil-Sen's slope and the Mann-Kendall test, on the minima of windows.

/** Windows that the time after the warm-up is cut into: enough for the test, few enough to be nearly independent. */
export const WINDOWS = 24;

export interface Sample {
  /** Seconds since the beginning of the run. */
  readonly atS: number;
  readonly value: number;
}

export interface Trend {
  /** Median of the slopes between all pairs of windows, in units of the value per hour. */
  readonly slopePerHour: number;
  /** Chance that a series without a trend looks at least as much like growth as this one. */
  readonly chance: number;
  /** Growth over the time that was judged, by the slope. */
  readonly growth: number;
  /** Median of the windows' minima. */
  readonly level: number;
}

/**
 * The sample with the smallest value of each window. What a process needs is a floor under what it happens to hold:
 * garbage and bursts lie above it, a leak lifts it. Windows without a sample are left out.
 */
export function windowMinima(samples: readonly Sample[], windows = WINDOWS): readonly Sample[] {
  const fromS = samples[0]?.atS ?? 0;
  const spanS = (samples.at(-1)?.atS ?? 0) - fromS;
  const widthS = spanS / windows;
  const minima: (Sample | undefined)[] = [];
  for (const sample of samples) {
    const window = Math.min(windows - 1, Math.floor((sample.atS - fromS) / widthS));
    const least = minima[window];
    if (least === undefined || sample.value < least.value) minima[window] = sample;
  }
  return minima.filter((minimum) => minimum !== undefined);
}

/** @throws RangeError for fewer than four samples, of which nothing can be said */
export function trendOf(samples: readonly Sample[], windows = WINDOWS): Trend {
  const minima = windowMinima(samples, windows);
  if (minima.length < 4) throw new RangeError(`${minima.length} windows do not make a trend`);
  const spanS = minima.at(-1)!.atS - minima[0]!.atS;
  const slopePerS = median(pairs(minima, (a, b) => (b.value - a.value) / (b.atS - a.atS)));
  return {
    slopePerHour: slopePerS * 3600,
    chance: growthByChance(minima, slopePerS),
    growth: slopePerS * spanS,
    level: median(minima.map(({ value }) => value)),
  };
}

/**
 * One-sided Mann-Kendall test (Kendall, Rank Correlation Methods, 1975) with the correction for ties, and with the
 * variance of Hamed and Rao (Journal of Hydrology 204, 1998) for neighbours that resemble each other: memory that is
 * high in one window is likely to be high in the next, which is no trend.
 */
function growthByChance(minima: readonly Sample[], slopePerS: number): number {
  const n = minima.length;
  const values = minima.map(({ value }) => value);
  const s = pairs(minima, (a, b) => Math.sign(b.value - a.value)).reduce((sum, sign) => sum + sign, 0);
  const ties = [...Map.groupBy(values, (value) => value).values()]
    .map(({ length }) => length * (length - 1) * (2 * length + 5))
    .reduce((sum, term) => sum + term, 0);
  const variance = ((n * (n - 1) * (2 * n + 5) - ties) / 18) * likeness(minima, slopePerS);
  if (variance <= 0) return 1;
  // The step of one is the correction for continuity.
  const z = s > 0 ? (s - 1) / Math.sqrt(variance) : s < 0 ? (s + 1) / Math.sqrt(variance) : 0;
  return 1 - normalCumulative(z);
}

/**
 * By how much neighbours that are alike inflate the variance of S: never less than 1. The likeness of ranks is taken
 * to fade geometrically with distance (a process with one step of memory), from what is seen at distance one; that
 * estimate is too low by about (1 + 4r) / n for residuals of a fitted line, which is put right.
 */
function likeness(minima: readonly Sample[], slopePerS: number): number {
  const n = minima.length;
  const ranks = ranksOf(minima.map(({ atS, value }) => value - slopePerS * atS));
  const deviations = ranks.map((rank) => rank - (n + 1) / 2);
  const power = deviations.reduce((sum, deviation) => sum + deviation * deviation, 0);
  if (power === 0) return 1;
  const beside = deviations.reduce((sum, deviation, at) => sum + deviation * (deviations[at - 1] ?? 0), 0);
  const correlation = Math.min(0.95, ((beside / power) * n + 2) / (n - 4));
  if (correlation <= 0) return 1;
  let sum = 0;
  for (let lag = 1; lag < n; lag += 1) {
    sum += (n - lag) * (n - lag - 1) * (n - lag - 2) * correlation ** lag;
  }
  return 1 + (2 / (n * (n - 1) * (n - 2))) * sum;
}

/** Equal values share the mean of their ranks. */
function ranksOf(values: readonly number[]): readonly number[] {
  const order = values.map((value, at) => ({ value, at })).sort((a, b) => a.value - b.value);
  const ranks = new Array<number>(values.length).fill(0);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to + 1 < order.length && order[to + 1]!.value === order[from]!.value) to += 1;
    for (let at = from; at <= to; at += 1) ranks[order[at]!.at] = (from + to) / 2 + 1;
    from = to + 1;
  }
  return ranks;
}

function pairs(minima: readonly Sample[], of: (a: Sample, b: Sample) => number): readonly number[] {
  return minima.flatMap((b, at) => minima.slice(0, at).map((a) => of(a, b)));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1]!;
  return sorted.length % 2 === 1 ? upper : (upper + sorted[(sorted.length >> 1) - 1]!) / 2;
}

/** Abramowitz and Stegun, 26.2.17: the error is below 7.5e-8. */
function normalCumulative(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const series =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const tail = (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * series;
  return z >= 0 ? 1 - tail : tail;
}
