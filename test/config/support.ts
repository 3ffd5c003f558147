// What the configuration tests share: parsing a text as if it were the file `test.yaml` in `/etc/portico`.

import assert from 'node:assert/strict';
import type { Environment } from '../../src/config/environment.ts';
import { type ParseResult, parseConfig } from '../../src/config/parse.ts';
import type { Problem } from '../../src/config/problem.ts';
import type { Config } from '../../src/model/config.ts';

export const MINIMAL = `listeners:
  - { name: web, bind: ":8080", protocol: http }
pools:
  - { name: app, sources: [{ static: ["127.0.0.1:9001"] }] }
routes:
  - { name: all, hosts: ["*"], rules: [{ pools: [{ name: app }] }] }
`;

export function parse(text: string, env: Environment = {}): ParseResult {
  return parseConfig(text, { file: 'test.yaml', env, baseDirectory: '/etc/portico' });
}

/** The configuration; fails with its problems when there are any. */
export function valid(text: string, env: Environment = {}): Config {
  const result = parse(text, env);
  assert.ok('config' in result, 'problems' in result ? JSON.stringify(result.problems, null, 1) : '');
  return result.config;
}

export function problems(text: string, env: Environment = {}): readonly Problem[] {
  const result = parse(text, env);
  assert.ok('problems' in result, 'expected problems');
  return result.problems;
}
