// Bounded label values and the text form of a label set.

/** Methods that keep their name as a label; every other one is `OTHER`, since clients can invent them without end. */
export const KNOWN_METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'CONNECT',
  'TRACE',
] as const;

const METHOD_INDEX: ReadonlyMap<string, number> = new Map(KNOWN_METHODS.map((name, index) => [name, index]));

/** Position in `KNOWN_METHODS`, or its length for a method that is not known. */
export function methodIndex(method: string): number {
  return METHOD_INDEX.get(method) ?? KNOWN_METHODS.length;
}

/** The label value of a method: itself when known, otherwise `OTHER`. Methods are case-sensitive (RFC 9110, section 9.1). */
export function methodLabel(method: string): string {
  return METHOD_INDEX.has(method) ? method : 'OTHER';
}

/** The label value of a status: three digits, or `other` for a number outside 100 to 599. */
export function codeLabel(status: number): string {
  return Number.isInteger(status) && status >= 100 && status <= 599 ? String(status) : 'other';
}

export const CODE_CLASSES = ['other', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** Position in `CODE_CLASSES`: 1 to 5 for 100 to 599, otherwise 0. */
export function codeClassIndex(status: number): number {
  return status >= 100 && status <= 599 ? Math.floor(status / 100) : 0;
}

const VALUE_SPECIAL = /[\\"\n]/g;
const VALUE_ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' };

/** A label value as the text exposition format 0.0.4 wants it. */
export function escapeLabelValue(value: string): string {
  return value.replace(VALUE_SPECIAL, (character) => VALUE_ESCAPES[character] ?? character);
}

/** `a="x",b="y"` in the order of `names`, so that one label set has one text. */
export function labelText(names: readonly string[], labels: Readonly<Record<string, string>>): string {
  return names.map((name) => `${name}="${escapeLabelValue(labels[name] ?? '')}"`).join(',');
}
