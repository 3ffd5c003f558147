import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LineBuffers } from '../../src/telemetry/line-buffers.ts';
import { fc } from '../support/properties.ts';

const line = (index: number, length: number): string => `${`${index} `.padEnd(length - 1, 'x')}\n`;
const bytesOf = (lines: LineBuffers, limit: number): string => lines.oldest(limit)?.toString('latin1') ?? '';

describe('line buffers', () => {
  it('give back what was added, in order, in whole lines, whatever is written in parts or started again', () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ add: fc.integer({ min: 10, max: 4096 }) }) },
      { weight: 1, arbitrary: fc.record({ add: fc.integer({ min: 60_000, max: 140_000 }) }) },
      {
        weight: 4,
        arbitrary: fc.record({
          limit: fc.constantFrom(4096, 65_536),
          share: fc.double({ min: 0, max: 1, noNaN: true }),
        }),
      },
      { weight: 2, arbitrary: fc.record({ limit: fc.constantFrom(4096, 65_536), share: fc.constant(1) }) },
      { weight: 1, arbitrary: fc.constant('uncut' as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const lines = new LineBuffers();
        let model = '';
        /** Written part of the first line of `model`. */
        let cut = '';
        let count = 0;
        for (const one of steps) {
          if (one === 'uncut') {
            lines.uncut();
            model = cut + model;
            cut = '';
          } else if ('add' in one) {
            const text = line(count, one.add);
            count += 1;
            lines.add(text);
            model += text;
          } else {
            const taken = bytesOf(lines, one.limit);
            assert.ok(model.startsWith(taken));
            if (model === '') continue;
            assert.ok(taken.endsWith('\n'));
            assert.ok(taken.length <= one.limit || taken.indexOf('\n') === taken.length - 1);
            const written = Math.floor(taken.length * one.share);
            lines.written(written);
            const whole = cut + model.slice(0, written);
            cut = whole.slice(whole.lastIndexOf('\n') + 1);
            model = model.slice(written);
          }
          assert.equal(lines.size, model.length);
          assert.equal(lines.isCut, cut !== '');
          assert.equal(lines.countLines(), model.split('\n').length - 1);
        }
        let rest = '';
        for (let taken = bytesOf(lines, 65_536); taken !== ''; taken = bytesOf(lines, 65_536)) {
          rest += taken;
          lines.written(taken.length);
        }
        assert.equal(rest, model);
        assert.equal(lines.oldest(4096), null);
      }),
      { numRuns: 100 },
    );
  });

  it('do not touch the bytes that are being written', () => {
    const lines = new LineBuffers();
    lines.add(line(0, 500));
    const taken = lines.oldest(262_144)!;
    for (let index = 1; index < 1000; index += 1) lines.add(line(index, 500));
    assert.equal(taken.toString('latin1'), line(0, 500));
  });

  it('use the same few buffers again, before and after a burst', () => {
    const lines = new LineBuffers();
    const drain = (seen: Set<ArrayBufferLike>): void => {
      for (let taken = lines.oldest(262_144); taken !== null; taken = lines.oldest(262_144)) {
        seen.add(taken.buffer);
        lines.written(taken.length);
      }
    };
    const steady = (): number => {
      const seen = new Set<ArrayBufferLike>();
      for (let index = 0; index < 5000; index += 1) {
        lines.add(line(index, 700));
        if (index % 100 === 0) drain(seen);
      }
      drain(seen);
      return seen.size;
    };
    assert.ok(steady() <= 3);
    for (let index = 0; index < 5000; index += 1) lines.add(line(index, 700));
    const burst = new Set<ArrayBufferLike>();
    drain(burst);
    assert.ok(burst.size > 12);
    assert.ok(steady() <= 5);
  });

  it('hold nothing after being cleared', () => {
    const lines = new LineBuffers();
    for (let index = 0; index < 500; index += 1) lines.add(line(index, 700));
    lines.written(300);
    lines.clear();
    assert.equal(lines.size, 0);
    assert.equal(lines.countLines(), 0);
    assert.equal(lines.oldest(4096), null);
    lines.add(line(1, 20));
    assert.equal(bytesOf(lines, 4096), line(1, 20));
  });
});
