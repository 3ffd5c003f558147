// Whether a curve is flat, linear or neither, within what a benchmark's noise allows.

export interface Point {
  readonly x: number;
  readonly y: number;
}

export type Shape = 'flat' | 'linear' | 'neither';

/** Distance from the level or the line that still counts as on it, as a share of the value there. */
export const TOLERANCE = 0.15;

/** @throws RangeError for fewer than two points */
export function shapeOf(points: readonly Point[]): Shape {
  if (points.length < 2) throw new RangeError('it takes two points to have a shape');
  if (liesOn(points, levelOf(points))) return 'flat';
  // Two points lie on a line always.
  return points.length > 2 && liesOn(points, lineOf(points)) ? 'linear' : 'neither';
}

/** The line through all points with the least sum of squared relative distances. */
export function lineOf(points: readonly Point[]): (x: number) => number {
  // Weighted by 1/y^2: a distance of a tenth counts the same at either end.
  let [sum, sumX, sumY, sumXX, sumXY] = [0, 0, 0, 0, 0];
  for (const { x, y } of points) {
    const weight = 1 / (y * y);
    sum += weight;
    sumX += weight * x;
    sumY += weight * y;
    sumXX += weight * x * x;
    sumXY += weight * x * y;
  }
  const slope = (sum * sumXY - sumX * sumY) / (sum * sumXX - sumX * sumX);
  const start = (sumY - slope * sumX) / sum;
  return (x) => start + slope * x;
}

/** The middle between the least and the most. */
function levelOf(points: readonly Point[]): () => number {
  const values = points.map(({ y }) => y);
  const middle = (Math.min(...values) + Math.max(...values)) / 2;
  return () => middle;
}

const liesOn = (points: readonly Point[], curve: (x: number) => number): boolean =>
  points.every(({ x, y }) => Math.abs(y - curve(x)) <= TOLERANCE * Math.abs(curve(x)));
