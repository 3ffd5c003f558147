// What a match asks of a request beside host and path: method, header fields and query parameters.

import type { MatchConfig, ValueMatch } from '../../model/config.ts';
import type { RouteRequest } from './request.ts';

/** A regular expression is never run on a longer text than this (UTF-16 code units). */
export const REGEX_INPUT_LIMIT = 4096;
/** Query parameters looked at in one request. */
export const QUERY_PARAMETER_LIMIT = 256;
/** Length of the query looked at, in characters. */
export const QUERY_LENGTH_LIMIT = 8192;

/**
 * A condition that a request is too long for. It can be that of the rule which protects something, so that neither answer
 * will do: the request is refused.
 */
export class Undecidable extends Error {
  readonly code: 'target-too-long' | 'header-too-large';

  constructor(code: Undecidable['code']) {
    super(code);
    this.code = code;
  }
}

// Made once: a trace for each would cost more than the rest of the request.
export const TARGET_TOO_LONG = new Undecidable('target-too-long');
const HEADER_TOO_LONG = new Undecidable('header-too-large');

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

/** Compiles a pattern so that it has to fit the whole text. */
export const fullRegex = (pattern: string): RegExp => new RegExp(`^(?:${pattern})$`);

/** True when `regex` fits the whole of `text`. @throws tooLong when that has more than REGEX_INPUT_LIMIT */
export function fitsRegex(regex: RegExp, text: string, tooLong: Undecidable): boolean {
  if (text.length > REGEX_INPUT_LIMIT) throw tooLong;
  return regex.test(text);
}

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

/** @throws Undecidable when one that is reached is asked of too long a text */
export function fitsConditions(conditions: Conditions, request: RouteRequest): boolean {
  if (conditions.method !== null && conditions.method !== request.method) return false;
  const { headers, query } = conditions;
  for (let i = 0; i < headers.length; i++) {
    const condition = headers[i] as ValueCondition;
    if (!fitsValue(condition, request.header(condition.name), HEADER_TOO_LONG)) return false;
  }
  for (let i = 0; i < query.length; i++) {
    const condition = query[i] as ValueCondition;
    if (!fitsValue(condition, queryValue(request.query, condition.name), TARGET_TOO_LONG)) return false;
  }
  return true;
}

function fitsValue(condition: ValueCondition, value: string | undefined, tooLong: Undecidable): boolean {
  if (value === undefined) return false;
  if (condition.exact !== null) return condition.exact === value;
  return condition.regex === null || fitsRegex(condition.regex, value, tooLong);
}

/**
 * The decoded value of the first parameter called `name`, bounded by QUERY_PARAMETER_LIMIT and QUERY_LENGTH_LIMIT: throws
 * Undecidable when it is not among the first and there are more.
 * Decoding is that of forms: `+` is a space; an escape sequence that is not UTF-8 leaves its part undecoded.
 */
export function queryValue(query: string, name: string): string | undefined {
  const length = query.length;
  let start = 0;
  for (let count = 0; start < length; count++) {
    if (count === QUERY_PARAMETER_LIMIT) throw TARGET_TOO_LONG;
    let end = query.indexOf('&', start);
    if (end < 0) end = length;
    // A parameter that crosses the limit is not half-read: its value would be another one.
    if (end > QUERY_LENGTH_LIMIT) throw TARGET_TOO_LONG;
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
