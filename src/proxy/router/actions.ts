// A rule's action compiled: pools to choose from, a redirect to build, or an answer that is ready.

import type { FilterConfig } from '../../model/route-config.ts';
import type { SnapshotAction } from '../../model/snapshot.ts';
import { compileHost, compilePath, type PathPlan, rewritePath } from './filters.ts';
import { checkField, compileHeaderEdits, editFields, responseHeaderFilters } from './header-edits.ts';
import type { RouteRequest } from './request.ts';
import { compileTemplate, render, type Template } from './template.ts';

export type CompiledAction =
  | { readonly kind: 'pools'; readonly weighted: WeightedPools }
  | { readonly kind: 'service'; readonly service: ServicePools }
  | CompiledRedirect
  | CompiledRespond;

export interface WeightedPools {
  /** Indices into the snapshot's pools; those of weight 0 are left out. */
  readonly pools: readonly number[];
  /** Running sums of the weights, as shares of their total: the last is 1. */
  readonly upTo: readonly number[];
}

export interface ServicePools {
  readonly service: Template;
  /** A Map and not the snapshot's record: a client chooses the key, and `constructor` must name no environment. */
  readonly pools: ReadonlyMap<string, number>;
}

export interface CompiledRedirect {
  readonly kind: 'redirect';
  readonly status: number;
  readonly scheme: string | null;
  readonly host: Template | null;
  readonly port: number | null;
  readonly path: PathPlan | null;
}

export interface CompiledRespond {
  readonly kind: 'respond';
  readonly status: number;
  /** Lines of fields, Content-Length among them, each ending in CRLF. */
  readonly fields: Template;
  readonly body: Buffer;
  /** Lower-case names that are in `fields`, or that a filter has taken out. */
  readonly ruled: ReadonlySet<string>;
}

/** Throws RangeError on a value that no message may carry. The rule's response filters are folded into a direct response. */
export function compileAction(
  action: SnapshotAction,
  filters: readonly FilterConfig[],
  captureNames: readonly string[],
): CompiledAction {
  if (action.kind === 'pools') return { kind: 'pools', weighted: compileWeighted(action.pools) };
  if (action.kind === 'service') {
    const service = compileTemplate(action.service, captureNames);
    return { kind: 'service', service: { service, pools: new Map(Object.entries(action.pools)) } };
  }
  if (action.kind === 'respond') return compileRespond(action, filters, captureNames);
  return {
    kind: 'redirect',
    status: action.status,
    scheme: action.scheme?.toLowerCase() ?? null,
    host: action.host === null ? null : compileHost(action.host, captureNames),
    port: action.port,
    path: action.path === null ? null : compilePath(action.path, captureNames),
  };
}

/** Pools of weight 0 take no part. */
export function compileWeighted(
  pools: readonly { readonly pool: number; readonly weight: number }[],
): WeightedPools {
  const taking = pools.filter(({ weight }) => weight > 0);
  const total = taking.reduce((sum, { weight }) => sum + weight, 0);
  let sum = 0;
  const upTo = taking.map(({ weight }) => {
    sum += weight;
    return sum / total;
  });
  return { pools: taking.map(({ pool }) => pool), upTo };
}

function compileRespond(
  action: Extract<SnapshotAction, { kind: 'respond' }>,
  filters: readonly FilterConfig[],
  captureNames: readonly string[],
): CompiledRespond {
  const { status } = action;
  if (!(status >= 200 && status <= 599)) throw new RangeError(`not a status for a response: ${status}`);
  // No body and no Content-Length in these (RFC 9110, sections 8.6, 15.3.5 and 15.4.5).
  const bodiless = status === 204 || status === 304;
  const body = Buffer.from(bodiless ? '' : action.body, 'utf8');
  const typed = action.headers.some(({ name }) => name.toLowerCase() === 'content-type');
  const type = { name: 'Content-Type', value: 'text/plain; charset=utf-8' };
  const fields = editFields(
    typed || body.length === 0 ? action.headers : [type, ...action.headers],
    responseHeaderFilters(filters),
  );
  const ruled = new Set(compileHeaderEdits(responseHeaderFilters(filters), captureNames)?.drop);
  let lines = '';
  for (const { name, value } of fields) {
    checkField(name, value);
    ruled.add(name.toLowerCase());
    lines += `${name}: ${value}\r\n`;
  }
  if (!bodiless) lines += `Content-Length: ${body.length}\r\n`;
  return { kind: 'respond', status, fields: compileTemplate(lines, captureNames), body, ruled };
}

/** How the request reached the listener: what a redirect keeps unless it says otherwise. */
export interface RedirectOrigin {
  readonly scheme: 'http' | 'https';
  /** The listener's port. */
  readonly port: number;
}

/**
 * The Location of a redirect (HTTPRoute, HTTPRequestRedirectFilter): what the action leaves out comes from the
 * request; the port of a scheme that is set is that scheme's own, and otherwise the listener's; the usual port of
 * the scheme is not written. Escapes and the query stay as the client sent them; a byte that may not stand in a
 * URI is escaped, so that no request can end the header line.
 */
export function locationOf(
  redirect: CompiledRedirect,
  request: RouteRequest,
  origin: RedirectOrigin,
  prefixLength: number,
  captures: readonly string[],
): string {
  const scheme = redirect.scheme ?? origin.scheme;
  const usual = scheme === 'https' ? 443 : 80;
  const port = redirect.port ?? (redirect.scheme === null ? origin.port : usual);
  const host = redirect.host === null ? request.host : render(redirect.host, captures);
  // `*` behind a host would be part of its name.
  const asked = request.path === '*' ? '/' : request.path;
  const path = redirect.path === null ? asked : rewritePath(redirect.path, asked, prefixLength, captures);
  const query = request.query === '' ? '' : `?${request.query}`;
  return escapeUri(`${scheme}://${host}${port === usual ? '' : `:${port}`}${path}${query}`);
}

// Everything but the characters of RFC 3986, section 2, and `%`.
const OUTSIDE_URI = /[^-A-Za-z0-9._~:/?#[\]@!$&'()*+,;=%]/g;

function escapeUri(text: string): string {
  // Heads are read as latin1, so a character is one byte; a wider one can only come from a caller's mistake.
  return text.replace(OUTSIDE_URI, (character) => {
    const bytes = Buffer.from(character, character.charCodeAt(0) < 0x100 ? 'latin1' : 'utf8');
    return `%${bytes
      .toString('hex')
      .toUpperCase()
      .replace(/(..)(?=.)/g, '$1%')}`;
  });
}
