import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { it } from 'node:test';
import { COMMANDS, type CommandName } from '../../src/cli/command-table.ts';
import { helpText } from '../../src/cli/help.ts';

const names = Object.keys(COMMANDS) as CommandName[];

it('docs/cli.md shows exactly the help of the program and of every command', async () => {
  const page = await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8');
  const shown = [...page.matchAll(/```text\n([\s\S]*?)```\n/g)].map((block) => block[1]);
  assert.deepEqual(shown, [null, ...names].map(helpText));
  assert.deepEqual(
    [...page.matchAll(/^## portico (\w+)$/gm)].map((heading) => heading[1]),
    names,
  );
});

it('every help fits a terminal of 120 columns and names options, an example and the exit codes', () => {
  for (const topic of [null, ...names]) {
    const text = helpText(topic);
    for (const line of text.split('\n')) assert.ok(line.length <= 120, `${line.length}: ${line}`);
    assert.match(text, /--help/);
    assert.match(text, /--version/);
    assert.match(text, /Examples:\n {2}portico /);
    assert.match(text, /Exit codes:\n {2}0 .*\n {2}1 .*\n {2}2 /);
  }
});
