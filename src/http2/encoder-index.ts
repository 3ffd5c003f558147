// Finds the table entry for a field that is to be written, and decides which fields are worth an entry.

import { Buffer } from 'node:buffer';
import { FIELD_NAMES, FieldId } from '../http1/field-id.ts';
import { DynamicTable } from './dynamic-table.ts';
import { STATIC_COUNT, STATIC_NAMES } from './static-table.ts';

const SLOTS = 256;
const MASK = SLOTS - 1;

/** By field id: the index of the name in the static table, or 0. */
export const STATIC_NAME_OF_ID = new Uint8Array(256);
/** By field id: never in a table, so that nobody can find out such values by guessing (RFC 7541, section 7.1.3). */
export const NEVER_INDEXED = new Uint8Array(256);

for (const [id, name] of FIELD_NAMES.entries()) STATIC_NAME_OF_ID[id] = STATIC_NAMES.get(name) ?? 0;
for (const id of [FieldId.Authorization, FieldId.ProxyAuthorization, FieldId.Cookie, FieldId.SetCookie])
  NEVER_INDEXED[id] = 1;

/** The static names that have no field id, by the low bits of their hash; the hashes do not collide. */
const OTHER_NAMES = new Uint8Array(SLOTS);
const NAME_BYTES: Uint8Array[] = [];
for (const [name, index] of STATIC_NAMES) {
  NAME_BYTES[index] = Buffer.from(name);
  if (FIELD_NAMES.includes(name)) continue;
  const slot = hashOf(NAME_BYTES[index]!, 0, name.length, 0) & MASK;
  if (OTHER_NAMES[slot] !== 0) throw new Error(`${name} collides`);
  OTHER_NAMES[slot] = index;
}

/** A hash of `bytes[start, end)`, four bytes at a time. */
export function hashOf(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let hash = seed ^ (end - start);
  let p = start;
  for (const last = end - 3; p < last; p += 4) {
    hash = Math.imul(
      hash ^ (bytes[p]! | (bytes[p + 1]! << 8) | (bytes[p + 2]! << 16) | (bytes[p + 3]! << 24)),
      0x2c1b3c6d,
    );
    hash ^= hash >>> 15;
  }
  for (; p < end; p++) hash = Math.imul(hash ^ bytes[p]!, 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

/** The static index of a name without field id, or 0. */
export function staticNameOf(bytes: Uint8Array, start: number, end: number, hash: number): number {
  const index = OTHER_NAMES[hash & MASK]!;
  if (index === 0) return 0;
  const name = NAME_BYTES[index]!;
  if (name.length !== end - start) return 0;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[start + i]) return 0;
  return index;
}

/**
 * The encoder's dynamic table with its look-up. A field enters the table when it is written for the second time: values
 * that never come again (request ids, lengths, tags) cost no entry and drive none out, whatever their names.
 * Two fields in one slot only cost compression.
 */
export class EncoderIndex {
  readonly table: DynamicTable;
  /** By hash: number + 1 of the entry that was last entered, 0 for none. */
  #fields: Uint32Array | null = null;
  #names: Uint32Array | null = null;
  /** By hash: the field that was last written without an entry. */
  #sightings: Int32Array | null = null;

  constructor(maxSize: number) {
    this.table = new DynamicTable(maxSize);
  }

  /** The index of exactly this field, or 0. */
  find(
    bytes: Uint8Array,
    nameStart: number,
    nameLength: number,
    valueStart: number,
    valueLength: number,
    hash: number,
  ): number {
    if (this.#fields === null) return 0;
    const { table } = this;
    const entry = this.#fields[hash & MASK]! - 1;
    if (entry < table.oldest || table.note(entry) !== hash) return 0;
    if (table.nameLength(entry) !== nameLength || table.valueLength(entry) !== valueLength) return 0;
    const known = table.bytes;
    let p = table.start(entry);
    for (let i = 0; i < nameLength; i++) if (known[p + i] !== bytes[nameStart + i]) return 0;
    p += nameLength + 2;
    for (let i = 0; i < valueLength; i++) if (known[p + i] !== bytes[valueStart + i]) return 0;
    return STATIC_COUNT + table.inserted - entry;
  }

  /** The index of an entry with this name, or 0. */
  findName(bytes: Uint8Array, nameStart: number, nameLength: number, nameHash: number): number {
    if (this.#names === null) return 0;
    const { table } = this;
    const entry = this.#names[nameHash & MASK]! - 1;
    if (entry < table.oldest || table.nameLength(entry) !== nameLength) return 0;
    const p = table.start(entry);
    for (let i = 0; i < nameLength; i++) if (table.bytes[p + i] !== bytes[nameStart + i]) return 0;
    return STATIC_COUNT + table.inserted - entry;
  }

  /** Whether the field was written before; remembers it if not. */
  wasSeen(hash: number): boolean {
    this.#sightings ??= new Int32Array(SLOTS);
    const slot = hash & MASK;
    if (this.#sightings[slot] === hash) return true;
    this.#sightings[slot] = hash;
    return false;
  }

  add(
    bytes: Uint8Array,
    nameStart: number,
    nameLength: number,
    valueStart: number,
    valueLength: number,
    hash: number,
    nameHash: number,
  ): void {
    this.#fields ??= new Uint32Array(SLOTS);
    this.#names ??= new Uint32Array(SLOTS);
    const { table } = this;
    if (!table.insert(bytes, nameStart, nameLength, valueStart, valueLength, hash)) return;
    this.#fields[hash & MASK] = table.inserted;
    this.#names[nameHash & MASK] = table.inserted;
  }
}
