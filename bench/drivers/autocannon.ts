// Load by autocannon, in a process of its own that stays warm over all rounds.

import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { startNode } from '../measure/child.ts';
import type { Driver, Load, LoadResult } from './driver.ts';

const PROCESS = fileURLToPath(new URL('./autocannon-process.ts', import.meta.url));

/** @param cores where it runs, as taskset reads it */
export function createAutocannon(cores: string): Driver {
  const child = startNode(cores, [PROCESS], true);
  return {
    name: 'autocannon',
    run: async (load: Load): Promise<LoadResult> => {
      const settled = new AbortController();
      const { signal } = settled;
      const ended = once(child.process, 'exit', { signal }).then(() => {
        throw new Error(`autocannon ended with ${child.ended()}\n${child.errors()}`);
      });
      const answered = once(child.process, 'message', { signal });
      child.process.send(load);
      try {
        const [result] = (await Promise.race([answered, ended])) as [LoadResult];
        return result;
      } finally {
        // The one that lost the race is given up, so that no listener stays behind.
        const losers = Promise.allSettled([answered, ended]);
        settled.abort();
        await losers;
      }
    },
    close: () => child.stop(),
  };
}
