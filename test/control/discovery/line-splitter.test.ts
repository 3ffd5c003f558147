// Line framing: the same lines come out wherever the stream is cut.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiscoveryFailure } from '../../../src/control/discovery/failure.ts';
import { parseJsonObject } from '../../../src/control/discovery/json.ts';
import { LineSplitter } from '../../../src/control/discovery/line-splitter.ts';
import { fc } from '../../support/properties.ts';

function split(bytes: Uint8Array, cuts: readonly number[], limit = 1_000): string[] {
  const splitter = new LineSplitter(limit);
  const lines: string[] = [];
  const borders = [0, ...[...cuts].sort((left, right) => left - right), bytes.length];
  for (let index = 1; index < borders.length; index += 1) {
    const chunk = Uint8Array.from(bytes.subarray(borders[index - 1], borders[index]));
    splitter.push(chunk, (line) => lines.push(Buffer.from(line).toString('utf8')));
    // What was given out must not depend on a buffer that its owner uses again.
    chunk.fill(0x21);
  }
  return lines;
}

test('lines are the same at every pair of cuts, within UTF-8 sequences too', () => {
  const text = '{"a":"ключ"}\n\n{"b":"日本🚀"}\nrest';
  const bytes = Buffer.from(text);
  for (let first = 0; first <= bytes.length; first += 1) {
    for (let second = first; second <= bytes.length; second += 1) {
      assert.deepEqual(split(bytes, [first, second]), ['{"a":"ключ"}', '', '{"b":"日本🚀"}']);
    }
  }
});

test('any text and any cuts give what splitting the whole gives', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme', maxLength: 20 }), { maxLength: 10 }),
      fc.array(fc.nat(400), { maxLength: 20 }),
      (parts, cuts) => {
        const text = parts.map((part) => part.replaceAll('\n', '')).join('\n');
        const bytes = Buffer.from(text);
        const inside = cuts.filter((cut) => cut <= bytes.length);
        assert.deepEqual(split(bytes, inside), text.split('\n').slice(0, -1));
      },
    ),
  );
});

test('a line over the limit is refused, whether it comes in one piece or in many', () => {
  const exact = Buffer.from(`${'x'.repeat(10)}\n`);
  assert.deepEqual(split(exact, [3, 6], 10), ['x'.repeat(10)]);
  const over = Buffer.from('x'.repeat(11));
  for (const cuts of [[], [5], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]) {
    assert.throws(
      () => split(over, cuts, 10),
      (error) => error instanceof DiscoveryFailure && error.reason === 'long-line',
    );
  }
});

test('only strict UTF-8 and JSON objects are read', () => {
  assert.deepEqual(parseJsonObject(Buffer.from('{"a":1}')), { a: 1 });
  for (const bad of ['', '[]', 'null', '"x"', '1', '{', '{"a":1}x']) {
    assert.equal(parseJsonObject(Buffer.from(bad)), undefined, bad);
  }
  assert.equal(parseJsonObject(Uint8Array.of(0x7b, 0x22, 0xc3, 0x28, 0x22, 0x3a, 0x31, 0x7d)), undefined);
});
