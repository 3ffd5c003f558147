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
      const answered = once(child.process, 'message');
      const ended = once(child.process, 'exit').then(() => {
        throw new Error(`autocannon ended with ${child.ended()}\n${child.errors()}`);
      });
      child.process.send(load);
      const [result] = (await Promise.race([answered, ended])) as [LoadResult];
      return result;
    },
    close: () => child.stop(),
  };
}
