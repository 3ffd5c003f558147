// A process whose files may not grow beyond a limit: logs more than one takes, and rotates each time that it is refused.

import { existsSync, renameSync } from 'node:fs';
import { createAccessLog } from '../../src/telemetry/access-log.ts';
import { openLogDestination } from '../../src/telemetry/log-destination.ts';

const path = process.argv[2]!;
const total = 300;
const files = [path];
const errors: (string | undefined)[] = [];
let lost = 0;
const log = createAccessLog({
  path,
  lost: (_, lines) => {
    lost += lines;
  },
  failed: (error: NodeJS.ErrnoException) => errors.push(error.code),
  // Opened anew after an error: the file that is there is full.
  open: (wanted) => {
    if (existsSync(path)) {
      const rotated = `${path}.${files.length}`;
      renameSync(path, rotated);
      files.splice(-1, 0, rotated);
    }
    return openLogDestination(wanted);
  },
  retryMs: 1,
});
for (let index = 0; index < total; index += 1) log.line(`{"n":${index},"pad":"${'x'.repeat(200)}"}\n`);
await log.close(5000);
process.stdout.write(JSON.stringify({ total, lost, errors, files }));
