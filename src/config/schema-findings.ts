// Turns what the schema library reports into findings in words of our own, each with a fix.

import type { z } from 'zod';
import { knownKeys } from './json-schema.ts';
import type { Finding, Path } from './problem.ts';
import { quote } from './refusal.ts';
import { nearest } from './suggest.ts';
import type { Plain } from './yaml-values.ts';

type Issue = z.core.$ZodIssue;

/** Keys of one map that are listed when all of them are unknown. */
const LISTED_KEYS = 100;
const TYPE_WORDS: Readonly<Record<string, string>> = {
  object: 'a map',
  record: 'a map',
  array: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  null: 'null',
};

/** An issue of the schema at its place, unions taken apart. */
export interface FlatIssue {
  readonly path: Path;
  readonly issue: Issue;
}

/** Issues of `root` with whole paths; of a union, only those of the branch that was most likely meant. */
export function flatten(issues: readonly Issue[], root: Plain, base: Path = []): FlatIssue[] {
  return issues.flatMap((issue) => {
    const path = [
      ...base,
      ...issue.path.map((segment) => (typeof segment === 'symbol' ? String(segment) : segment)),
    ];
    if (issue.code === 'invalid_union') {
      const isScalar = typeof valueAt(root, path).value !== 'object';
      const meant = issue.errors.find(
        (branch) => branch.length > 0 && !branch.some((inner) => isWrongKind(inner, isScalar)),
      );
      return meant === undefined ? [{ path, issue }] : flatten(meant, root, path);
    }
    return [{ path, issue }];
  });
}

/** The branch was not meant at all: it wants another type of value at its root. */
function isWrongKind(issue: Issue, isScalar: boolean): boolean {
  const wantsOther = issue.code === 'invalid_type' || (issue.code === 'invalid_value' && !isScalar);
  return issue.path.length === 0 && wantsOther;
}

/** Findings for one issue; several when a map has several unknown keys. */
export function describe({ path, issue }: FlatIssue, root: Plain): Finding[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, LISTED_KEYS).map((key) => unknownKey(path, key));
  }
  const { value, found } = valueAt(root, path);
  if (!found) {
    return [missing(path)];
  }
  const params: unknown = issue.code === 'custom' ? issue.params : undefined;
  const at = issue.code === 'invalid_key' ? 'key' : 'value';
  const words = inWords(issue, value);
  return [
    {
      path,
      at,
      code: param(params, 'code') ?? words.code,
      message: issue.code === 'custom' ? issue.message : `${placeName(path)} ${words.message}`,
      fix: param(params, 'fix') ?? words.fix,
    },
  ];
}

function unknownKey(path: Path, key: string): Finding {
  if (key === '<<') {
    const fix = 'Write the keys out; an alias can stand for a whole value.';
    return { path: [...path, key], at: 'key', code: 'unknown-key', message: 'merge keys are not taken', fix };
  }
  const known = knownKeys(path);
  const guess = nearest(key, known);
  const list =
    known.length === 0 ? 'This map takes no keys: write {}.' : `Known keys here: ${known.join(', ')}.`;
  return {
    path: [...path, key],
    at: 'key',
    code: 'unknown-key',
    message: `unknown key ${quote(key)}${guess === null ? '' : `, did you mean ${quote(guess)}?`}`,
    fix: guess === null ? list : `Write ${guess}.`,
  };
}

function missing(path: Path): Finding {
  const key = path[path.length - 1];
  const where = path.length > 1 ? ` in ${placeName(path.slice(0, -1))}` : '';
  return {
    path,
    at: 'key',
    code: 'missing',
    message: `${quote(String(key))} is missing${where}`,
    fix: `Add ${String(key)}.`,
  };
}

