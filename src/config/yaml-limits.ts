// Refuses YAML text that is too large or too deeply nested, before a recursive composer sees it.

import { Lexer } from 'yaml';

/** Bytes of a configuration file (UTF-8). */
export const FILE_LIMIT_BYTES = 4 * 1024 * 1024;
/** Collections inside each other. Portico's own schema needs 11. */
const DEPTH_LIMIT = 64;
/** Pieces that the lexer cuts the text into; a pair of key and value on a line of its own takes six. */
const LEXEME_LIMIT = 1_000_000;
/** Values of a document, counted after aliases are expanded, so that a small file cannot grow without bound. */
export const VALUE_LIMIT = 150_000;

const FLOW_START = new Set(['[', '{']);
const FLOW_END = new Set([']', '}']);
const BLOCK_INDICATOR = new Set(['-', '?']);
/** What the lexer yields between tokens and that is no source text: document, flow-error end and scalar markers. */
const MARKERS = new Set(['\u0002', '\u0018', '\u001f', '\ufeff']);

export interface Excess {
  readonly offset: number;
  readonly code: string;
  readonly message: string;
  readonly fix: string;
}

/**
 * Where the text becomes too large or too deep, or null. Linear in the text: flow collections are counted by their
 * brackets, block collections by the columns at which lines begin and by the indicators on one line.
 */
export function scanText(text: string): Excess | null {
  const depth = new Depth();
  let lexemes = 0;
  let offset = text.startsWith('\ufeff') ? 1 : 0;
  for (const lexeme of new Lexer().lex(text)) {
    if (MARKERS.has(lexeme)) {
      continue;
    }
    lexemes++;
    if (lexemes > LEXEME_LIMIT) {
      const message = 'the text up to here holds more values than any configuration needs';
      return {
        offset,
        code: 'too-many-values',
        message,
        fix: 'Remove generated parts, or split the configuration.',
      };
    }
    if (depth.add(lexeme, offset) > DEPTH_LIMIT) {
      const message = `more than ${DEPTH_LIMIT} collections are nested here`;
      const fix = 'Nothing in a configuration is that deep: check the indentation and the brackets.';
      return { offset, code: 'too-deep', message, fix };
    }
    offset += lexeme.length;
  }
  return null;
}

/** How many collections are open, at most, as the lexemes go by. */
class Depth {
  /** Columns at which the open block collections began. */
  readonly #columns: number[] = [];
  #flow = 0;
  #indicators = 0;
  #lineStart = 0;
  #atLineStart = true;

  add(lexeme: string, offset: number): number {
    const lineFeed = lexeme.lastIndexOf('\n');
    const isBlank = lexeme.trim() === '';
    if (!isBlank && this.#atLineStart) {
      this.#beginLine(offset - this.#lineStart);
    }
    if (FLOW_START.has(lexeme)) {
      this.#flow++;
    } else if (FLOW_END.has(lexeme)) {
      this.#flow = Math.max(0, this.#flow - 1);
    } else if (BLOCK_INDICATOR.has(lexeme)) {
      this.#indicators++;
    }
    if (lineFeed !== -1) {
      this.#lineStart = offset + lineFeed + 1;
      this.#atLineStart = true;
    }
    return isBlank ? 0 : this.#flow + this.#columns.length + this.#indicators;
  }

  #beginLine(column: number): void {
    while (this.#columns.length > 0 && this.#columns[this.#columns.length - 1]! >= column) {
      this.#columns.pop();
    }
    this.#columns.push(column);
    this.#indicators = 0;
    this.#atLineStart = false;
  }
}
