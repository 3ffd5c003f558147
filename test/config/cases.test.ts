// Golden cases: each file holds a configuration, a line `====`, and exactly what a terminal shows about it.

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parseConfig } from '../../src/config/parse.ts';
import { formatProblems } from '../../src/config/problem.ts';

const directory = new URL('./cases/', import.meta.url);
const SEPARATOR = '====\n';
const ENV = { COUNT: '50', WORD: 'many', NAME: 'web', YES: 'true', STATUS: '301' };

/** The problems as text, or the word `valid` and the warnings. */
function findingsOf(name: string, text: string): string {
  const options = {
    file: `${name}.yaml`,
    env: name === 'environment-values' ? ENV : {},
    baseDirectory: '/etc/portico',
  };
  const result = parseConfig(text, options);
  return 'problems' in result
    ? formatProblems(result.problems, { colour: false })
    : `valid\n${formatProblems(result.warnings, { colour: false })}`;
}

for (const file of await readdir(directory)) {
  const name = file.replace(/\.case$/, '');
  test(`the findings of the case ${name} are as recorded`, async () => {
    const [text, expected, ...rest] = (await readFile(new URL(file, directory), 'utf8')).split(SEPARATOR);
    assert.deepEqual(rest, []);
    assert.equal(findingsOf(name, text ?? ''), expected);
  });
}
