// Content of which each byte tells whose it is and where it stands.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';

/** Four characters for the tag, three for the place of the block, and one that nothing of Portico's own contains. */
const BLOCK = 8;
const MARK = '~';
const base36 = (value: number, length: number): string =>
  value.toString(36).padStart(length, '0').slice(-length);

/** Bytes `from` to `to` of the content of this tag. */
export function tagged(tag: number, from: number, to: number): Buffer {
  const first = Math.floor(from / BLOCK);
  const name = base36(tag, 4);
  let text = '';
  for (let block = first; block * BLOCK < to; block += 1) text += name + base36(block, 3) + MARK;
  return Buffer.from(text.slice(from - first * BLOCK, to - first * BLOCK), 'latin1');
}

/** @param at where in the content of this tag the bytes belong */
export function checkTagged(tag: number, at: number, bytes: Buffer, who: string): void {
  const expected = tagged(tag, at, at + bytes.length);
  if (expected.equals(bytes)) return;
  assert.fail(
    `${who} got bytes that are not those of ${base36(tag, 4)} from ${at}: ` +
      `${excerpt(bytes)} where ${excerpt(expected)} belongs`,
  );
}

/** Text of Portico's own, which shows nothing of any exchange. */
export function checkOwn(bytes: Buffer, who: string): void {
  assert.ok(
    !bytes.includes(MARK),
    `${who} got content of somebody in an answer of our own: ${excerpt(bytes)}`,
  );
}

const excerpt = (bytes: Buffer): string => JSON.stringify(bytes.toString('latin1', 0, 100));
