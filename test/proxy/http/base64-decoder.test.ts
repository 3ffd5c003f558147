// base64 in pieces against Node's own, whole and at every split, with padding in the middle.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Base64Decoder } from '../../../src/proxy/http/base64-decoder.ts';
import { fc } from '../../support/properties.ts';

/** What the pieces decode to, or null. */
function decode(pieces: readonly string[]): Buffer | null {
  const decoder = new Base64Decoder();
  const parts: Buffer[] = [];
  for (const piece of pieces) {
    const bytes = Buffer.from(`<${piece}>`, 'latin1');
    const part = decoder.decode(bytes, 1, bytes.length - 1);
    if (part === null) return null;
    parts.push(part);
  }
  return decoder.complete ? Buffer.concat(parts) : null;
}

describe('base64 in pieces', () => {
  it('decodes runs of any length, each padded, cut anywhere', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }),
        fc.array(fc.nat(200), { maxLength: 6 }),
        (runs, cuts) => {
          const text = runs.map((run) => Buffer.from(run).toString('base64')).join('');
          const at = [0, ...cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b), text.length];
          const pieces = at.slice(1).map((end, i) => text.slice(at[i], end));
          assert.deepEqual(decode(pieces), Buffer.concat(runs));
        },
      ),
    );
  });

  for (const [name, text] of [
    ['an incomplete group', 'AAA'],
    ['a letter of its own', 'AAAAA'],
    ['padding alone', '===='],
    ['padding after one letter', 'A==='],
    ['a letter after padding', 'AA=A'],
    ['five of a group', 'AA==='],
    ['white space', 'AA AA'],
    ['a line break', 'AAAA\r\n'],
    ['the alphabet of URLs', 'AA-_'],
    ['a letter above ASCII', 'AAAé'],
    ['NUL', 'AAA\0'],
  ] as const) {
    it(`refuses ${name}, whole and letter by letter`, () => {
      assert.equal(decode([text]), null);
      assert.equal(decode([...text]), null);
    });
  }
});
