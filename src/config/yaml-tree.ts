// YAML text to plain values, remembering where each key and value stands in the text.

import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import { type Environment, hasReference, substitute } from './environment.ts';
import type { Finding, Path, Problem } from './problem.ts';
import { composeYaml, type SyntaxFault } from './yaml-compose.ts';
import { sentence, syntaxFix } from './yaml-faults.ts';
import { FILE_LIMIT_BYTES, scanText, VALUE_LIMIT } from './yaml-limits.ts';
import { isEmpty, keyText, startOf } from './yaml-nodes.ts';

/** A value as YAML knows it. Maps have no prototype. */
export type Plain = null | boolean | number | string | Plain[] | { [key: string]: Plain };

/** Problems beyond this are counted, not listed. */
const LISTED_SYNTAX_ERRORS = 100;
const SHOWN_LINE_CHARACTERS = 1000;

export interface YamlTree {
  /** Undefined when the text could not be read as YAML. */
  readonly value: Plain | undefined;
  readonly problems: readonly Problem[];
  /** Whether a problem already says that the value at `path` cannot be read. */
  isUnreadable(path: Path): boolean;
  /** Whether the scalar at `path` came out of `${...}`: its type follows what the schema wants there. */
  isSubstituted(path: Path): boolean;
  /** The finding with the position of its key or value; of the nearest thing around it when that is missing. */
  locate(finding: Finding): Problem;
}

/** Reads one YAML 1.2 document (core schema, no tags, no merge keys). Never throws, does no I/O. */
export function readYaml(text: string, file: string, env: Environment): YamlTree {
  const reader = new Reader(text, file, env);
  reader.read();
  return reader;
}

class Reader implements YamlTree {
  value: Plain | undefined = undefined;
  readonly problems: Problem[] = [];
  readonly #text: string;
  readonly #file: string;
  readonly #env: Environment;
  readonly #lines = new LineCounter();
  #root: Node | null = null;
  readonly #anchors = new Map<string, Node>();
  readonly #resolved = new Map<Alias, Node>();
  /** Collections being read, outermost first: an alias to one of them would never end. */
  readonly #open = new Set<Node>();
  readonly #substituted = new Set<string>();
  readonly #unreadable = new Set<string>();
  readonly #pairs = new Map<YAMLMap, Map<string, Pair>>();
  /** The outermost alias that is being expanded. */
  #expanding: Alias | null = null;
  #values = 0;

  constructor(text: string, file: string, env: Environment) {
    this.#text = text;
    this.#file = file;
    this.#env = env;
  }

  read(): void {
    if (Buffer.byteLength(this.#text) > FILE_LIMIT_BYTES) {
      this.#lines.addNewLine(0);
      this.#report(
        0,
        'file-too-large',
        'the file is larger than 4 MiB',
        'Split the configuration, or remove generated parts.',
      );
      return;
    }
    const excess = scanText(this.#text);
    if (excess !== null) {
      this.#indexLines();
      this.#report(excess.offset, excess.code, excess.message, excess.fix);
      return;
    }
    const { contents, faults } = composeYaml(this.#text, this.#lines);
    if (this.#lines.lineStarts.length === 0) {
      this.#lines.addNewLine(0);
    }
    if (this.#reportFaults(faults)) {
      return;
    }
    this.#root = contents;
    const value = this.#convert(contents, []);
    if (this.#values <= VALUE_LIMIT) {
      this.value = value;
    }
  }

  isSubstituted(path: Path): boolean {
    return this.#substituted.has(pathKey(path));
  }

  isUnreadable(path: Path): boolean {
    return this.#unreadable.has(pathKey(path));
  }

  locate(finding: Finding): Problem {
    return this.#problem(
      this.#offsetOf(finding.path, finding.at),
      finding.code,
      finding.message,
      finding.fix,
    );
  }

  /** The first fault of each line: those after it follow from it. Whether there was one. */
  #reportFaults(faults: readonly SyntaxFault[]): boolean {
    const lines = new Set<number>();
    for (const fault of faults) {
      const { offset } = fault;
      const { line } = this.#lines.linePos(offset);
      if (lines.has(line) || lines.size >= LISTED_SYNTAX_ERRORS) {
        continue;
      }
      lines.add(line);
      const code = `yaml-${fault.code.toLowerCase().replaceAll('_', '-')}`;
      const isReference = this.#text.startsWith('${', offset - 1);
      const quoting = 'Put the reference in quotes: a brace begins a map inside { } and [ ].';
      this.#report(offset, code, sentence(fault.message), isReference ? quoting : syntaxFix(fault.code));
    }
    return faults.length > 0;
  }

