// Schema of a rule's filters and of the paths and header lists they share with actions.

import { z } from 'zod';
import { CONNECTION_FIELDS } from '../../model/connection-fields.ts';
import type { FilterConfig, HeaderValue, PathRewrite } from '../../model/route-config.ts';
import { Refusal } from '../refusal.ts';
import { parseHeaderName, parseHeaderValue } from '../values.ts';
import { exactlyOne, headerName, hostTemplate, refuse, requestPath } from './scalars.ts';

/** A map of header names to values, as a list with lower-case names. */
export function headerMap() {
  return z
    .record(z.string(), z.string().max(4096))
    .superRefine((written, ctx) => {
      const seen = new Set<string>();
      for (const [key, value] of Object.entries(written)) {
        const name = parseHeaderName(key);
        const fieldValue = parseHeaderValue(value);
        for (const refusal of [name, fieldValue]) {
          if (refusal instanceof Refusal) {
            refuse(ctx, refusal, [key]);
          }
        }
        if (typeof name === 'string') {
          refuseFraming(name, ctx, [key]);
          if (seen.has(name)) {
            refuse(
              ctx,
              new Refusal(
                'duplicate',
                `the header ${name} stands twice`,
                'Header names ignore case: keep one.',
              ),
              [key],
            );
          }
          seen.add(name);
        }
      }
    })
    .transform((written): readonly HeaderValue[] =>
      Object.entries(written).map(([key, value]) => ({ name: key.toLowerCase(), value })),
    );
}

/** `full` replaces the whole path, `prefix` the part that a prefix match matched. */
export const pathRewrite = z
  .strictObject({
    full: requestPath().optional().describe('The whole new path; may hold `{capture}`.'),
    prefix: requestPath()
      .optional()
      .describe(
        'What takes the place of the matched prefix; every match of the rule must then be by prefix.',
      ),
  })
  .superRefine((written, ctx) => exactlyOne(written, ['full', 'prefix'], 'a path rewrite', ctx))
  .transform(
    (written): PathRewrite =>
      written.full === undefined
        ? { kind: 'prefix', value: written.prefix ?? '/' }
        : { kind: 'full', value: written.full },
  );

const headerFilter = z.strictObject({
  set: headerMap()
    .prefault({})
    .describe(
      'Headers to set, in place of those of that name: a map of names to values, which may hold `{capture}`.',
    ),
  add: headerMap()
    .prefault({})
    .describe(
      'Headers to add beside those of that name: a map of names to values, which may hold `{capture}`.',
    ),
  remove: z
    .array(headerName().superRefine((name, ctx) => refuseFraming(name, ctx, [])))
    .max(100)
    .prefault([])
    .describe('Names of headers to remove.'),
});

const rewrite = z
  .strictObject({
    host: hostTemplate().optional().describe('New `Host` of the request; may hold `{capture}`.'),
    path: pathRewrite.optional().describe('New path of the request; the query stays.'),
  })
  .superRefine((written, ctx) => {
    if (written.host === undefined && written.path === undefined) {
      refuse(ctx, new Refusal('choice-missing', 'a rewrite needs host or path', 'Add host or path.'));
    }
  });

export const filterSchema = z
  .strictObject({
    requestHeaders: headerFilter.optional().describe('Changes the request that the target gets.'),
    responseHeaders: headerFilter.optional().describe('Changes the response that the client gets.'),
    rewrite: rewrite.optional().describe('Changes host or path of the request that the target gets.'),
  })
  .superRefine((written, ctx) =>
    exactlyOne(written, ['requestHeaders', 'responseHeaders', 'rewrite'], 'a filter', ctx),
  )
  .transform((written): FilterConfig => {
    if (written.rewrite !== undefined) {
      return { kind: 'rewrite', host: written.rewrite.host ?? null, path: written.rewrite.path ?? null };
    }
    const nothing = { set: [], add: [], remove: [] };
    return written.requestHeaders === undefined
      ? { kind: 'response-headers', ...(written.responseHeaders ?? nothing) }
      : { kind: 'request-headers', ...written.requestHeaders };
  });

function refuseFraming(name: string, ctx: z.RefinementCtx, path: string[]): void {
  if (CONNECTION_FIELDS.has(name)) {
    const fix =
      name === 'host'
        ? 'Use the filter rewrite: { host: ... }.'
        : name === 'expect'
          ? 'Remove it: the client waits for what the target answers to it.'
          : name.startsWith('sec-websocket')
            ? 'Remove it: the ends of a WebSocket prove with it that they have read its handshake.'
            : 'Remove it: Portico sets this header itself.';
    refuse(ctx, new Refusal('header-framing', `the header ${name} may not be changed`, fix), path);
  }
}
