// The checksum of version 2: CRC-32C (Castagnoli; RFC 3720, appendix B.4).

/** The polynomial 0x1EDC6F41, its bits in the order in which they arrive. */
const REFLECTED = 0x82f63b78;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = (value & 1) === 0 ? value >>> 1 : (value >>> 1) ^ REFLECTED;
  return value;
});

/** The checksum of `bytes[start, end)`, reading the four bytes at `zeroAt` as zeros; -1 reads all as they are. */
export function crc32c(bytes: Uint8Array, start: number, end: number, zeroAt = -1): number {
  let value = 0xffffffff;
  for (let index = start; index < end; index += 1) {
    const byte = index >= zeroAt && index < zeroAt + 4 && zeroAt !== -1 ? 0 : bytes[index]!;
    value = (value >>> 8) ^ TABLE[(value ^ byte) & 0xff]!;
  }
  return (value ^ 0xffffffff) >>> 0;
}
