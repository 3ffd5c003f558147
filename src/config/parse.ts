// YAML text to the validated configuration, or everything that is wrong with it. No I/O.

import type { Config } from '../model/config.ts';
import { buildConfig } from './build.ts';
import type { CheckContext, Report } from './checks/context.ts';
import { checkNoEffect } from './checks/no-effect.ts';
import { checkPorts } from './checks/ports.ts';
import { checkReachable } from './checks/reachable.ts';
import { checkReferences } from './checks/references.ts';
import { checkRules } from './checks/rules.ts';
import { checkUnused } from './checks/unused.ts';
import { deepFreeze } from './deep-freeze.ts';
import type { Environment } from './environment.ts';
import type { Finding, Path, Problem } from './problem.ts';
import { valueAt } from './schema-findings.ts';
import { type Places, validate } from './validate.ts';
import { readYaml, type YamlTree } from './yaml-tree.ts';
import type { Plain } from './yaml-values.ts';

export interface ParseOptions {
  /** Name for messages. */
  readonly file: string;
  /** For `${NAME}`. */
  readonly env: Environment;
  /** Absolute directory that relative paths start from. */
  readonly baseDirectory: string;
}

/** `config` is frozen through and through. Problems come in the order of the file. */
export type ParseResult =
  | { readonly config: Config; readonly warnings: readonly Problem[] }
  | { readonly problems: readonly Problem[] };

/** A configuration with the means to point into its text. */
export interface Parsed {
  readonly result: ParseResult;
  readonly tree: YamlTree;
  readonly places: Places | null;
}

/** Problems beyond these are counted, not listed. */
const LISTED_PROBLEMS = 500;

/** Reads and checks a configuration. Never throws, whatever the text is. */
export function parseConfig(text: string, options: ParseOptions): ParseResult {
  return parse(text, options).result;
}

/** As `parseConfig`, keeping what is needed to report on files that the configuration names. */
export function parse(text: string, { file, env, baseDirectory }: ParseOptions): Parsed {
  const tree = readYaml(text, file, env);
  if (tree.value === undefined) {
    return { result: { problems: inOrder(tree.problems) }, tree, places: null };
  }
  const { written, places, findings } = validate(tree, tree.value);
  const problems: Problem[] = [...tree.problems, ...findings.map((finding) => tree.locate(finding))];
  const warnings: Problem[] = [];
  const config = written === null ? null : buildConfig(written, baseDirectory);
  if (config !== null) {
    check({
      config,
      places,
      names: namesIn(tree.value),
      hasListeners: hasListeners(tree),
      isWritten: (path) => valueAt(tree.value ?? null, path).found,
      problem: reportTo(problems, tree),
      warning: reportTo(warnings, tree),
    });
  }
  if (config === null || problems.length > 0) {
    return { result: { problems: inOrder(problems) }, tree, places };
  }
  return { result: { config: deepFreeze(config), warnings: inOrder(warnings) }, tree, places };
}

function check(context: CheckContext): void {
  checkReferences(context);
  checkPorts(context);
  checkRules(context);
  checkReachable(context);
  checkUnused(context);
  checkNoEffect(context);
}

function reportTo(problems: Problem[], tree: YamlTree): Report {
  return (path: Path, code: string, message: string, fix: string, at: Finding['at'] = 'value') => {
    problems.push(tree.locate({ path, at, code, message, fix }));
  };
}

/** In the order of the file, each place and message once, and not more than anyone would read. */
function inOrder(problems: readonly Problem[]): readonly Problem[] {
  const seen = new Set<string>();
  const sorted = problems
    .toSorted((a, b) => a.line - b.line || a.column - b.column)
    .filter(({ line, column, message }) => {
      const key = `${line}:${column}:${message}`;
      return !seen.has(key) && seen.add(key) !== undefined;
    });
  const last = sorted[LISTED_PROBLEMS];
  if (last === undefined) {
    return sorted;
  }
  const more = sorted.length - LISTED_PROBLEMS;
  const fix = 'Correct the problems above first.';
  return [
    ...sorted.slice(0, LISTED_PROBLEMS),
    { ...last, code: 'more', message: `there are ${more} more problems`, fix },
  ];
}

/** Every name in the file as it was written, faulty parts included. */
function namesIn(root: Plain): CheckContext['names'] {
  const names = (section: string): readonly string[] => {
    const list = typeof root === 'object' && root !== null && !Array.isArray(root) ? root[section] : null;
    return (Array.isArray(list) ? list : []).flatMap((item) => {
      const name = typeof item === 'object' && item !== null && !Array.isArray(item) ? item['name'] : null;
      return typeof name === 'string' ? [name] : [];
    });
  };
  return { clusters: names('clusters'), listeners: names('listeners'), pools: names('pools') };
}

function hasListeners(tree: YamlTree): boolean {
  const { value, found } = valueAt(tree.value ?? null, ['listeners']);
  return tree.isUnreadable(['listeners']) || (found && !(Array.isArray(value) && value.length === 0));
}