function inWords(
  issue: Issue,
  value: Plain,
): { readonly code: string; readonly message: string; readonly fix: string } {
  switch (issue.code) {
    case 'invalid_type': {
      const expected = TYPE_WORDS[issue.expected] ?? issue.expected;
      return {
        code: 'wrong-type',
        message: `is ${kindOf(value)}, but must be ${expected}`,
        fix: typeHint(issue.expected, value) ?? `Write ${expected}.`,
      };
    }
    case 'invalid_union':
      return {
        code: 'wrong-type',
        message: `is ${kindOf(value)}: ${unionText(issue)}`,
        fix: `${capitalized(unionText(issue))}.`,
      };
    case 'invalid_value': {
      const values = issue.values.map(String);
      const guess = typeof value === 'string' ? nearest(value, values) : null;
      const shown = typeof value === 'string' ? quote(value) : kindOf(value);
      return {
        code: 'unknown-value',
        message: `is ${shown}${guess === null ? '' : `, did you mean ${quote(guess)}?`}`,
        fix: guess === null ? `Use one of ${values.join(', ')}.` : `Write ${guess}.`,
      };
    }
    case 'too_small':
      return tooFew(issue.origin, `at least ${issue.minimum}`, value, Number(issue.minimum));
    case 'too_big':
      return tooFew(issue.origin, `at most ${issue.maximum}`, value, Number(issue.maximum));
    case 'invalid_format':
      return { code: 'wrong-format', message: `must be ${issue.message}`, fix: `Write ${issue.message}.` };
    default:
      return {
        code: 'invalid',
        message: `is not valid: ${issue.message}`,
        fix: 'See the configuration reference.',
      };
  }
}

function tooFew(origin: string, bound: string, value: Plain, limit: number) {
  if (origin === 'array') {
    const items = `${bound} item${limit === 1 ? '' : 's'}`;
    return { code: 'wrong-length', message: `must have ${items}`, fix: `Give it ${items}.` };
  }
  if (origin === 'string') {
    const characters = `${bound} character${limit === 1 ? '' : 's'}`;
    return { code: 'wrong-length', message: `must have ${characters}`, fix: `Give it ${characters}.` };
  }
  return { code: 'out-of-range', message: `is ${kindOf(value)}, but must be ${bound}`, fix: `Use ${bound}.` };
}

function typeHint(expected: string, value: Plain): string | null {
  if (expected === 'array' && value !== null) {
    return 'Put it in a list: [ ... ].';
  }
  const isScalar = typeof value === 'number' || typeof value === 'boolean';
  return expected === 'string' && isScalar ? `Quote it: "${value}".` : null;
}

function unionText(issue: Issue): string {
  if (issue.message.startsWith('expected ')) return issue.message;
  const takesTruth =
    issue.code === 'invalid_union' &&
    issue.errors.flat().some((inner) => inner.code === 'invalid_type' && inner.expected === 'boolean');
  return `expected ${takesTruth ? 'true, false' : 'a name'} or a map of options`;
}

function capitalized(text: string): string {
  return text.replace(/^expected /, 'Write ');
}

function param(params: unknown, key: 'code' | 'fix'): string | null {
  const value: unknown = typeof params === 'object' && params !== null ? Reflect.get(params, key) : null;
  return typeof value === 'string' ? value : null;
}

function kindOf(value: Plain): string {
  if (value === null) {
    return 'empty';
  }
  if (typeof value === 'object') {
    return Array.isArray(value) ? 'a list' : 'a map';
  }
  return typeof value === 'string' ? `the text ${quote(value)}` : String(value);
}

function placeName(path: Path): string {
  if (path.length === 0) {
    return 'the configuration';
  }
  return path.reduce<string>(
    (text, segment) =>
      typeof segment === 'number' ? `${text}[${segment}]` : text === '' ? segment : `${text}.${segment}`,
    '',
  );
}

/** The value at a path, and whether there is one. */
export function valueAt(root: Plain, path: Path): { readonly value: Plain; readonly found: boolean } {
  let value: Plain = root;
  for (const segment of path) {
    const next: Plain | undefined =
      typeof value !== 'object' || value === null
        ? undefined
        : Array.isArray(value)
          ? value[Number(segment)]
          : value[segment];
    if (next === undefined) {
      return { value: null, found: false };
    }
    value = next;
  }
  return { value, found: true };
}
