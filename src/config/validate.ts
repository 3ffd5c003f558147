// Runs the schema over plain values, and once more without the faulty parts, so that the checks between parts can
// still look at all the others.

import type { Finding, Path } from './problem.ts';
import { rootSchema, type Written } from './schema/root.ts';
import { describe, type FlatIssue, flatten, valueAt } from './schema-findings.ts';
import type { YamlTree } from './yaml-tree.ts';
import type { Plain } from './yaml-values.ts';

export interface Validated {
  /** What is free of faults; null when nothing could be saved. */
  readonly written: Written | null;
  readonly places: Places;
  readonly findings: readonly Finding[];
}

/** Where the parts of `Written` stand in the file: indexes differ once faulty parts are left out. */
export interface Places {
  at(section: Section, index: number): Path;
  rule(route: number, index: number): Path;
  /** Whether rules of the route were left out: what they would have used cannot be told. */
  isIncomplete(route: number): boolean;
}

type Section = 'clusters' | 'listeners' | 'pools' | 'routes';
const SECTIONS: readonly Section[] = ['clusters', 'listeners', 'pools', 'routes'];
/** A faulty rule, then its empty route, then what is left: more rounds than can follow from each other. */
const ROUNDS = 6;

export function validate(tree: YamlTree, root: Plain): Validated {
  const findings: Finding[] = [];
  const pruning = new Pruning(root);
  for (let round = 0; round < ROUNDS; round++) {
    const value = pruning.apply();
    const result = rootSchema.safeParse(value);
    if (result.success) {
      return { written: result.data, places: pruning.places(), findings };
    }
    const issues = flatten(result.error.issues, value).map((found) => ({
      ...found,
      path: pruning.original(found.path),
    }));
    const retyped = issues.filter((found) => retype(tree, root, found));
    if (retyped.length > 0) {
      continue;
    }
    if (findings.length === 0) {
      const readable = issues.filter(({ path }) => !tree.isUnreadable(path));
      findings.push(...readable.flatMap((found) => describe(found, root)));
    }
    if (!issues.every((found) => pruning.remove(found))) {
      break;
    }
  }
  return { written: null, places: pruning.places(), findings };
}

/** `port: ${PORT}` yields text; where the schema wants a number or a truth value, the text becomes one. */
function retype(tree: YamlTree, root: Plain, { path, issue }: FlatIssue): boolean {
  if (!tree.isSubstituted(path)) {
    return false;
  }
  const { value } = valueAt(root, path);
  const holder = valueAt(root, path.slice(0, -1)).value;
  const key = path[path.length - 1];
  if (typeof value !== 'string' || typeof holder !== 'object' || holder === null || key === undefined) {
    return false;
  }
  const typed = typedFor(value, issue);
  if (typed === null) {
    return false;
  }
  Reflect.set(holder, key, typed);
  return true;
}

/** Of several kinds that are taken, the text is read as the first that it fits. */
function typedFor(text: string, issue: FlatIssue['issue']): number | boolean | null {
  switch (issue.code) {
    case 'invalid_type':
      return typedValue(text, issue.expected);
    case 'invalid_value': {
      const fits = issue.values.find((value) => typeof value !== 'string' && String(value) === text);
      return typeof fits === 'number' || typeof fits === 'boolean' ? fits : null;
    }
    case 'invalid_union': {
      const kinds = issue.errors.flat().filter(({ path }) => path.length === 0);
      for (const kind of kinds) {
        const typed = typedFor(text, kind);
        if (typed !== null) return typed;
      }
      return null;
    }
    default:
      return null;
  }
}

function typedValue(text: string, expected: string): number | boolean | null {
  if (expected === 'boolean') {
    return text === 'true' ? true : text === 'false' ? false : null;
  }
  const isNumber = (expected === 'number' || expected === 'int') && /^-?\d{1,15}(?:\.\d{1,15})?$/.test(text);
  return isNumber ? Number(text) : null;
}

/** Remembers what to leave out, and which index of the rest belongs to which of the file. */
class Pruning {
  readonly #root: Plain;
  readonly #removed = new Set<string>();
  #indexes = new Map<string, number[]>();

  constructor(root: Plain) {
    this.#root = root;
  }

  apply(): Plain {
    this.#indexes = new Map();
    return this.#copy(this.#root, []);
  }

  /** Notes the smallest removable thing around an issue; false when there is none but the whole file. */
  remove({ path, issue }: FlatIssue): boolean {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        this.#removed.add(joined([...path, key]));
      }
      return true;
    }
    const depth = removableDepth(path);
    if (depth === 0) {
      return false;
    }
    this.#removed.add(joined(path.slice(0, depth)));
    return true;
  }

  original(path: Path): Path {
    const result: (string | number)[] = [];
    for (const segment of path) {
      const index = typeof segment === 'number' ? this.#indexes.get(joined(result))?.[segment] : undefined;
      result.push(index ?? segment);
    }
    return result;
  }

  places(): Places {
    return {
      at: (section, index) => this.original([section, index]),
      rule: (route, index) => this.original(['routes', route, 'rules', index]),
      isIncomplete: (route) => {
        const rules = joined([...this.original(['routes', route]), 'rules']);
        return [...this.#removed].some((path) => path.startsWith(`${rules}\u0000`));
      },
    };
  }

  #copy(value: Plain, path: Path): Plain {
    if (this.#removed.size === 0 || typeof value !== 'object' || value === null) {
      return value;
    }
    if (Array.isArray(value)) {
      const kept = [...value.keys()].filter((index) => !this.#removed.has(joined([...path, index])));
      this.#indexes.set(joined(path), kept);
      return kept.map((index) => this.#copy(value[index]!, [...path, index]));
    }
    const copy: { [key: string]: Plain } = Object.create(null);
    for (const [key, inner] of Object.entries(value)) {
      if (!this.#removed.has(joined([...path, key]))) {
        copy[key] = this.#copy(inner, [...path, key]);
      }
    }
    return copy;
  }
}

/** How much of the path names the rule, list item or section that holds it. */
function removableDepth(path: Path): number {
  const [section, index, rules, rule] = path;
  if (!SECTIONS.some((known) => known === section) || typeof index !== 'number') {
    return Math.min(path.length, 1);
  }
  return section === 'routes' && rules === 'rules' && typeof rule === 'number' ? 4 : 2;
}

function joined(path: Path): string {
  return path.join('\u0000');
}
