// Accepts only regular expressions whose matching time is linear in the value, whatever a client sends.

import type { CharacterSet } from './character-set.ts';
import { quote, Refusal } from './refusal.ts';
import { parseRegex, type RegexNode } from './regex-syntax.ts';

/** Characters of a pattern. */
export const REGEX_LIMIT = 512;
/**
 * Ways in which a bounded part of the pattern may be tried over, multiplied; bounds the constant, not the order. Where
 * each character of the value may begin such a try, each way counts for the characters that it reads.
 */
const CHOICE_LIMIT = 4096;
/** Repeats with at most this many choices count as bounded. */
const BOUNDED_CHOICES = 16;

/**
 * Why `pattern` may not be used, or null when it may.
 *
 * JavaScript's engine backtracks. It goes back over a repeat only where what the repeat accepts may also begin what
 * follows; such a repeat is ambiguous. The time stays linear when at most one unbounded repeat is ambiguous and no
 * unbounded repeat comes after it (but for a final `.*` or `.+`, which cannot fail, for `.` fits line ends too),
 * when nothing that repeats holds a quantifier or an ambiguous choice, and when the number of bounded choices, and the
 * length of what each of them reads, are small. Patterns are matched against the whole value.
 */
export function refuseRegex(pattern: string): Refusal | null {
  if (pattern.length > REGEX_LIMIT) {
    return new Refusal(
      'regex-too-long',
      `the expression is longer than ${REGEX_LIMIT} characters`,
      'Split it into several matches.',
    );
  }
  const alternatives = parseRegex(pattern);
  if (alternatives instanceof Refusal) {
    return alternatives;
  }
  const refusal = new Ambiguity().check(alternatives);
  if (refusal !== null) {
    return refusal;
  }
  try {
    new RegExp(anchored(pattern), 's');
    return null;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return new Refusal(
      'regex-syntax',
      `${quote(pattern)} is not a regular expression: ${reason}`,
      'Correct the expression.',
    );
  }
}

/** The source of a `RegExp` that matches whole values only; its flag is `s`. */
export function anchored(pattern: string): string {
  return `^(?:${pattern})$`;
}

/** Counts, in the order of the text, what makes a pattern go back. */
class Ambiguity {
  #choices = 1;
  #ambiguousUnbounded = false;

  check(alternatives: readonly (readonly RegexNode[])[]): Refusal | null {
    const end: CharacterSet = new Uint8Array(256);
    const refusal = this.#alternatives(alternatives, end, true);
    if (refusal !== null) return refusal;
    const reads = this.#ambiguousUnbounded ? longest(alternatives) : 1;
    return this.#choices * reads > CHOICE_LIMIT ? tooAmbiguous() : null;
  }

  /** @param follow what may stand after this part. @param last whether this part ends the pattern. */
  #alternatives(
    parts: readonly (readonly RegexNode[])[],
    follow: CharacterSet,
    last: boolean,
  ): Refusal | null {
    if (overlapping(parts)) {
      this.#choices *= parts.length;
    }
    for (const part of parts) {
      const refusal = this.#sequence(part, follow, last);
      if (refusal !== null) {
        return refusal;
      }
    }
    return this.#choices > CHOICE_LIMIT ? tooAmbiguous() : null;
  }

  #sequence(nodes: readonly RegexNode[], follow: CharacterSet, last: boolean): Refusal | null {
    for (const [index, node] of nodes.entries()) {
      const final = last && index === nodes.length - 1;
      const after = firstOf(nodes.slice(index + 1), follow);
      const refusal = this.#node(node, after, final);
      if (refusal !== null) {
        return refusal;
      }
    }
    return null;
  }

  #node(node: RegexNode, after: CharacterSet, final: boolean): Refusal | null {
    if (node.kind === 'group') {
      const refusal =
        node.max > 1
          ? refuseRepeated(node.alternatives)
          : this.#alternatives(node.alternatives, after, final);
      if (refusal !== null) {
        return refusal;
      }
    }
    if (node.min === node.max) {
      return null;
    }
    const unbounded = node.max - node.min > BOUNDED_CHOICES;
    if (unbounded && this.#ambiguousUnbounded && !(final && acceptsAll(node))) {
      return tooAmbiguous();
    }
    if (intersects(firstOf([{ ...node, min: 1 }], new Uint8Array(256)), after)) {
      if (unbounded) {
        this.#ambiguousUnbounded = true;
      } else {
        this.#choices *= node.max - node.min + 1;
      }
    }
    return this.#choices > CHOICE_LIMIT ? tooAmbiguous() : null;
  }
}

/** What is tried over and over must itself leave no choice. */
function refuseRepeated(alternatives: readonly (readonly RegexNode[])[]): Refusal | null {
  const fix = 'Write the inner part without a quantifier, for example [^/]* in place of (?:[a-z]+/?)*.';
  if (overlapping(alternatives)) {
    return new Refusal('regex-nested', 'a repeated group holds alternatives that begin alike', fix);
  }
  for (const node of alternatives.flat()) {
    if (node.min !== 1 || node.max !== 1) {
      return new Refusal('regex-nested', 'a repeated group holds a quantifier', fix);
    }
    const inner = node.kind === 'group' ? refuseRepeated(node.alternatives) : null;
    if (inner !== null) {
      return inner;
    }
  }
  return null;
}

function tooAmbiguous(): Refusal {
  return new Refusal(
    'regex-ambiguous',
    'matching this expression could take more than linear time',
    'Let no two repeats accept the same characters next to each other: [^/]* in place of .*, and one .* at most.',
  );
}

function overlapping(parts: readonly (readonly RegexNode[])[]): boolean {
  const seen = new Uint8Array(256);
  for (const part of parts) {
    const first = firstOf(part, new Uint8Array(256));
    if (intersects(seen, first) || (parts.length > 1 && nullable(part))) {
      return true;
    }
    merge(seen, first);
  }
  return false;
}

/** Characters that may begin the sequence, or what follows where the sequence may be empty. */
function firstOf(nodes: readonly RegexNode[], follow: CharacterSet): CharacterSet {
  const first = new Uint8Array(256);
  for (const node of nodes) {
    if (node.kind === 'set') {
      merge(first, node.set);
    } else {
      for (const alternative of node.alternatives) {
        merge(first, firstOf(alternative, new Uint8Array(256)));
      }
    }
    if (!nullable([node])) {
      return first;
    }
  }
  merge(first, follow);
  return first;
}

function nullable(nodes: readonly RegexNode[]): boolean {
  return nodes.every((node) => node.min === 0 || (node.kind === 'group' && node.alternatives.some(nullable)));
}

/** Characters that are read at most, those of an unbounded repeat but for its least left out. */
function longest(alternatives: readonly (readonly RegexNode[])[]): number {
  const lengthOf = (node: RegexNode): number => {
    const times = node.max === Number.POSITIVE_INFINITY ? Math.max(1, node.min) : node.max;
    return times * (node.kind === 'set' ? 1 : longest(node.alternatives));
  };
  const lengths = alternatives.map((nodes) => nodes.reduce((sum, node) => sum + lengthOf(node), 0));
  return Math.max(...lengths);
}

function acceptsAll(node: RegexNode): boolean {
  return (
    node.kind === 'set' && node.min <= 1 && node.max === Number.POSITIVE_INFINITY && !node.set.includes(0)
  );
}

function intersects(a: CharacterSet, b: CharacterSet): boolean {
  return a.some((member, code) => member === 1 && b[code] === 1);
}

function merge(into: Uint8Array, from: CharacterSet): void {
  for (let code = 0; code < 256; code++) {
    into[code]! |= from[code]!;
  }
}
