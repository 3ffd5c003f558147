// Whether something that is referred to by name is there, and the problem when it is not.

import type { Path } from '../problem.ts';
import { quote } from '../refusal.ts';
import { nearest } from '../suggest.ts';
import type { CheckContext } from './context.ts';

/** Reports a name that nothing has, with the nearest that something has. */
export function exists(
  { names, problem }: CheckContext,
  section: 'clusters' | 'listeners' | 'pools',
  name: string,
  place: Path,
): boolean {
  if (names[section].includes(name)) {
    return true;
  }
  const what = section.slice(0, -1);
  const guess = nearest(name, names[section]);
  const fix =
    names[section].length === 0
      ? `Add a ${what} of that name: there is none yet.`
      : `Use one of ${names[section].slice(0, 20).join(', ')}, or add it.`;
  problem(
    place,
    `${what}-unknown`,
    `there is no ${what} named ${quote(name)}${guess === null ? '' : `, did you mean ${quote(guess)}?`}`,
    guess === null ? fix : `Write ${guess}, or add a ${what} named ${name.slice(0, 63)}.`,
  );
  return false;
}
