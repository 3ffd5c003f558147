// The network that a range of addresses (CIDR) stands for: its address with the host bits cleared.

import { isIPv4 } from 'node:net';

/** `10.1.2.3/8` -> `10.0.0.0/8`. The same text when no bit is cleared. @param range as `parseCidr` gives it */
export function networkOf(range: string): string {
  const [address = '', bits = ''] = range.split('/');
  const isFour = isIPv4(address);
  const groups = isFour ? address.split('.').map(Number) : groupsOf(address);
  const width = isFour ? 8 : 16;
  const cleared = groups.map((group, index) => {
    const kept = Math.min(Math.max(Number(bits) - index * width, 0), width);
    return group & ~(2 ** (width - kept) - 1);
  });
  if (cleared.every((group, index) => group === groups[index])) return range;
  const text = isFour
    ? cleared.join('.')
    : hostOf(cleared.map((group) => group.toString(16)).join(':')).slice(1, -1);
  return `${text}/${bits}`;
}

function groupsOf(address: string): readonly number[] {
  const [head = '', tail = ''] = hostOf(address).slice(1, -1).split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === '' ? [] : tail.split(':');
  const gap = new Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...gap, ...after].map((group) => Number.parseInt(group, 16));
}

/** The shortest form, in brackets; an IPv4 part in hexadecimal. */
function hostOf(address: string): string {
  return new URL(`http://[${address}]`).hostname;
}
