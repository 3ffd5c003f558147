import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';

const PROGRAM = join(import.meta.dirname, 'write-own-log.ts');

describe('the own log of a process', () => {
  it('is ASCII in whole lines whatever it is told of, and its plain words are UTF-8', () => {
    // The low bytes of U+010A and U+0122 are a line feed and a quote; U+009B and U+202E steer terminals.
    const text = 'ü Ċ Ģ 日本 \u{1f600} \u009b31m \u202e \u007f \ud800';
    const { stderr } = spawnSync(process.execPath, [PROGRAM, JSON.stringify(text)]);
    const [line = '', ...words] = stderr.toString('utf8').split('\n');
    assert.match(line, /^[\x20-\x7e]+$/);
    const fields = JSON.parse(line) as Record<string, unknown>;
    assert.equal(fields['text'], text);
    assert.equal(fields['message'], text);
    assert.equal(words.join('\n'), `${text.toWellFormed()}\n`);
  });
});
