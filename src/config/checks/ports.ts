// Every address is bound once.

import { isIPv4 } from 'node:net';
import { quote } from '../refusal.ts';
import type { CheckContext } from './context.ts';

interface Bound {
  readonly host: string;
  readonly port: number;
  readonly owner: string;
}

/** `[::]` takes IPv4 too (Node leaves `ipv6Only` off), so it excludes every other address at its port. */
export function checkPorts({ config, places, problem }: CheckContext): void {
  const { admin } = config;
  const bound: Bound[] =
    admin.unixPath === null ? [{ host: admin.host, port: admin.port, owner: 'the admin interface' }] : [];
  for (const [index, { name, host, port }] of config.listeners.entries()) {
    const other = bound.find((entry) => port !== 0 && entry.port === port && overlap(entry.host, host));
    if (other !== undefined) {
      const where = other.host === host ? '' : ` (${text(other)})`;
      problem(
        [...places.at('listeners', index), 'bind'],
        'port-twice',
        `${text({ host, port })} is already bound by ${other.owner}${where}`,
        'Use another port or another address.',
      );
    }
    bound.push({ host, port, owner: `the listener ${quote(name)}` });
  }
}

function overlap(a: string, b: string): boolean {
  if (a === b || a === '::' || b === '::') {
    return true;
  }
  return (a === '0.0.0.0' && isIPv4(b)) || (b === '0.0.0.0' && isIPv4(a));
}

function text({ host, port }: { readonly host: string; readonly port: number }): string {
  return isIPv4(host) ? `${host}:${port}` : `[${host}]:${port}`;
}
