// What a golden case records: the problems as text, or the warnings of a valid configuration.

import { parseConfig } from '../../src/config/parse.ts';
import { formatProblems } from '../../src/config/problem.ts';

/** Names of the cases refer to these variables only. */
const ENV = { COUNT: '50', WORD: 'many', NAME: 'web' };

export function findingsOf(file: string, text: string): string {
  const env = file.startsWith('environment-values') ? ENV : {};
  const result = parseConfig(text, { file, env, baseDirectory: '/etc/portico' });
  return 'problems' in result
    ? formatProblems(result.problems, { colour: false })
    : `valid\n${formatProblems(result.warnings, { colour: false })}`;
}
