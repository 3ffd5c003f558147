// A rule's filters as a plan: header edits, and the rewrite of host and path.

import type { FilterConfig, PathRewrite } from '../../model/route-config.ts';
import {
  compileHeaderEdits,
  type HeaderEdits,
  linesNamed,
  requestHeaderFilters,
  responseHeaderFilters,
} from './header-edits.ts';
import { TRANSPORT_SECURITY } from './https.ts';
import { compileTemplate, render, type Template } from './template.ts';

export interface FilterPlan {
  /** Null: the request's fields pass as they are. */
  readonly request: HeaderEdits | null;
  /** Null: the response's fields pass as they are. */
  readonly response: HeaderEdits | null;
  /** Strict-Transport-Security as lines, for answers that say something failed: no other field of theirs is edited. */
  readonly security: Template;
  /** Null: the host that the client named is sent on. */
  readonly host: Template | null;
  /** Null: the path is sent on as it is. */
  readonly path: PathPlan | null;
}

export interface PathPlan {
  readonly kind: PathRewrite['kind'];
  /** A replacement for a prefix is without its trailing slash. */
  readonly value: Template;
}

// Visible ASCII without `?` and `#`, which would end the path (RFC 3986, section 3.3).
const PATH = /^[\x21\x22\x24-\x3e\x40-\x7e]*$/;
const HOST = /^[-A-Za-z0-9._:[\]{}]+$/;

/** Throws RangeError on a value that no message may carry. Of several rewrites the last that sets a part wins. */
export function compileFilters(
  filters: readonly FilterConfig[],
  captureNames: readonly string[],
): FilterPlan {
  let host: Template | null = null;
  let path: PathPlan | null = null;
  for (const filter of filters) {
    if (filter.kind !== 'rewrite') continue;
    if (filter.host !== null) host = compileHost(filter.host, captureNames);
    if (filter.path !== null) path = compilePath(filter.path, captureNames);
  }
  return {
    request: compileHeaderEdits(requestHeaderFilters(filters), captureNames),
    response: compileHeaderEdits(responseHeaderFilters(filters), captureNames),
    security: compileTemplate(linesNamed(responseHeaderFilters(filters), TRANSPORT_SECURITY), captureNames),
    host,
    path,
  };
}

export function compileHost(host: string, captureNames: readonly string[]): Template {
  if (!HOST.test(host)) throw new RangeError(`not a host name: ${JSON.stringify(host)}`);
  return compileTemplate(host, captureNames);
}

export function compilePath(path: PathRewrite, captureNames: readonly string[]): PathPlan {
  const optional = path.kind === 'prefix' && path.value === '';
  if (!optional && !path.value.startsWith('/')) {
    throw new RangeError(`a path begins with "/": ${JSON.stringify(path.value)}`);
  }
  if (!PATH.test(path.value)) throw new RangeError(`not a path: ${JSON.stringify(path.value)}`);
  const value = path.kind === 'prefix' && path.value.endsWith('/') ? path.value.slice(0, -1) : path.value;
  return { kind: path.kind, value: compileTemplate(value, captureNames) };
}

/**
 * The path after the rewrite (HTTPRoute, HTTPPathModifier); the query is not the path's and stays.
 * @param prefixLength `RouteMatch.prefixLength`: a match without a prefix counts as a prefix of the whole path
 */
export function rewritePath(
  plan: PathPlan,
  path: string,
  prefixLength: number,
  captures: readonly string[],
): string {
  // It names the server, not a path below a prefix (RFC 9112, section 3.2.4).
  if (path === '*') return path;
  const value = render(plan.value, captures);
  if (plan.kind === 'full') return value;
  // The matched prefix has no trailing slash, so the rest is empty or begins with one.
  const rewritten = value + path.slice(prefixLength);
  return rewritten === '' ? '/' : rewritten;
}
