// Refuses YAML text that is too large or too deeply nested, before a recursive composer sees it.

import { Lexer } from 'yaml';

/** Bytes of a configuration file (UTF-8). */
export const FILE_LIMIT_BYTES = 4 * 1024 * 1024;
/** Collections inside each other. Portico's own schema needs 11. */
export const DEPTH_LIMIT = 64;
/** Values of a document, counted after aliases are expanded, so that a small file cannot grow without bound. */
export const VALUE_LIMIT = 200_000;

const FLOW_START = new Set(['[', '{']);
const FLOW_END = new Set([']', '}']);
const BLOCK_INDICATOR = new Set(['-', '?']);
/** What the lexer yields between tokens and that is no source text: document, flow-error end and scalar markers. */
const MARKERS = new Set(['\u0002', '\u0018', '\u001f', '\ufeff']);

/**
 * Offset of the first collection that stands deeper than `limit`, or null. Linear in the text: flow collections are
 * counted by their brackets, block collections by the columns at which lines begin and by indicators on one line.
 */
export function tooDeepAt(text: string, limit: number = DEPTH_LIMIT): number | null {
  const columns: number[] = [];
  let flow = 0;
  let indicators = 0;
  let offset = text.startsWith('\ufeff') ? 1 : 0;
  let lineStart = offset;
  let atLineStart = true;
  for (const lexeme of new Lexer().lex(text)) {
    if (MARKERS.has(lexeme)) {
      continue;
    }
    const blank = lexeme.trim() === '';
    if (!blank && atLineStart) {
      const column = offset - lineStart;
      while (columns.length > 0 && columns[columns.length - 1]! >= column) {
        columns.pop();
      }
      columns.push(column);
      indicators = 0;
      atLineStart = false;
    }
    if (FLOW_START.has(lexeme)) {
      flow++;
    } else if (FLOW_END.has(lexeme)) {
      flow = Math.max(0, flow - 1);
    } else if (BLOCK_INDICATOR.has(lexeme)) {
      indicators++;
    }
    if (!blank && flow + columns.length + indicators > limit) {
      return offset;
    }
    offset += lexeme.length;
    const lineFeed = lexeme.lastIndexOf('\n');
    if (lineFeed !== -1) {
      lineStart = offset - (lexeme.length - lineFeed - 1);
      atLineStart = true;
    }
  }
  return null;
}
