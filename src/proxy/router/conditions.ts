// What a match asks of a request beside host and path: method, header fields and query parameters.

import type { MatchConfig, ValueMatch } from '../../model/route-config.ts';
import type { RouteRequest } from './request.ts';

/** A regular expression is never run on a longer text than this (UTF-16 code units). */
export const REGEX_INPUT_LIMIT = 4096;
/** Query parameters looked at in one request. */
export const QUERY_PARAMETER_LIMIT = 256;
/** Length of the query looked at, in characters. */
export const QUERY_LENGTH_LIMIT = 8192;

/**
 * Why a condition cannot be decided. It can be that of the rule which protects something, so that neither answer will
 * do: the request is refused, unless something else rules the rule out.
 */
export type TooLong = 'target-too-long' | 'header-too-large';

/** Whether a condition, a match or a table of them fits a request. */
export type Fit = boolean | TooLong;

export interface ValueCondition {
  readonly name: string;
  readonly exact: string | null;
  /** Anchored at both ends; null together with a null `exact` asks only for presence. */
  readonly regex: RegExp | null;
}

export interface Conditions {
  readonly method: string | null;
  readonly headers: readonly ValueCondition[];
  readonly query: readonly ValueCondition[];
}

/**
 * Compiles a pattern so that it has to fit the whole text. `.` fits line ends too: a query parameter may hold them
 * (`%0A`), which would otherwise go around `.*bad.*`, and be tried from every place of the text.
 */
export const fullRegex = (pattern: string): RegExp => new RegExp(`^(?:${pattern})$`, 's');

/** Whether `regex` fits the whole of `text`; `tooLong` when that has more than REGEX_INPUT_LIMIT. */
export const fitsRegex = (regex: RegExp, text: string, tooLong: TooLong): Fit =>
  text.length > REGEX_INPUT_LIMIT ? tooLong : regex.test(text);

/** Of several entries with equal names only the first counts (HTTPRoute, HTTPHeaderMatch and HTTPQueryParamMatch). */
function compileValues(
  entries: readonly ValueMatch[],
  nameOf: (name: string) => string,
): readonly ValueCondition[] {
  const compiled = new Map<string, ValueCondition>();
  for (const entry of entries) {
    const name = nameOf(entry.name);
    if (compiled.has(name)) continue;
    compiled.set(name, {
      name,
      exact: entry.kind === 'exact' ? entry.value : null,
      regex: entry.kind === 'regex' ? fullRegex(entry.value) : null,
    });
  }
  return [...compiled.values()];
}

export function compileConditions(match: MatchConfig | null): Conditions {
  return {
    method: match?.method ?? null,
    headers: compileValues(match?.headers ?? [], (name) => name.toLowerCase()),
    query: compileValues(match?.query ?? [], (name) => name),
  };
}

/** False when one does not fit, whatever the request is too long for. */
export function fitsConditions(conditions: Conditions, request: RouteRequest): Fit {
  if (conditions.method !== null && conditions.method !== request.method) return false;
  const { headers, query } = conditions;
  let all: Fit = true;
  for (let i = 0; i < headers.length; i++) {
    const condition = headers[i] as ValueCondition;
    const fit = fitsValue(condition, request.header(condition.name), 'header-too-large');
    if (fit === false) return false;
    if (fit !== true) all = fit;
  }
  for (let i = 0; i < query.length; i++) {
    const condition = query[i] as ValueCondition;
    const fit = fitsValue(condition, queryValue(request.query, condition.name), 'target-too-long');
    if (fit === false) return false;
    if (fit !== true && all === true) all = fit;
  }
  return all;
}

function fitsValue(condition: ValueCondition, value: string | null | undefined, tooLong: TooLong): Fit {
  if (value === undefined) return false;
  if (value === null) return tooLong;
  if (condition.exact !== null) return condition.exact === value;
  return condition.regex === null || fitsRegex(condition.regex, value, tooLong);
}

/**
 * The decoded value of the first parameter called `name`, bounded by QUERY_PARAMETER_LIMIT and QUERY_LENGTH_LIMIT: null
 * when it is not among the first and there are more.
 * Decoding is that of forms: `+` is a space; an escape sequence that is not UTF-8 leaves its part undecoded.
 */
export function queryValue(query: string, name: string): string | null | undefined {
  const length = query.length;
  let start = 0;
  for (let count = 0; start < length; count++) {
    if (count === QUERY_PARAMETER_LIMIT) return null;
    let end = query.indexOf('&', start);
    if (end < 0) end = length;
    // A parameter that crosses the limit is not half-read: its value would be another one.
    if (end > QUERY_LENGTH_LIMIT) return null;
    let equals = query.indexOf('=', start);
    if (equals < 0 || equals > end) equals = end;
    if (decodeForm(query.slice(start, equals)) === name) return decodeForm(query.slice(equals + 1, end));
    start = end + 1;
  }
  return undefined;
}

function decodeForm(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    // URIError alone can be thrown here: the client's escapes are malformed, and raw text then matches as it stands.
    return spaced;
  }
}
