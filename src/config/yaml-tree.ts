// YAML text as a tree of plain values, with the place of each key and value in the text.

import { isMap, isSeq, LineCounter, type Node } from 'yaml';
import type { Environment } from './environment.ts';
import type { Finding, Path, Problem } from './problem.ts';
import { composeYaml, type SyntaxFault } from './yaml-compose.ts';
import { sentence, syntaxFix } from './yaml-faults.ts';
import { FILE_LIMIT_BYTES, scanText } from './yaml-limits.ts';
import { isEmpty, startOf } from './yaml-nodes.ts';
import { type Plain, YamlValues } from './yaml-values.ts';

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
  readonly #lines = new LineCounter();
  #root: Node | null = null;
  readonly #values: YamlValues;

  constructor(text: string, file: string, env: Environment) {
    this.#text = text;
    this.#file = file;
    this.#values = new YamlValues(env, {
      report: (offset, code, message, fix) => this.#report(offset, code, message, fix),
      lineOf: (offset) => this.#lines.linePos(offset).line,
    });
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
    this.value = this.#values.read(contents);
  }

  isSubstituted(path: Path): boolean {
    return this.#values.isSubstituted(path);
  }

  isUnreadable(path: Path): boolean {
    return this.#values.isUnreadable(path);
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

  #offsetOf(path: Path, at: 'key' | 'value'): number {
    let node: unknown = this.#root;
    let offset = startOf(node) ?? 0;
    for (const [depth, segment] of path.entries()) {
      const target = this.#values.meant(node);
      if (isMap(target)) {
        const pair = this.#values.pairsOf(target).get(String(segment));
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
