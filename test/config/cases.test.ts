// Golden cases: each cases/NAME.yaml gives exactly the findings of cases/NAME.txt, as a terminal shows them.

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findingsOf } from './golden.ts';

const directory = fileURLToPath(new URL('./cases/', import.meta.url));
const files = await readdir(directory);
const names = files.filter((file) => file.endsWith('.yaml')).map((file) => file.replace(/\.yaml$/, ''));

for (const name of names) {
  test(`the findings of the case ${name} are as recorded`, async () => {
    const text = await readFile(`${directory}${name}.yaml`, 'utf8');
    assert.equal(findingsOf(`${name}.yaml`, text), await readFile(`${directory}${name}.txt`, 'utf8'));
  });
}

test('every recorded result belongs to a case', () => {
  const results = files.filter((file) => file.endsWith('.txt')).map((file) => file.replace(/\.txt$/, ''));
  assert.deepEqual(results.toSorted(), names.toSorted());
});
