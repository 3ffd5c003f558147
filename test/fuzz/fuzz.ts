// Command: fuzzes the codec and the writers behind it for a while, prints what it did, and fails when it found something.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { readOptions, wrongUsage } from '../support/command-line.ts';
import type { Entry } from './corpus.ts';
import { Coverage } from './coverage.ts';
import type { Fuzzer } from './fuzzer.ts';

/** Less means that the corpus or the generator no longer reaches the code. */
const LEAST_SHARE = 0.95;
/** Time for what is read before a session, on top of the rest: its inputs are few and short. */
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

const FIRST_READERS = [
  'proxy/tls/client-hello',
  'proxy-protocol/crc32c',
  'proxy-protocol/read-binary',
  'proxy-protocol/read-header',
  'proxy-protocol/read-line',
].map((name) => `/src/${name}.ts`);

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
  (url) =>
    url.includes('/src/http1/') ||
    [...HTTP2_READERS, ...FIRST_READERS, ...WRITERS].some((name) => url.endsWith(name)),
);
// Imported only now, so that what runs at import is counted too.
const { CORPUS, FOUND, loadEntries, saveEntry } = await import('./corpus.ts');
const fuzzing = await import('./fuzzer.ts');
const { FIRST_BYTES } = await import('./first-bytes.ts');

const kept = [...loadEntries(CORPUS), ...loadEntries(FOUND)];
const seeds = FIRST_BYTES.map(
  (bytes, at): Entry => ({ kind: 'first-bytes', name: `first-bytes-${at}`, bytes }),
);
const isFirst = ({ kind }: Entry): boolean => kind === 'first-bytes';

async function fuzz(what: string, entries: readonly Entry[], share: number): Promise<Fuzzer> {
  const fuzzer = new fuzzing.Fuzzer({ seed, coverage, entries });
  const startedAtMs = performance.now();
  const endsAtMs = startedAtMs + 1000 * seconds * share;
  await fuzzer.run({ mayGoOn: () => performance.now() < endsAtMs });
  fuzzer.close();
  coverage.take();
  const tookMs = performance.now() - startedAtMs;
  say(
    `${what}: ${fuzzer.executions} executions in ${(tookMs / 1000).toFixed(1)} s ` +
      `(${Math.round((1000 * fuzzer.executions) / tookMs)}/s) from ${entries.length} inputs, ${fuzzer.kept.length} kept`,
  );
  return fuzzer;
}

say(`seed ${seed}; each input is read whole, byte by byte and cut`);
const messages = await fuzz(
  'messages',
  kept.filter((entry) => !isFirst(entry)),
  1,
);
say(`${messages.independent} messages read by llhttp too`);
const first = await fuzz('first bytes', [...kept.filter(isFirst), ...seeds], FIRST_BYTES_SHARE);
say(`coverage ${(100 * coverage.share).toFixed(1)}% of the code in ${coverage.files} files; not run:`);
for (const { url, start, end } of coverage.gaps()) {
  const file = fileURLToPath(url);
  const source = readFileSync(file, 'utf8');
  const line = source.slice(0, start).split('\n').length;
  const text = source.slice(start, end).replace(/\s+/g, ' ').trim();
  if (text.length > 1) say(`  ${path.relative(ROOT, file)}:${line} ${text.slice(0, 80)}`);
}
let found = 0;
for (const fuzzer of [messages, first]) {
  if (values.save) {
    for (const { kind, bytes } of fuzzer.kept)
      if (fuzzer.isFirstOfItsReason(kind, bytes)) saveEntry(CORPUS, kind, bytes);
  }
  for (const { kind, bytes, error } of fuzzer.findings) {
    found += 1;
    const name = saveEntry(FOUND, kind, bytes);
    say(
      `FOUND ${name}: ${JSON.stringify(bytes.toString('latin1'))}\n  ${error.message.replace(/\n/g, '\n  ')}`,
    );
  }
}
say(`${found} found`);
const enough = coverage.share >= LEAST_SHARE;
if (!enough) say(`coverage below ${100 * LEAST_SHARE}%`);
process.exitCode = found === 0 && enough ? 0 : 1;
