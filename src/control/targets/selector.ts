// Owns Kubernetes label selectors: text to requirements, and requirements against labels.

/** One requirement; all of a selector must hold (Kubernetes, "Labels and Selectors"). */
export type Requirement =
  | { readonly kind: 'in' | 'not-in'; readonly key: string; readonly values: readonly string[] }
  | { readonly kind: 'exists' | 'absent'; readonly key: string };

export type ParsedSelector =
  | { readonly ok: true; readonly requirements: readonly Requirement[] }
  /** `at` is the offset of the offending text. */
  | { readonly ok: false; readonly problem: string; readonly at: number };

// A prefix is a DNS subdomain of at most 253 characters, a name and a value at most 63.
const KEY = /^(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const VALUE = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const SET_FORM = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/;
const EQUALITY = /^([^=!\s]+)\s*(==|=|!=)\s*(\S*)$/;

/** Parses equality and set forms: `a=b,c!=d,e in (x,y),f notin (z),!g,h`. Empty text selects everything. Never throws. */
export function parseSelector(text: string): ParsedSelector {
  const requirements: Requirement[] = [];
  if (text.trim() === '') return { ok: true, requirements };
  let at = 0;
  for (const raw of splitTop(text)) {
    const part = raw.trim();
    const parsed = parseRequirement(part);
    if (typeof parsed === 'string') return { ok: false, problem: parsed, at: at + raw.indexOf(part) };
    requirements.push(parsed);
    at += raw.length + 1;
  }
  return { ok: true, requirements };
}

/** As Kubernetes does, `!=` and `notin` also match labels that lack the key. */
export function matchesSelector(
  requirements: readonly Requirement[],
  labels: Readonly<Record<string, string>>,
): boolean {
  return requirements.every((requirement) => holds(requirement, labels));
}

function holds(requirement: Requirement, labels: Readonly<Record<string, string>>): boolean {
  const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
  switch (requirement.kind) {
    case 'in':
      return value !== undefined && requirement.values.includes(value);
    case 'not-in':
      return value === undefined || !requirement.values.includes(value);
    case 'exists':
      return value !== undefined;
    case 'absent':
      return value === undefined;
  }
}

function splitTop(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (char === ',' && depth <= 0) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

function parseRequirement(part: string): Requirement | string {
  if (part === '') return 'empty requirement';
  const set = SET_FORM.exec(part);
  if (set !== null) {
    const [, key = '', operator, list = ''] = set;
    const values = list.split(',').map((value) => value.trim());
    return checked(key, values) ?? { kind: operator === 'in' ? 'in' : 'not-in', key, values };
  }
  const equality = EQUALITY.exec(part);
  if (equality !== null) {
    const [, key = '', operator, value = ''] = equality;
    return checked(key, [value]) ?? { kind: operator === '!=' ? 'not-in' : 'in', key, values: [value] };
  }
  const absent = part.startsWith('!');
  const key = absent ? part.slice(1).trim() : part;
  return checked(key, []) ?? { kind: absent ? 'absent' : 'exists', key };
}

function checked(key: string, values: readonly string[]): string | null {
  if (!KEY.test(key)) return `"${key}" is not a label key`;
  const bad = values.find((value) => !VALUE.test(value));
  return bad === undefined ? null : `"${bad}" is not a label value`;
}
