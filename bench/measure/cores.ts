// Who runs where: what is measured has the first core for itself, load and backend have the others.

import { availableParallelism } from 'node:os';

/** As taskset reads them. */
export const PROXY_CORES = '0';

/** As taskset reads them; on a machine with one core, that one. */
export function loadCores(count = availableParallelism()): string {
  if (count <= 2) return String(count - 1);
  return `1-${count - 1}`;
}
