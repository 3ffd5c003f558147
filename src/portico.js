#!/usr/bin/env node
// The entry: plain JavaScript that every Node can read, so that an old one gets a clear error instead of a parse error.

import module from 'node:module';
import path from 'node:path';

const OLDEST_MAJOR = 24;
const major = Number(process.versions.node.split('.')[0]);
if (major < OLDEST_MAJOR) {
  process.stderr.write(
    `portico needs Node ${OLDEST_MAJOR} or newer, this is ${process.version}. ` +
      'In the checkout, "npm ci" brings a fitting one for npm scripts: try "npm start", or "npx portico".\n',
  );
  process.exit(1);
}
// Each process would strip types and compile some hundred files at its start: two thirds of the time that it takes. Beside
// the sources, since whoever may write there could change those as well; where nobody may, nothing is kept.
module.enableCompileCache(path.join(import.meta.dirname, '..', '.cache', 'code'));
const { main } = await import('./main.ts');
await main(process.argv.slice(2), import.meta.filename);
