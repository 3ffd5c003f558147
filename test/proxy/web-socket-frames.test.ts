// The frames of a WebSocket, found at every split against those that the library `ws` writes.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
// @ts-expect-error the library exports it without a type
import { Sender } from 'ws';
import { closeFrame, WebSocketFrames } from '../../src/proxy/web-socket-frames.ts';
import { fc } from '../support/properties.ts';

function framesOf(lengths: readonly number[], mask: boolean): readonly Buffer[] {
  return lengths.map((length) => {
    const frame = Sender.frame(Buffer.alloc(length, 7), {
      fin: true,
      rsv1: false,
      opcode: 2,
      mask,
      readOnly: false,
    } as never) as unknown as readonly Buffer[];
    return Buffer.concat([...frame]);
  });
}

function boundariesOf(bytes: Buffer, splits: readonly number[]): number[] {
  const frames = new WebSocketFrames();
  const found: number[] = [];
  const ends = [...splits.map((split) => split % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let position = 0;
  for (const end of ends) {
    while (position < end) {
      position = frames.next(bytes, position, end);
      if (frames.atBoundary) found.push(position);
    }
  }
  return found;
}

describe('WebSocket frames', () => {
  it('end where they end, however their bytes come', () => {
    const lengths = fc.array(fc.oneof(fc.nat(130), fc.constantFrom(125, 126, 127, 65_535, 65_536)), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(lengths, fc.boolean(), fc.array(fc.nat(200_000)), (sizes, mask, splits) => {
        const frames = framesOf(sizes, mask);
        let end = 0;
        const expected = frames.map((frame) => {
          end += frame.length;
          return end;
        });
        assert.deepEqual(boundariesOf(Buffer.concat(frames), splits), expected);
      }),
      { numRuns: 200 },
    );
  });

  it('are closed with a code as the library does it', () => {
    const frame = Sender.frame(Buffer.from([3, 233]), {
      fin: true,
      rsv1: false,
      opcode: 8,
      mask: false,
      readOnly: false,
    } as never) as unknown as readonly Buffer[];
    assert.deepEqual(Buffer.concat([...frame]), closeFrame(1001));
  });
});
