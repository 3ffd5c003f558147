// Decodes and encodes header blocks for tests, as plain lists of names and values.

import { Buffer } from 'node:buffer';
import type { FieldTaker } from '../../src/http2/block-decoder.ts';
import { BlockDecoder } from '../../src/http2/block-decoder.ts';
import { BAD } from '../../src/http2/field-info.ts';

export type Field = readonly [name: string, value: string];

/** Blocks are read one at a time. */
const LINES = Buffer.alloc(1024 * 1024);

/** Takes every field as it is. */
class Collector implements FieldTaker {
  readonly lines = LINES;
  full = false;
  readonly fields: Field[] = [];
  /** The info of each field. */
  readonly infos: number[] = [];

  count(): void {}

  take(at: number, nameLength: number, valueLength: number, info: number): number {
    const valueStart = at + nameLength + 2;
    this.fields.push([
      this.lines.latin1Slice(at, at + nameLength),
      this.lines.latin1Slice(valueStart, valueStart + valueLength),
    ]);
    this.infos.push(info);
    return at;
  }
}

/** The fields of a block, or null when it is not valid. */
export function decodeBlock(decoder: BlockDecoder, block: Buffer): Field[] | null {
  const collector = new Collector();
  return decoder.decode(block, 0, block.length, collector) ? collector.fields : null;
}

/** The infos of a block that a new decoder reads. */
export function infosOf(block: Buffer): number[] {
  const collector = new Collector();
  return new BlockDecoder().decode(block, 0, block.length, collector) ? collector.infos : [];
}

/** Whether the fields of the block are all well-formed. */
export function isClean(block: Buffer): boolean {
  return infosOf(block).every((info) => (info & BAD) === 0);
}
