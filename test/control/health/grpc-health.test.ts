// The bytes of an answer to a health check: fields of later versions are passed over, whatever their length.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeAnswer } from '../../../src/control/health/grpc-health.ts';

const SERVING = [0x08, 1];

function answer(...fields: readonly number[]): Buffer {
  const message = Buffer.from(fields);
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(message.length, 1);
  return Buffer.concat([frame, message]);
}

test('unknown fields before the status are passed over, those of more than 127 bytes too', () => {
  const long = new Array<number>(300).fill(0x08);
  for (const unknown of [
    [0x12, 0],
    [0x12, 3, 1, 2, 3],
    // 300 as a varint of two bytes.
    [0x12, 0xac, 0x02, ...long],
    [0x19, 1, 2, 3, 4, 5, 6, 7, 8],
    [0x1d, 1, 2, 3, 4],
    [0x10, 0xff, 0xff, 0x03],
  ]) {
    assert.equal(judgeAnswer('0', answer(...unknown, ...SERVING)).failure, null, String(unknown.slice(0, 3)));
    assert.equal(judgeAnswer('0', answer(...unknown, 0x08, 2)).failure, 'answered');
  }
});

test('a field that reaches past the end is nonsense', () => {
  for (const cut of [
    [0x12, 4, 1, 2, 3],
    [0x12, 0xac, 0x02, 1],
    [0x08, 0x80],
    [0x1d, 1, 2, 3],
  ])
    assert.equal(judgeAnswer('0', answer(...SERVING, ...cut)).failure, 'nonsense');
});
