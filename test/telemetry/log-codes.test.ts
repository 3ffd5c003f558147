// The processes' own log: every line that is written has a code, and docs/operations.md tells those of warnings and errors.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');
const CALL = /log(?:ger)?\??\s*\.(info|warn|error|fatal)\(\s*([^\s(])([^;]*?)\);/g;

const calls = globSync('src/**/*.ts', { cwd: ROOT }).flatMap((file) =>
  [...readFileSync(join(ROOT, file), 'utf8').matchAll(CALL)].map(([, level = '', first = '', rest = '']) => ({
    at: `${file}: ${first}${rest.slice(0, 60)}`,
    level,
    first,
    fields: rest.split('}')[0] ?? '',
  })),
);

test('no line of the log is without a code', () => {
  assert.ok(calls.length > 40, `${calls.length} calls found`);
  const without = calls.filter(
    ({ first, fields }) => /['"`]/.test(first) || (first === '{' && !/\bcode\b/.test(fields)),
  );
  assert.deepEqual(
    without.map(({ at }) => at),
    [],
  );
});

test('the codes of warnings and errors are told', () => {
  const page = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');
  const codes = calls
    .filter(({ level }) => level !== 'info')
    .flatMap(({ fields }) => /\bcode: '([a-z0-9-]+)'/.exec(fields)?.[1] ?? []);
  assert.ok(codes.length > 15, `${codes.length} codes found`);
  assert.deepEqual(
    codes.filter((code) => !page.includes(`\`${code}\``)),
    [],
  );
});
