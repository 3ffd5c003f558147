// The process that autocannon runs in: one load for each message, one result back.

import process from 'node:process';
import autocannon from 'autocannon';
import type { Load, LoadResult } from './driver.ts';

async function run({ url, body, connections, seconds }: Load): Promise<LoadResult> {
  const result = await autocannon({ url, connections, duration: seconds, expectBody: body });
  const counts = {
    errors: result.errors,
    timeouts: result.timeouts,
    resets: result.resets,
    'answers other than 2xx': result.non2xx,
    'answers with a wrong body': result.mismatches,
  };
  const problems = Object.entries(counts).flatMap(([what, count]) => (count === 0 ? [] : `${count} ${what}`));
  return { requests: result.requests.total, seconds: result.duration, problems };
}

process.on('message', (load: Load) => {
  void run(load).then((result) => process.send?.(result));
});
// Without the benchmark there is nobody to work for.
process.on('disconnect', () => process.exit());
