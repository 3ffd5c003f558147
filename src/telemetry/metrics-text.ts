// Families as text in the Prometheus exposition format 0.0.4.

import { DURATION_BUCKETS, type MetricFamily } from './metric-family.ts';

/** The slots of one series: one value, or the buckets (not cumulative) and the sum of a histogram. */
export type SeriesValues = Float64Array;

/** What to send as the content type with this text. */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

const BOUNDS: readonly string[] = [...DURATION_BUCKETS.map(String), '+Inf'];

/** One family with its HELP and TYPE lines; keys are `name` or `name{labels}`. */
export function renderFamily(
  name: string,
  family: MetricFamily,
  series: ReadonlyMap<string, SeriesValues>,
): string {
  let text = `# HELP ${name} ${family.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}.\n# TYPE ${name} ${family.type}\n`;
  for (const [key, values] of series) {
    if (family.type === 'histogram') {
      text += renderHistogram(name, key, values);
    } else {
      text += `${key} ${formatValue(values[0]!)}\n`;
    }
  }
  return text;
}

function renderHistogram(name: string, key: string, values: SeriesValues): string {
  const labels = key.slice(name.length + 1, -1);
  const prefix = labels === '' ? `${name}_bucket{le="` : `${name}_bucket{${labels},le="`;
  const suffix = labels === '' ? '' : `{${labels}}`;
  let text = '';
  let count = 0;
  for (let index = 0; index < BOUNDS.length; index += 1) {
    count += values[index]!;
    text += `${prefix}${BOUNDS[index]!}"} ${formatValue(count)}\n`;
  }
  return `${text}${name}_sum${suffix} ${formatValue(values[BOUNDS.length]!)}\n${name}_count${suffix} ${formatValue(count)}\n`;
}

/** A number as the format wants it, the special ones included. */
export function formatValue(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}
