import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { PARSE_FAILURES } from '../../src/http1/parse-failure.ts';
import { CONNECTION_FAILURES, MALFORMED } from '../../src/http2/failures.ts';
import { ACCESS_FIELDS, MAX_LINE_BYTES } from '../../src/telemetry/access-line.ts';
import { LOST_REASONS } from '../../src/telemetry/access-log.ts';
import { FAMILIES } from '../../src/telemetry/families.ts';
import { FLAGS } from '../../src/telemetry/flags.ts';
import { KNOWN_METHODS } from '../../src/telemetry/labels.ts';
import { DURATION_BUCKETS, type MetricFamily } from '../../src/telemetry/metric-family.ts';

const page = (name: string): Promise<string> =>
  readFile(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

/** The cells of the rows of the tables under a heading. */
function rowsUnder(text: string, heading: string): string[][] {
  const start = text.indexOf(`\n## ${heading}\n`);
  assert.notEqual(start, -1, heading);
  const section = text.slice(start + 1).split(/\n## /)[0]!;
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .slice(2, -2)
        .split(' | ')
        .map((cell) => cell.trim()),
    );
}

const plain = (cell: string): string => cell.replaceAll('`', '');

describe('docs/metrics.md', () => {
  it('describes exactly the families of the table, as the table does', async () => {
    const text = await page('metrics.md');
    for (const role of ['worker', 'controller'] as const) {
      const heading = role === 'worker' ? 'Counted by the workers' : 'Counted by the controller';
      const families: [string, MetricFamily][] = Object.entries(FAMILIES).filter(
        ([, family]) => family.role === role,
      );
      assert.deepEqual(
        rowsUnder(text, heading).map((row) => row.map(plain)),
        families.map(([name, family]) => [
          name,
          family.type,
          family.labels.join(', ') || 'none',
          family.help,
        ]),
      );
    }
  });

  it('names no family that does not exist, and the real bounds and methods', async () => {
    const text = await page('metrics.md');
    for (const [name] of text.matchAll(/portico_[a-z0-9_]+/g)) {
      assert.ok(Object.hasOwn(FAMILIES, name.replace(/_(bucket|sum|count)$/, '')), name);
    }
    assert.ok(text.includes(`${DURATION_BUCKETS.join(', ')}.`));
    assert.ok(text.includes(`${KNOWN_METHODS.join(', ')}, and \`OTHER\``));
  });
});

describe('docs/access-log.md', () => {
  it('describes exactly the fields of a line in their order', async () => {
    const text = await page('access-log.md');
    assert.deepEqual(
      rowsUnder(text, 'Fields').map(([field]) => plain(field!)),
      [...ACCESS_FIELDS],
    );
    assert.ok(text.includes(`at most ${MAX_LINE_BYTES.toLocaleString('en')} bytes`));
  });

  it('describes exactly the flags with their reasons', async () => {
    const documented = rowsUnder(await page('access-log.md'), 'Flags').flatMap(([flag, , reasons]) =>
      plain(reasons!)
        .split(', ')
        .filter((reason) => reason !== 'none')
        .map((reason): [string, string] => [reason, plain(flag!)]),
    );
    assert.deepEqual(Object.fromEntries(documented), { ...FLAGS });
  });

  it('names every reason for which bytes are refused', async () => {
    const rows = rowsUnder(await page('access-log.md'), 'Refused bytes');
    assert.deepEqual(
      rows.map(([reasons]) => plain(reasons!).split(', ')),
      [[...PARSE_FAILURES], [...MALFORMED], [...CONNECTION_FAILURES]],
    );
  });

  it('describes exactly the reasons for which lines are lost', async () => {
    const rows = rowsUnder(await page('access-log.md'), 'When the reader or disk is slow');
    assert.deepEqual(
      rows.map(([reason]) => plain(reason!)),
      [...LOST_REASONS],
    );
  });
});
