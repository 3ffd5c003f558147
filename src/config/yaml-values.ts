// The nodes of one YAML document as plain values: aliases expanded, `${...}` substituted, and what cannot be read reported.

import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import { type Environment, hasReference, substitute } from './environment.ts';
import type { Path } from './problem.ts';
import { VALUE_LIMIT } from './yaml-limits.ts';
import { keyText, startOf } from './yaml-nodes.ts';

/** A value as YAML knows it. Maps have no prototype. */
export type Plain = null | boolean | number | string | Plain[] | { [key: string]: Plain };

/** The text that the nodes stand in. */
export interface YamlText {
  report(offset: number, code: string, message: string, fix: string): void;
  /** Counted from 1. */
  lineOf(offset: number): number;
}

export class YamlValues {
  readonly #env: Environment;
  readonly #text: YamlText;
  readonly #anchors = new Map<string, Node>();
  readonly #resolved = new Map<Alias, Node>();
  /** Collections being read, outermost first: an alias to one of them would never end. */
  readonly #open = new Set<Node>();
  readonly #substituted = new Set<string>();
  readonly #unreadable = new Set<string>();
  readonly #pairs = new Map<YAMLMap, Map<string, Pair>>();
  /** The outermost alias that is being expanded. */
  #expanding: Alias | null = null;
  #count = 0;

  constructor(env: Environment, text: YamlText) {
    this.#env = env;
    this.#text = text;
  }

  /** The value of the whole document; undefined when nothing useful can be made of it, or it holds too many values. */
  read(root: Node | null): Plain | undefined {
    const value = this.#convert(root, []);
    return this.#count <= VALUE_LIMIT ? value : undefined;
  }

  /** See `YamlTree`. */
  isSubstituted(path: Path): boolean {
    return this.#substituted.has(pathKey(path));
  }

  /** See `YamlTree`. */
  isUnreadable(path: Path): boolean {
    return this.#unreadable.has(pathKey(path));
  }

  /** What an alias refers to; any other node as it is. */
  meant(node: unknown): unknown {
    return isAlias(node) ? this.#resolved.get(node) : node;
  }

  /** First pair of each key. */
  pairsOf(map: YAMLMap): Map<string, Pair> {
    let pairs = this.#pairs.get(map);
    if (pairs === undefined) {
      pairs = new Map();
      for (const pair of map.items) {
        const key = keyText(pair);
        if (key !== null && !pairs.has(key)) {
          pairs.set(key, pair);
        }
      }
      this.#pairs.set(map, pairs);
    }
    return pairs;
  }

  /** The plain value of a node, or undefined when nothing useful can be made of it (a problem says why). */
  #convert(node: unknown, path: Path): Plain | undefined {
    this.#count++;
    if (this.#count > VALUE_LIMIT) {
      if (this.#count === VALUE_LIMIT + 1) {
        const message = `the document holds more than ${VALUE_LIMIT} values, aliases expanded`;
        this.#text.report(
          startOf(this.#expanding ?? node) ?? 0,
          'too-many-values',
          message,
          'Use fewer aliases, or split the configuration.',
        );
      }
      return undefined;
    }
    if (isAlias(node)) {
      return this.#convertAlias(node, path);
    }
    if (isScalar(node)) {
      this.#remember(node);
      return this.#convertScalar(node, path);
    }
    if (isMap(node) || isSeq(node)) {
      this.#remember(node);
      this.#open.add(node);
      const value = isMap(node) ? this.#convertMap(node, path) : this.#convertSeq(node.items, path);
      this.#open.delete(node);
      return value;
    }
    return null;
  }

  #child(node: unknown, path: Path): Plain | undefined {
    const value = this.#convert(node, path);
    if (value === undefined) {
      this.#unreadable.add(pathKey(path));
    }
    return value;
  }

  #remember(node: Node): void {
    if ('anchor' in node && node.anchor !== undefined) {
      this.#anchors.set(node.anchor, node);
    }
  }

  #convertAlias(alias: Alias, path: Path): Plain | undefined {
    const known = this.#resolved.get(alias) ?? this.#anchors.get(alias.source);
    if (known === undefined) {
      const message = `the alias *${alias.source} refers to no anchor before it`;
      this.#text.report(
        startOf(alias) ?? 0,
        'anchor-unknown',
        message,
        `Define the anchor first: &${alias.source}.`,
      );
      return undefined;
    }
    if (this.#open.has(known)) {
      const message = `the alias *${alias.source} stands inside what it refers to`;
      this.#text.report(startOf(alias) ?? 0, 'anchor-circular', message, 'Write the value out instead.');
      return undefined;
    }
    this.#resolved.set(alias, known);
    const isOutermost = this.#expanding === null;
    this.#expanding ??= alias;
    const value = this.#convert(known, path);
    if (isOutermost) {
      this.#expanding = null;
    }
    return value;
  }

  #convertScalar(node: Scalar, path: Path): Plain | undefined {
    const source = typeof node.value === 'string' ? node.value : null;
    if (source !== null && hasReference(source)) {
      const result = substitute(source, this.#env);
      if (!result.ok) {
        this.#text.report(startOf(node) ?? 0, result.code, result.message, result.fix);
        return undefined;
      }
      this.#substituted.add(pathKey(path));
      return result.text;
    }
    const { value } = node;
    if (value === null || typeof value === 'string' || typeof value === 'boolean') {
      return value;
    }
    if (typeof value === 'number' && Number.isFinite(value)) {
      return value;
    }
    this.#text.report(
      startOf(node) ?? 0,
      'value-unsupported',
      'this is not a finite number, text, true, false or null',
      'Write a plain number, or quote it to make it text.',
    );
    return undefined;
  }

  #convertSeq(items: readonly unknown[], path: Path): Plain {
    const values: Plain[] = [];
    for (let index = 0; index < items.length && this.#count <= VALUE_LIMIT; index++) {
      // Null holds the place of an item that could not be read, so that indexes stay those of the text.
      values.push(this.#child(items[index], [...path, index]) ?? null);
    }
    return values;
  }

  #convertMap(map: YAMLMap, path: Path): Plain {
    const result: { [key: string]: Plain } = Object.create(null);
    const first = this.pairsOf(map);
    for (const pair of map.items) {
      if (this.#count > VALUE_LIMIT) {
        break;
      }
      const key = keyText(pair);
      const offset = startOf(pair.key) ?? startOf(map) ?? 0;
      if (key === null) {
        this.#text.report(
          offset,
          'key-unsupported',
          'a key must be plain text on one line',
          'Write the key as a word, quoted if need be.',
        );
        continue;
      }
      if (key === '__proto__') {
        this.#text.report(offset, 'key-reserved', 'the key __proto__ is reserved', 'Choose another name.');
        continue;
      }
      if (first.get(key) !== pair) {
        const line = this.#text.lineOf(startOf(first.get(key)?.key) ?? 0);
        const message = `the key ${JSON.stringify(key)} was already given at line ${line}`;
        // The value is still read: an alias further on may refer to an anchor in it.
        this.#convert(pair.value, [...path, key]);
        this.#text.report(
          offset,
          'key-duplicate',
          message,
          'Remove one of the two, or merge their contents.',
        );
        continue;
      }
      const value = this.#child(pair.value, [...path, key]);
      if (value !== undefined) {
        result[key] = value;
      }
    }
    return result;
  }
}

function pathKey(path: Path): string {
  return path.join('\u0000');
}
