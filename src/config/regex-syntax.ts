// Parses the regular expressions that a configuration may use: a small subset of JavaScript's.

import { type CharacterSet, filled, only, shorthand, single } from './character-set.ts';
import { Refusal } from './refusal.ts';

export type RegexNode =
  | { readonly kind: 'set'; readonly set: CharacterSet; readonly min: number; readonly max: number }
  | {
      readonly kind: 'group';
      readonly alternatives: readonly (readonly RegexNode[])[];
      readonly min: number;
      readonly max: number;
    };

/** Largest bound of a counted repeat. */
export const REPEAT_LIMIT = 256;
const NESTING_LIMIT = 16;
const CODE = 'regex-unsafe';

/** The alternatives of a whole pattern, or why it is outside the subset. Anchors at its ends are dropped. */
export function parseRegex(pattern: string): readonly (readonly RegexNode[])[] | Refusal {
  const parser = new RegexParser(pattern);
  try {
    return parser.parse();
  } catch (error) {
    // The parser throws its own refusals to leave the recursion; anything else is a bug and goes on.
    if (error instanceof Refusal) {
      return error;
    }
    throw error;
  }
}

class RegexParser {
  readonly #pattern: string;
  #at = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  parse(): readonly (readonly RegexNode[])[] {
    if (this.#peek() === '^') {
      this.#at++;
    }
    const alternatives = this.#alternatives(0);
    if (this.#at < this.#pattern.length) {
      throw new Refusal(
        CODE,
        `unmatched ")" at character ${this.#at + 1} of the expression`,
        'Remove it, or write \\) for the character.',
      );
    }
    return alternatives;
  }

  #peek(): string | undefined {
    return this.#pattern[this.#at];
  }

  #alternatives(depth: number): RegexNode[][] {
    if (depth > NESTING_LIMIT) {
      throw new Refusal(
        CODE,
        `groups are nested more than ${NESTING_LIMIT} deep`,
        'Simplify the expression.',
      );
    }
    const alternatives: RegexNode[][] = [[]];
    for (;;) {
      const next = this.#peek();
      if (next === undefined || next === ')') {
        return alternatives;
      }
      if (next === '|') {
        this.#at++;
        alternatives.push([]);
        continue;
      }
      if (next === '$' && this.#at === this.#pattern.length - 1) {
        this.#at++;
        continue;
      }
      alternatives[alternatives.length - 1]!.push(this.#repeated(depth));
    }
  }

  #repeated(depth: number): RegexNode {
    const atom = this.#atom(depth);
    const [min, max] = this.#quantifier();
    if (atom instanceof Uint8Array) {
      return { kind: 'set', set: atom, min, max };
    }
    return { kind: 'group', alternatives: atom, min, max };
  }

  #quantifier(): readonly [number, number] {
    const next = this.#peek();
    let bounds: readonly [number, number] | null = null;
    if (next === '*') {
      bounds = [0, Number.POSITIVE_INFINITY];
      this.#at++;
    } else if (next === '+') {
      bounds = [1, Number.POSITIVE_INFINITY];
      this.#at++;
    } else if (next === '?') {
      bounds = [0, 1];
      this.#at++;
    } else if (next === '{') {
      bounds = this.#counted();
    }
    if (bounds === null) {
      return [1, 1];
    }
    if (this.#peek() === '?') {
      this.#at++;
    }
    const after = this.#peek();
    if (after === '*' || after === '+' || after === '?' || after === '{') {
      throw new Refusal(
        CODE,
        `a quantifier follows a quantifier at character ${this.#at + 1}`,
        'Keep one of them.',
      );
    }
    return bounds;
  }

  #counted(): readonly [number, number] {
    const found = /^\{(\d{1,6})(,(\d{0,6}))?\}/.exec(this.#pattern.slice(this.#at, this.#at + 16));
    if (found === null) {
      throw new Refusal(
        CODE,
        `"{" at character ${this.#at + 1} begins no repeat`,
        'Write \\{ for the character, or {2} or {2,5} for a repeat.',
      );
    }
    this.#at += found[0].length;
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === '' ? Number.POSITIVE_INFINITY : Number(found[3]);
    if (min > REPEAT_LIMIT || (max !== Number.POSITIVE_INFINITY && max > REPEAT_LIMIT)) {
      throw new Refusal(
        'regex-repeat',
        `the repeat ${found[0]} is larger than ${REPEAT_LIMIT}`,
        `Use at most {${REPEAT_LIMIT}}, or * or +.`,
      );
    }
    if (max < min) {
      throw new Refusal(
        CODE,
        `the repeat ${found[0]} ends before it begins`,
        'Put the smaller number first.',
      );
    }
    return [min, max];
  }

  #atom(depth: number): CharacterSet | RegexNode[][] {
    const character = this.#pattern[this.#at]!;
    this.#at++;
    switch (character) {
      case '(':
        return this.#group(depth);
      case '[':
        return this.#class();
      case '.':
        return filled(1);
      case '\\':
        return this.#escape();
      case '^':
      case '$':
        throw new Refusal(
          CODE,
          `"${character}" stands inside the expression`,
          'An expression always matches the whole value: remove it.',
        );
      case '*':
      case '+':
      case '?':
      case '{':
        throw new Refusal(
          CODE,
          `"${character}" at character ${this.#at} repeats nothing`,
          `Write \\${character} for the character itself.`,
        );
      default:
        return single(this.#plain(character));
    }
  }

  #plain(character: string): number {
    const code = character.charCodeAt(0);
    if (code < 0x20 || code > 0x7e) {
      throw new Refusal(
        CODE,
        'the expression holds a character outside printable ASCII',
        'Write its percent-encoded form, as it stands in a request.',
      );
    }
    return code;
  }

  #group(depth: number): RegexNode[][] {
    if (this.#peek() === '?') {
      if (this.#pattern.startsWith('?:', this.#at)) {
        this.#at += 2;
      } else if (/^\?<?[=!]/.test(this.#pattern.slice(this.#at, this.#at + 3))) {
        throw new Refusal(
          'regex-look-around',
          'look-ahead and look-behind are not allowed',
          'Use several matches or rules instead.',
        );
      } else {
        throw new Refusal(CODE, 'named groups and group flags are not allowed', 'Write (?:...) or (...).');
      }
    }
    const alternatives = this.#alternatives(depth + 1);
    if (this.#peek() !== ')') {
      throw new Refusal(CODE, 'a group is not closed', 'Add the missing ")".');
    }
    this.#at++;
    return alternatives;
  }

  #class(): CharacterSet {
    const negated = this.#peek() === '^';
    if (negated) {
      this.#at++;
    }
    const set = filled(0);
    let previous: number | null = null;
    for (;;) {
      const character = this.#peek();
      if (character === undefined) {
        throw new Refusal(CODE, 'a character class is not closed', 'Add the missing "]".');
      }
      this.#at++;
      if (character === ']') {
        break;
      }
      const follows = this.#peek();
      if (character === '-' && previous !== null && follows !== undefined && follows !== ']') {
        this.#at++;
        const upper = follows === '\\' ? only(this.#escape()) : this.#plain(follows);
        if (upper === null || upper < previous) {
          throw new Refusal(
            CODE,
            'a character range ends before it begins',
            'Put the lower character first, or write \\- for a hyphen.',
          );
        }
        set.fill(1, previous, upper + 1);
        previous = null;
        continue;
      }
      const members: CharacterSet = character === '\\' ? this.#escape() : single(this.#plain(character));
      previous = only(members);
      for (let code = 0; code < 256; code++) {
        set[code]! |= members[code]!;
      }
    }
    return negated ? set.map((member) => 1 - member) : set;
  }

  #escape(): CharacterSet {
    const character = this.#pattern[this.#at];
    this.#at++;
    switch (character) {
      case 'd':
      case 'D':
        return shorthand(/\d/, character === 'D');
      case 'w':
      case 'W':
        return shorthand(/\w/, character === 'W');
      case 's':
      case 'S':
        return shorthand(/\s/, character === 'S');
      default:
        break;
    }
    if (character !== undefined && /[1-9k]/.test(character)) {
      throw new Refusal(
        'regex-back-reference',
        'back-references are not allowed',
        'Write the alternatives out.',
      );
    }
    if (character === undefined || /[A-Za-z0-9]/.test(character) || character < ' ' || character > '~') {
      throw new Refusal(
        CODE,
        `the escape \\${character ?? ''} is not allowed`,
        'Use \\d \\w \\s (or \\D \\W \\S), or escape punctuation only.',
      );
    }
    return single(character.charCodeAt(0));
  }
}
