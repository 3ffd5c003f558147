// Command: fuzzes the codec and the writers behind it for a while, prints what it did, and fails when it found something.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { readOptions, wrongUsage } from '../support/command-line.ts';
import { Coverage } from './coverage.ts';

/** Less means that the corpus or the generator no longer reaches the code. */
const LEAST_SHARE = 0.95;
/** Time for what is read before a session, on top of the rest. */
const FIRST_BYTES_SHARE = 0.2;
const ROOT = path.join(import.meta.dirname, '../..');
const WRITERS = ['request-head', 'response-head', 'field-copy', 'forwarded'].map(
  (name) => `/src/proxy/http/${name}.ts`,
);

/** What a peer's bytes reach; the writing side has tests of its own. */
const HTTP2_READERS = [
  'block-decoder',
  'byte-bits',
  'cookies',
  'field-info',
  'frame-reader',
  'head-reader',
  'peer-settings',
  'request-reader',
  'response-reader',
  'static-table',
].map((name) => `/src/http2/${name}.ts`);

const USAGE = `Usage: npm run fuzz -- [OPTIONS]

  --seconds N  seconds for messages, and a fifth of it on top for first bytes (20)
  --seed N     whole number that repeats a run (of the clock)
  --save       keep inputs that reach new code in test/fuzz/corpus
  -h, --help   print this

What breaks is kept in test/fuzz/found. Exit code 1: something was found, or coverage is below ${100 * LEAST_SHARE}%.
`;

const { values } = readOptions('fuzz', USAGE, {
  options: {
    seconds: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    save: { type: 'boolean', default: false },
  },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (!(seconds > 0)) wrongUsage('fuzz', '--seconds must be above 0');
if (!Number.isInteger(seed)) wrongUsage('fuzz', '--seed must be a whole number');

const say = (line: string): boolean => process.stdout.write(`${line}\n`);
const coverage = new Coverage(
  (url) => url.includes('/src/http1/') || [...HTTP2_READERS, ...WRITERS].some((name) => url.endsWith(name)),
);
// Imported only now, so that what runs at import is counted too.
const { CORPUS, FOUND, loadEntries, saveEntry } = await import('./corpus.ts');
const { Fuzzer } = await import('./fuzzer.ts');
const { fuzzFirstBytes } = await import('./first-bytes.ts');

const entries = [...loadEntries(CORPUS), ...loadEntries(FOUND)];
const fuzzer = new Fuzzer({ seed, coverage, entries });
const startedAtMs = performance.now();
const endsAtMs = startedAtMs + 1000 * seconds;
await fuzzer.run({ mayGoOn: () => performance.now() < endsAtMs });
fuzzer.close();
coverage.take();
const tookMs = performance.now() - startedAtMs;

say(`seed ${seed}, ${entries.length} inputs to begin with, ${fuzzer.kept.length} kept`);
say(
  `${fuzzer.executions} executions in ${(tookMs / 1000).toFixed(1)} s (${Math.round((1000 * fuzzer.executions) / tookMs)}/s), ` +
    `each read whole, byte by byte and cut; ${fuzzer.independent} messages read by llhttp too`,
);
say(`coverage ${(100 * coverage.share).toFixed(1)}% of the code in ${coverage.files} files; not run:`);
for (const { url, start, end } of coverage.gaps()) {
  const file = fileURLToPath(url);
  const source = readFileSync(file, 'utf8');
  const line = source.slice(0, start).split('\n').length;
  const text = source.slice(start, end).replace(/\s+/g, ' ').trim();
  if (text.length > 1) say(`  ${path.relative(ROOT, file)}:${line} ${text.slice(0, 80)}`);
}
if (values.save) {
  for (const { kind, bytes } of fuzzer.kept)
    if (fuzzer.isFirstOfItsReason(kind, bytes)) saveEntry(CORPUS, kind, bytes);
}
for (const { kind, bytes, error } of fuzzer.findings) {
  const name = saveEntry(FOUND, kind, bytes);
  say(
    `FOUND ${name}: ${JSON.stringify(bytes.toString('latin1'))}\n  ${error.message.replace(/\n/g, '\n  ')}`,
  );
}
const firstUntilMs = performance.now() + 1000 * seconds * FIRST_BYTES_SHARE;
const first = fuzzFirstBytes(seed, () => performance.now() < firstUntilMs);
say(
  `first bytes: ${first.executions} executions, ${first.headers} whole PROXY headers, ${first.hellos} ClientHellos`,
);
for (const { bytes, error } of first.findings) {
  say(`FOUND in first bytes: ${bytes.toString('hex')}\n  ${error.message.replace(/\n/g, '\n  ')}`);
}
say(`${fuzzer.findings.length + first.findings.length} found`);
const enough = coverage.share >= LEAST_SHARE;
if (!enough) say(`coverage below ${100 * LEAST_SHARE}%`);
process.exitCode = fuzzer.findings.length + first.findings.length === 0 && enough ? 0 : 1;
