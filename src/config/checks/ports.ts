// Every address is bound once.

import { isIPv4 } from 'node:net';
import type { CheckContext } from './context.ts';

interface Bound {
  readonly host: string;
  readonly port: number;
  readonly owner: string;
}

/** `[::]` takes IPv4 too (Node leaves `ipv6Only` off), so it excludes every other address at its port. */
export function checkPorts({ config, places, problem }: CheckContext): void {
  const bound: Bound[] = [];
  const byPort = new Map<number, Bound[]>();
  const add = (entry: Bound, path: readonly (string | number)[]): void => {
    const others = byPort.get(entry.port) ?? [];
    const other = others.find((candidate) => overlap(candidate.host, entry.host));
    if (other !== undefined && entry.port !== 0) {
      problem(
        path,
        'port-twice',
        `${text(entry)} is already bound by ${other.owner}${other.host === entry.host ? '' : ` (${text(other)})`}`,
        'Use another port or another address.',
      );
    }
    byPort.set(entry.port, [...others, entry]);
    bound.push(entry);
  };
  for (const [index, { name, host, port }] of config.listeners.entries()) {
    add({ host, port, owner: `the listener "${name}"` }, [...places.at('listeners', index), 'bind']);
  }
  if (config.admin.unixPath === null) {
    const last = bound.length;
    const { host, port } = config.admin;
    const taken = bound
      .slice(0, last)
      .find((entry) => entry.port === port && port !== 0 && overlap(entry.host, host));
    if (taken !== undefined) {
      problem(
        ['admin', 'bind'],
        'port-twice',
        `the admin address ${text({ host, port })} is already bound by ${taken.owner}`,
        'Give admin.bind or the listener another port.',
      );
    }
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
