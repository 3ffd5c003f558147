// A dynamic table (RFC 7541, section 2.3.2): a ring of entries over one array of bytes.

const FIRST_BYTES = 512;
const FIRST_ENTRIES = 16;
/** What an entry counts beside its name and value (RFC 7541, section 4.1). */
export const ENTRY_OVERHEAD = 32;

/**
 * Entries are numbered in the order in which they came; those from `oldest` to `inserted` - 1 are there. The bytes of
 * an entry are a whole line, `name: value` with CRLF, so that a field from the table is one copy. Memory grows with
 * use, to less than four times the largest size that the table may have.
 */
export class DynamicTable {
  /** The lines. */
  bytes: Uint8Array = new Uint8Array(0);
  /** The number of the next entry. */
  inserted = 0;
  /** Entries that are there. */
  count = 0;
  /** In the units of RFC 7541, section 4.1. */
  size = 0;
  maxSize: number;
  /** Four numbers for each entry: where it begins, the lengths of name and value, and what its owner noted. */
  #entries = new Int32Array(0);
  #mask = -1;
  /** Where the next line goes. */
  #end = 0;

  /** @param maxSize in the units of RFC 7541, section 4.1 */
  constructor(maxSize: number) {
    this.maxSize = maxSize;
  }

  /** Number of the oldest entry; equal to `inserted` when there is none. */
  get oldest(): number {
    return this.inserted - this.count;
  }

  start(entry: number): number {
    return this.#entries[4 * (entry & this.#mask)]!;
  }

  nameLength(entry: number): number {
    return this.#entries[4 * (entry & this.#mask) + 1]!;
  }

  valueLength(entry: number): number {
    return this.#entries[4 * (entry & this.#mask) + 2]!;
  }

  note(entry: number): number {
    return this.#entries[4 * (entry & this.#mask) + 3]!;
  }

  /** Entries that no longer fit go at once. */
  resize(maxSize: number): void {
    this.maxSize = maxSize;
    this.#evict(maxSize);
  }

  /**
   * Adds the field whose name is `from[nameStart, ...)` and whose value is `from[valueStart, ...)`, which must not
   * lie in the table. One that is larger than the whole table empties it (RFC 7541, section 4.4).
   * @returns whether it is there
   */
  insert(
    from: Uint8Array,
    nameStart: number,
    nameLength: number,
    valueStart: number,
    valueLength: number,
    note: number,
  ): boolean {
    const size = nameLength + valueLength + ENTRY_OVERHEAD;
    this.#evict(Math.max(0, this.maxSize - size));
    if (size > this.maxSize) return false;
    if (this.count > this.#mask) this.#growEntries();
    this.#reserve(nameLength + valueLength + 4);
    const { bytes } = this;
    let p = this.#end;
    const o = 4 * (this.inserted & this.#mask);
    this.#entries[o] = p;
    this.#entries[o + 1] = nameLength;
    this.#entries[o + 2] = valueLength;
    this.#entries[o + 3] = note;
    for (let i = 0; i < nameLength; i++) bytes[p++] = from[nameStart + i]!;
    bytes[p++] = 58;
    bytes[p++] = 32;
    for (let i = 0; i < valueLength; i++) bytes[p++] = from[valueStart + i]!;
    bytes[p++] = 13;
    bytes[p++] = 10;
    this.#end = p;
    this.inserted++;
    this.count++;
    this.size += size;
    return true;
  }

  #evict(maxSize: number): void {
    while (this.size > maxSize) {
      const oldest = this.oldest;
      this.size -= this.nameLength(oldest) + this.valueLength(oldest) + ENTRY_OVERHEAD;
      this.count--;
    }
    if (this.count === 0) this.#end = 0;
  }

  /** Makes room for a line at the end: moves what is live to the front, or doubles. */
  #reserve(length: number): void {
    if (this.#end + length <= this.bytes.length) return;
    const from = this.count === 0 ? 0 : this.start(this.oldest);
    const live = this.#end - from;
    let capacity = Math.max(FIRST_BYTES, this.bytes.length);
    while (capacity < 2 * live + length) capacity *= 2;
    if (capacity === this.bytes.length) {
      this.bytes.copyWithin(0, from, this.#end);
    } else {
      const grown = new Uint8Array(capacity);
      grown.set(this.bytes.subarray(from, this.#end));
      this.bytes = grown;
    }
    for (let entry = this.oldest; entry < this.inserted; entry++)
      this.#entries[4 * (entry & this.#mask)]! -= from;
    this.#end = live;
  }

  #growEntries(): void {
    const entries = this.#entries;
    const capacity = Math.max(FIRST_ENTRIES, 2 * (this.#mask + 1));
    const grown = new Int32Array(4 * capacity);
    for (let entry = this.oldest; entry < this.inserted; entry++) {
      const o = 4 * (entry & this.#mask);
      grown.set(entries.subarray(o, o + 4), 4 * (entry & (capacity - 1)));
    }
    this.#entries = grown;
    this.#mask = capacity - 1;
  }
}
