// The series that the fault matrix names, and how one is found among those of a worker.

export const failures = (reason: string): string => `portico_failures_total{reason="${reason}"}`;
export const connectFailures = (reason: string): string =>
  `portico_upstream_connect_failures_total{reason="${reason}"}`;
export const retries = (reason: string): string => `portico_retries_total{reason="${reason}"}`;
export const tcpEnded = (result: string): string => `portico_tcp_connections_total{result="${result}"}`;

/** Name and labels of a series as the matrix writes it: `name` or `name{label="value",...}`. */
export function parseSeries(text: string): { readonly name: string; readonly labels: readonly string[] } {
  const [, name = '', labels = ''] = /^(\w+)(?:\{(.*)\})?$/.exec(text) ?? [];
  return { name, labels: labels === '' ? [] : labels.split(',') };
}
