// Checks the syntax of a Kubernetes label selector; applying it is discovery's part.

import { quote, Refusal } from './refusal.ts';

const NAME = '[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?';
const PREFIX = '[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?';
const KEY = `(?:${PREFIX}/)?${NAME}`;
const VALUE = `(?:${NAME})?`;
const REQUIREMENT = new RegExp(
  `^\\s*(?:!\\s*${KEY}|${KEY}(?:\\s*(?:=|==|!=)\\s*${VALUE}|\\s+(?:in|notin)\\s*\\(\\s*${VALUE}(?:\\s*,\\s*${VALUE})*\\s*\\))?)\\s*$`,
);

/**
 * The selector itself when its syntax holds: requirements `key`, `!key`, `key=value`, `key==value`, `key!=value`,
 * `key in (a,b)`, `key notin (a,b)`, separated by commas (Kubernetes, "Labels and Selectors").
 */
export function parseLabelSelector(written: string): string | Refusal {
  const wrong = split(written).find((requirement) => !REQUIREMENT.test(requirement));
  if (wrong === undefined) {
    return written.trim();
  }
  return new Refusal(
    'selector-invalid',
    `${quote(wrong.trim())} is not a requirement of a label selector`,
    'Write key, !key, key=value, key!=value, key in (a,b) or key notin (a,b), separated by commas.',
  );
}

/** Splits at the commas outside parentheses. */
function split(selector: string): string[] {
  const parts = [''];
  let depth = 0;
  for (const character of selector) {
    if (character === ',' && depth === 0) {
      parts.push('');
      continue;
    }
    depth += character === '(' ? 1 : character === ')' ? -1 : 0;
    parts[parts.length - 1] += character;
  }
  return parts;
}
