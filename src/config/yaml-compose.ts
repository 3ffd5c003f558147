// Composes YAML text to a document node, stopping early when the text is mostly faults.

import { Composer, type Document, type ErrorCode, type LineCounter, Parser } from 'yaml';

/** Something wrong with the syntax, at an offset into the text. */
export interface SyntaxFault {
  readonly offset: number;
  readonly code: ErrorCode;
  readonly message: string;
}

export interface Composed {
  readonly contents: Document['contents'];
  readonly faults: readonly SyntaxFault[];
}

/** Each fault costs an error object with its stack, so a hostile file of four million brackets must not get as many. */
const FAULT_LIMIT = 200;

class TooManyFaults extends Error {}

/** An offset, a range or a token: the library keeps this type to itself. */
type FaultPlace = number | [number, ...unknown[]] | { readonly offset: number };

function offsetOf(place: FaultPlace): number {
  if (typeof place === 'number') {
    return place;
  }
  return Array.isArray(place) ? place[0] : place.offset;
}

/** Reads one document of YAML 1.2 with the core schema, without merge keys. Line starts go to `lines`. */
export function composeYaml(text: string, lines: LineCounter): Composed {
  const faults: SyntaxFault[] = [];
  const add = (offset: number, code: ErrorCode, message: string): void => {
    faults.push({ offset, code, message });
    if (faults.length >= FAULT_LIMIT) {
      throw new TooManyFaults();
    }
  };
  const composer = new Composer({
    // Keys are compared while values are read: the composer would compare every key with every other.
    uniqueKeys: false,
    version: '1.2',
    schema: 'core',
    merge: false,
  });
  // Its errors are kept in a list without a bound, so they are caught on their way there.
  composer['onError'] = (place: FaultPlace, code: ErrorCode, message: string) => {
    add(offsetOf(place), code, message);
  };
  let contents: Document['contents'] = null;
  let documents = 0;
  try {
    for (const document of composer.compose(tokens(text, lines, add), true, text.length)) {
      documents++;
      if (documents === 1) {
        contents = document.contents;
      } else {
        add(document.range[0], 'MULTIPLE_DOCS', 'The file holds more than one document');
        break;
      }
    }
  } catch (error) {
    if (!(error instanceof TooManyFaults)) {
      throw error;
    }
  }
  return { contents, faults };
}

function* tokens(
  text: string,
  lines: LineCounter,
  add: (offset: number, code: ErrorCode, message: string) => void,
) {
  for (const token of new Parser(lines.addNewLine).parse(text)) {
    if (token.type === 'error') {
      add(token.offset, 'UNEXPECTED_TOKEN', token.message);
    } else {
      yield token;
    }
  }
}
