// What clients and packets say about a stretch of the run, in words.

import type { FailedRequest } from '../clients.ts';
import { NODE_PORTS } from './ports.ts';
import type { TimedLedger } from './timed-ledger.ts';

export type ServiceKey = 'unicorn' | 'api' | 'ssh' | 'late' | 'shares';

/** A stretch of the run, of which the clients' side is asked. */
export interface Mark {
  readonly atMs: number;
  readonly failures: number;
  readonly successes: number;
}

/** The node ports by which a service is reached, whoever asks. */
export function portsOf(key: 'unicorn' | 'api' | 'ssh'): readonly number[] {
  if (key === 'api') return [NODE_PORTS.api, NODE_PORTS.apiPlain];
  return key === 'ssh' ? [NODE_PORTS.ssh, NODE_PORTS.sshPlain] : [NODE_PORTS.unicorn];
}

/** The pool of a service in Portico's configuration. */
export function poolOf(key: ServiceKey): string {
  return { unicorn: 'unicorn', api: 'unicorn-api', ssh: 'git-ssh', late: 'review-lab', shares: 'shares' }[
    key
  ];
}

/** What came to a node that was to be left. */
export interface Seen {
  /** Milliseconds from the event to the last new request; 0 when none came. */
  readonly lastMs: number;
  readonly connections: number;
}

export function wordsOf({ lastMs, connections }: Seen): string {
  const requests = lastMs === 0 ? 'no new request' : `last new request after ${Math.round(lastMs)} ms`;
  return `${requests}, ${connections} connections`;
}

/** "0 failed of 812", with those apart that `counts` leaves out. */
export function outcomeOf(
  ledger: TimedLedger,
  atMs: number,
  counts: (client: string) => boolean,
): { readonly failed: readonly FailedRequest[]; readonly text: string } {
  const all = ledger.failures.filter((failure) => failure.atMs >= atMs);
  const failed = all.filter((failure) => counts(failure.client));
  const total = ledger.between(atMs, Number.POSITIVE_INFINITY, () => true).length + all.length;
  const others = all.length - failed.length;
  const aside = others === 0 ? '' : ` (and ${others} of others)`;
  return { failed, text: `${failed.length} failed of ${total}${aside}` };
}
