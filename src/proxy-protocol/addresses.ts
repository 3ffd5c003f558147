// Addresses between their text and their bytes in network order.

import { isIPv4, isIPv6, SocketAddress } from 'node:net';

const DOT = 0x2e;
const ZERO = 0x30;

/** The text of 4 or 16 bytes at `at`; an IPv4-mapped address is the IPv4 address. */
export function addressText(bytes: Buffer, at: number, length: 4 | 16): string {
  if (length === 4) return bytes.subarray(at, at + 4).join('.');
  const groups: string[] = [];
  for (let index = at; index < at + 16; index += 2) groups.push(bytes.readUInt16BE(index).toString(16));
  return canonical(groups.join(':'));
}

/** The canonical form of an IPv6 address; an IPv4-mapped one as IPv4. */
export function canonical(address: string): string {
  const text = new SocketAddress({ family: 'ipv6', address }).address;
  const mapped = text.startsWith('::ffff:') ? text.slice(7) : '';
  return isIPv4(mapped) ? mapped : text;
}

/** Writes the 16 bytes of an address at `at`; IPv4 as IPv4-mapped. Throws RangeError on anything else. */
export function writeIpv6(bytes: Buffer, at: number, address: string): void {
  if (isIPv4(address)) {
    bytes.fill(0, at, at + 10).writeUInt16BE(0xffff, at + 10);
    writeIpv4(bytes, at + 12, address);
    return;
  }
  const [text = ''] = address.split('%');
  if (!isIPv6(text)) throw new RangeError(`not an address: ${address}`);
  const [head = '', tail] = withoutDots(text).split('::');
  const before = groupsOf(head);
  const after = tail === undefined ? [] : groupsOf(tail);
  bytes.fill(0, at, at + 16);
  for (const [index, group] of before.entries()) bytes.writeUInt16BE(group, at + 2 * index);
  for (const [index, group] of after.entries())
    bytes.writeUInt16BE(group, at + 16 - 2 * (after.length - index));
}

/** Writes the four bytes of a dotted address at `at`. */
export function writeIpv4(bytes: Buffer, at: number, address: string): void {
  let place = at;
  let value = 0;
  for (let index = 0; index < address.length; index += 1) {
    const code = address.charCodeAt(index);
    if (code === DOT) {
      bytes[place++] = value;
      value = 0;
    } else {
      value = 10 * value + code - ZERO;
    }
  }
  bytes[place] = value;
}

function groupsOf(text: string): readonly number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

/** An IPv4 address at the end of an IPv6 one, as two groups. */
function withoutDots(text: string): string {
  const dotted = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (dotted === null) return text;
  const [a = 0, b = 0, c = 0, d = 0] = dotted.slice(1).map(Number);
  return `${text.slice(0, dotted.index)}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}
