// What the lines of one connection share.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientText } from '../../src/telemetry/client-text.ts';

const FIELDS = {
  listener: 'web',
  protocol: 'HTTP/1.1',
  client: '192.0.2.7',
  method: 'GET',
  host: 'a.example',
};

/** Says the fields, of which `text` is the text, as a line does that lies behind another. */
function say(kept: ClientText, fields: typeof FIELDS, text: string): string | null {
  const found = kept.of(fields);
  if (found !== null) return Buffer.from(found).latin1Slice();
  const bytes = Buffer.from(`####${text}####`, 'latin1');
  kept.keep(fields, bytes, 4, 4 + text.length);
  bytes.fill('x');
  return null;
}

test('is kept with the second line in a row that says the same', () => {
  const kept = new ClientText();
  assert.deepEqual(
    [say(kept, FIELDS, 'one'), say(kept, FIELDS, 'one'), say(kept, FIELDS, ''), say(kept, { ...FIELDS }, '')],
    [null, null, 'one', 'one'],
  );
});

test('any field that differs makes it another', () => {
  for (const name of Object.keys(FIELDS) as (keyof typeof FIELDS)[]) {
    const kept = new ClientText();
    const other = { ...FIELDS, [name]: 'another' };
    for (const text of ['one', 'one']) say(kept, FIELDS, text);
    assert.equal(say(kept, other, 'two'), null, name);
    assert.equal(say(kept, FIELDS, 'one'), null, name);
  }
});