  /** The plain value of a node, or undefined when nothing useful can be made of it (a problem says why). */
  #convert(node: unknown, path: Path): Plain | undefined {
    this.#values++;
    if (this.#values > VALUE_LIMIT) {
      if (this.#values === VALUE_LIMIT + 1) {
        const message = `the document holds more than ${VALUE_LIMIT} values, aliases expanded`;
        this.#report(
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
      this.#report(
        startOf(alias) ?? 0,
        'anchor-unknown',
        message,
        `Define the anchor first: &${alias.source}.`,
      );
      return undefined;
    }
    if (this.#open.has(known)) {
      const message = `the alias *${alias.source} stands inside what it refers to`;
      this.#report(startOf(alias) ?? 0, 'anchor-circular', message, 'Write the value out instead.');
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
        this.#report(startOf(node) ?? 0, result.code, result.message, result.fix);
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
    this.#report(
      startOf(node) ?? 0,
      'value-unsupported',
      'this is not a finite number, text, true, false or null',
      'Write a plain number, or quote it to make it text.',
    );
    return undefined;
  }

  #convertSeq(items: readonly unknown[], path: Path): Plain {
    const values: Plain[] = [];
    for (let index = 0; index < items.length && this.#values <= VALUE_LIMIT; index++) {
      // Null holds the place of an item that could not be read, so that indexes stay those of the text.
      values.push(this.#child(items[index], [...path, index]) ?? null);
    }
    return values;
  }

  #convertMap(map: YAMLMap, path: Path): Plain {
    const result: { [key: string]: Plain } = Object.create(null);
    const first = this.#pairsOf(map);
    for (const pair of map.items) {
      if (this.#values > VALUE_LIMIT) {
        break;
      }
      const key = keyText(pair);
      const offset = startOf(pair.key) ?? startOf(map) ?? 0;
      if (key === null) {
        this.#report(
          offset,
          'key-unsupported',
          'a key must be plain text on one line',
          'Write the key as a word, quoted if need be.',
        );
        continue;
      }
      if (key === '__proto__') {
        this.#report(offset, 'key-reserved', 'the key __proto__ is reserved', 'Choose another name.');
        continue;
      }
      if (first.get(key) !== pair) {
        const line = this.#lines.linePos(startOf(first.get(key)?.key) ?? 0).line;
        const message = `the key ${JSON.stringify(key)} was already given at line ${line}`;
        // The value is still read: an alias further on may refer to an anchor in it.
        this.#convert(pair.value, [...path, key]);
        this.#report(offset, 'key-duplicate', message, 'Remove one of the two, or merge their contents.');
        continue;
      }
      const value = this.#child(pair.value, [...path, key]);
      if (value !== undefined) {
        result[key] = value;
      }
    }
    return result;
  }

  /** First pair of each key. */
  #pairsOf(map: YAMLMap): Map<string, Pair> {
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

  #offsetOf(path: Path, at: 'key' | 'value'): number {
    let node: unknown = this.#root;
    let offset = startOf(node) ?? 0;
    for (const [depth, segment] of path.entries()) {
      const target = isAlias(node) ? this.#resolved.get(node) : node;
      if (isMap(target)) {
        const pair = this.#pairsOf(target).get(String(segment));
        if (pair === undefined) {
          return offset;
        }
        node = pair.value;
        const key = startOf(pair.key) ?? offset;
        const wantsKey = at === 'key' && depth === path.length - 1;
        offset = wantsKey || isEmpty(node) ? key : (startOf(node) ?? key);
      } else if (isSeq(target)) {
        node = target.items[Number(segment)];
        if (node === undefined) {
          return offset;
        }
        offset = startOf(node) ?? offset;
      } else {
        return offset;
      }
    }
    return offset;
  }

  #report(offset: number, code: string, message: string, fix: string): void {
    this.problems.push(this.#problem(offset, code, message, fix));
  }

  #problem(offset: number, code: string, message: string, fix: string): Problem {
    const position = this.#lines.linePos(Math.min(offset, this.#text.length));
    const line = Math.max(1, position.line);
    const start = this.#lines.lineStarts[line - 1] ?? 0;
    const end = this.#text.indexOf('\n', start);
    const offending = this.#text
      .slice(start, Math.min(end === -1 ? this.#text.length : end, start + SHOWN_LINE_CHARACTERS))
      .replace(/\r$/, '');
    return { file: this.#file, line, column: Math.max(1, position.col), code, message, offending, fix };
  }

  #indexLines(): void {
    this.#lines.addNewLine(0);
    for (let index = this.#text.indexOf('\n'); index !== -1; index = this.#text.indexOf('\n', index + 1)) {
      this.#lines.addNewLine(index + 1);
    }
  }
}

function pathKey(path: Path): string {
  return path.join('\u0000');
}
