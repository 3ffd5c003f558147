// Holds what three proxies did against the explained differences, in both directions.

import { PROXIES } from './proxies.ts';

export interface Verdicts {
  portico: string;
  nginx: string;
  haproxy: string;
}

export interface Reason {
  readonly text: string;
  /** Set when Portico may take what another refuses. */
  readonly lenient?: boolean;
}

/** Several verdicts where a proxy's own depends on how its bytes arrive. */
export type Expected = string | readonly string[];

export interface Explained {
  readonly portico: string;
  readonly nginx: Expected;
  readonly haproxy: Expected;
  readonly why: string;
}

export interface Differences {
  readonly reasons: Readonly<Record<string, Reason>>;
  readonly differences: Readonly<Record<string, Explained>>;
}

export interface Comparison {
  readonly differences: Record<string, Explained>;
  /** Rows that are not as the file says. */
  readonly surprises: readonly { readonly name: string }[];
  readonly lenient: readonly string[];
  readonly stricter: number;
  readonly problems: readonly string[];
}

/** Whether a proxy handed nothing on: neither a request to the backend nor an answer to the client. */
export function refused(verdict: string): boolean {
  if (verdict.includes(' | next: ')) return /^(?:5\d\d|closed)(?: |$)/.test(verdict);
  return verdict.endsWith('| nothing') && !/^2\d\d/.test(verdict);
}

/** Whether a verdict is one of those expected. */
export const fits = (expected: Expected | undefined, verdict: string): boolean =>
  typeof expected === 'string' ? expected === verdict : (expected?.includes(verdict) ?? false);

const alike = ({ portico, nginx, haproxy }: Verdicts): boolean => portico === nginx && nginx === haproxy;

/** @param partial only some payloads were sent: what is missing is no problem */
export function compare(
  verdicts: ReadonlyMap<string, Verdicts>,
  known: Differences,
  partial = false,
): Comparison {
  const differences: Comparison['differences'] = {};
  const surprises: { name: string }[] = [];
  const lenient: string[] = [];
  const problems: string[] = [];
  const used = new Set<string>();
  let stricter = 0;
  for (const [name, row] of verdicts) {
    const explained = known.differences[name];
    const changed = PROXIES.filter((proxy) => !fits(explained?.[proxy], row[proxy]));
    if (alike(row) && changed.length > 0) {
      if (explained !== undefined) {
        surprises.push({ name });
        problems.push(`${name}: explained, and no difference any more: ${row.portico}`);
      }
      continue;
    }
    const why = explained?.why ?? '';
    differences[name] = changed.length === 0 && explained !== undefined ? explained : { ...row, why };
    if (why !== '') used.add(why);
    if (changed.length > 0) {
      surprises.push({ name });
      for (const proxy of changed) {
        problems.push(
          `${name}: ${proxy} ${row[proxy]}${explained === undefined ? '' : `, not ${String(explained[proxy])}`}`,
        );
      }
    }
    if (known.reasons[why] === undefined) problems.push(`${name}: no reason is given`);
    const others = [row.nginx, row.haproxy];
    if (refused(row.portico) && !others.some(refused)) stricter++;
    if (!refused(row.portico) && others.some(refused)) {
      lenient.push(name);
      if (known.reasons[why]?.lenient !== true)
        problems.push(`${name}: Portico takes what another refuses: ${row.portico}`);
    }
  }
  if (!partial) {
    for (const name of Object.keys(known.differences)) {
      if (!verdicts.has(name)) problems.push(`${name}: explained, and there is no such payload`);
    }
    for (const why of Object.keys(known.reasons))
      if (!used.has(why)) problems.push(`reason ${why}: not used`);
  }
  return { differences, surprises, lenient, stricter, problems };
}
