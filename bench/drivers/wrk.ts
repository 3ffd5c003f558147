// Load by wrk, which costs far less CPU than autocannon and so can keep a fast proxy busy.

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { startProgram } from '../measure/child.ts';
import { parseWrk } from '../measure/parse-wrk.ts';
import type { Driver, Load, LoadResult } from './driver.ts';

/** Whether wrk is installed. It answers `-v` with its version and exit code 1. */
export const hasWrk = (): boolean => spawnSync('wrk', ['-v']).error === undefined;

/** @param cores where it runs, as taskset reads it */
export function createWrk(cores: string): Driver {
  return {
    name: 'wrk',
    run: async ({ url, body, connections, seconds }: Load): Promise<LoadResult> => {
      const child = startProgram(cores, 'wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, url]);
      let output = '';
      child.process.stdout!.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
      await once(child.process, 'close');
      return parseWrk(output, body.length);
    },
    close: () => Promise.resolve(),
  };
}
