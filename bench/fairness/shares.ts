// How even the shares of pods are.

/** 1 when all are equal; 0 without any request. */
export function busiestOverMean(requests: readonly number[]): number {
  const total = requests.reduce((sum, count) => sum + count, 0);
  return total === 0 ? 0 : Math.max(...requests) / (total / requests.length);
}

/** Four fifths of the mean are taken for a share. */
const ENOUGH = 0.8;

/** In which window, counting from 1, the last pod first had its share; null when in none. */
export function settledAfter(windows: readonly (readonly number[])[]): number | null {
  const index = windows.findIndex((requests) => {
    const mean = requests.reduce((sum, count) => sum + count, 0) / requests.length;
    return mean > 0 && (requests.at(-1) ?? 0) >= ENOUGH * mean;
  });
  return index < 0 ? null : index + 1;
}
