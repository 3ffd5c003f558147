#!/usr/bin/env node
// The entry: plain JavaScript that every Node can read, so that an old one gets a clear error instead of a parse error.

const OLDEST_MAJOR = 24;
const major = Number(process.versions.node.split('.')[0]);
if (major < OLDEST_MAJOR) {
  process.stderr.write(
    `portico needs Node ${OLDEST_MAJOR} or newer, this is ${process.version}. ` +
      'In the checkout, "npm ci" brings a fitting one for npm scripts: try "npm start", or "npx portico".\n',
  );
  process.exit(1);
}
const { main } = await import('./main.ts');
await main(process.argv.slice(2), import.meta.filename);
