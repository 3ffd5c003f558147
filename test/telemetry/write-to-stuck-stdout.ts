// A process that logs more to standard output than a pipe holds, gives up at a deadline and ends by itself.

import { openSync, writeSync } from 'node:fs';
import { createAccessLog } from '../../src/telemetry/access-log.ts';

const total = 3000;
let lost = 0;
const log = createAccessLog({
  path: 'stdout',
  lost: (_, lines) => {
    lost += lines;
  },
});
for (let index = 0; index < total; index += 1) log.line(`{"n":${index},"pad":"${'x'.repeat(100)}"}\n`);
await log.close(100);
// Descriptor 1 must not be given to the next file that is opened.
const next = openSync('/dev/null', 'r');
writeSync(2, JSON.stringify({ lost, total, next }));
