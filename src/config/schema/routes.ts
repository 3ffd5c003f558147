// Schema of `routes`: hosts, rules, matches and actions, with HTTPRoute's words.

import { z } from 'zod';
import type { MatchConfig, PathMatch, ValueMatch } from '../../model/route-config.ts';
import { parseHostPattern } from '../host-pattern.ts';
import { Refusal } from '../refusal.ts';
import { parseMethod, parseServiceName } from '../values.ts';
import { filterSchema, headerMap, pathRewrite } from './filters.ts';
import { hsts, redirectToHttps } from './https.ts';
import { poolOptions } from './pools.ts';
import {
  exactlyOne,
  headerName,
  hostTemplate,
  integer,
  name,
  reference,
  refuse,
  regex,
  requestPath,
  servicePort,
  share,
  text,
} from './scalars.ts';
import { ruleTimeouts } from './upstream-options.ts';

const path = z
  .strictObject({
    exact: requestPath().optional().describe('The whole path.'),
    prefix: requestPath()
      .optional()
      .describe('Whole segments at the beginning: `/api` fits `/api` and `/api/x`, not `/apix`.'),
    regex: regex()
      .optional()
      .describe('A regular expression that fits the whole path; see "Regular expressions".'),
  })
  .superRefine((written, ctx) => exactlyOne(written, ['exact', 'prefix', 'regex'], 'a path match', ctx))
  .transform((written): PathMatch => {
    if (written.exact !== undefined) {
      return { kind: 'exact', value: written.exact };
    }
    return written.regex === undefined
      ? // A slash at the end changes nothing when whole segments are compared.
        { kind: 'prefix', value: (written.prefix ?? '/').replace(/(?<=.)\/$/, '') }
      : { kind: 'regex', value: written.regex };
  });

function valueMatch(nameSchema: z.ZodType<string>, what: string) {
  return z
    .strictObject({
      name: nameSchema.describe(`Name of the ${what}.`),
      exact: z.string().max(4096).optional().describe('The whole value.'),
      regex: regex()
        .optional()
        .describe('A regular expression that fits the whole value; see "Regular expressions".'),
      present: z.literal(true).optional().describe('Any value; write `true`.'),
    })
    .superRefine((written, ctx) => exactlyOne(written, ['exact', 'regex', 'present'], `a ${what} match`, ctx))
    .transform((written): ValueMatch => {
      if (written.exact !== undefined) {
        return { name: written.name, kind: 'exact', value: written.exact };
      }
      return {
        name: written.name,
        kind: written.regex === undefined ? 'present' : 'regex',
        value: written.regex ?? '',
      };
    });
}

function refuseRepeatedNames(matches: readonly ValueMatch[], ctx: z.RefinementCtx): void {
  for (const [index, match] of matches.entries()) {
    if (matches.findIndex((other) => other.name === match.name) < index) {
      refuse(
        ctx,
        new Refusal(
          'duplicate',
          `${match.name} is matched twice`,
          'Keep one match of a name; say both in one expression if need be.',
        ),
        [index, 'name'],
      );
    }
  }
}

const match = z
  .strictObject({
    path: path.optional().describe('Exactly one of `exact`, `prefix` and `regex`; without it, every path.'),
    method: text(parseMethod)
      .optional()
      .describe('Request method, case-sensitive; without it, every method.'),
    headers: z
      .array(valueMatch(headerName(), 'header'))
      .max(16)
      .superRefine(refuseRepeatedNames)
      .prefault([])
      .describe('Headers that must all fit.'),
    query: z
      .array(valueMatch(z.string().min(1).max(256), 'query parameter'))
      .max(16)
      .superRefine(refuseRepeatedNames)
      .prefault([])
      .describe('Query parameters that must all fit.'),
  })
  .transform(
    (written): MatchConfig => ({
      path: written.path ?? null,
      method: written.method ?? null,
      headers: written.headers,
      query: written.query,
    }),
  );

const weightedPool = z.strictObject({
  name: reference().describe('Name of a pool.'),
  weight: integer(0, 1_000_000).default(1).describe('Share of the requests; 0 takes none.'),
});

const service = z.strictObject({
  cluster: reference().describe('Cluster of the services.'),
  name: text((written) => parseServiceName(written, true)).describe(
    '`namespace/name`, in which `{capture}` stands for what the host captured.',
  ),
  port: servicePort().describe('Port of the Service, by number or name.'),
  ...poolOptions,
});

const redirect = z
  .strictObject({
    scheme: z.enum(['http', 'https']).optional().describe("New scheme; without it, the request's."),
    host: hostTemplate()
      .optional()
      .describe("New host, which may hold `{capture}`; without it, the request's."),
    port: integer(1, 65_535)
      .optional()
      .describe("New port; without it, the scheme's own when `scheme` is given, otherwise the request's."),
    path: pathRewrite.optional().describe("New path; without it, the request's. The query stays."),
    status: z
      .literal([301, 302, 303, 307, 308])
      .default(302)
      .describe('Status of the answer: 301, 302, 303, 307 or 308.'),
  })
  .superRefine((written, ctx) => {
    if (
      written.scheme === undefined &&
      written.host === undefined &&
      written.port === undefined &&
      written.path === undefined
    ) {
      refuse(
        ctx,
        new Refusal(
          'redirect-loop',
          'this redirect leads back to the same URL',
          'Add scheme, host, port or path.',
        ),
      );
    }
  });

/** Statuses whose answer has no body (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5). */
const BODILESS: readonly number[] = [204, 205, 304];

const respond = z
  .strictObject({
    status: integer(200, 599).describe('Status of the answer.'),
    body: z
      .string()
      .max(65_536)
      .default('')
      .describe('Body of the answer, UTF-8, at most 65,536 characters.'),
    headers: headerMap().prefault({}).describe('Headers of the answer: a map of names to values.'),
  })
  .superRefine((written, ctx) => {
    if (written.body !== '' && BODILESS.includes(written.status)) {
      refuse(
        ctx,
        new Refusal(
          'body-forbidden',
          `an answer with status ${written.status} has no body`,
          'Remove the body or choose another status.',
        ),
        ['body'],
      );
    }
  });

const retryFields = {
  attempts: integer(0, 10).describe('Attempts after the first.'),
  statuses: z
    .array(integer(400, 599))
    .max(50)
    .describe(
      'Answers that are retried when the request is idempotent and has come whole, and no byte went downstream.',
    ),
  budget: share().describe(
    'Retries allowed in 10 s, as a share of the requests of the pool in a worker; ten always.',
  ),
};

/** `defaults.retry`: every field with its default. */
export const defaultRetry = z.strictObject({
  attempts: retryFields.attempts.default(2),
  statuses: retryFields.statuses.prefault([]),
  budget: retryFields.budget.default(0.2),
});

export const ACTIONS = ['pools', 'service', 'redirect', 'respond'] as const;

const rule = z
  .strictObject({
    name: name().optional().describe('Name for logs and metrics.'),
    matches: z
      .array(match)
      .max(128)
      .prefault([])
      .describe('Any one that fits is enough; empty fits every request.'),
    filters: z
      .array(filterSchema)
      .max(16)
      .prefault([])
      .describe('Applied in order; each item has exactly one of the keys below.'),
    pools: z
      .array(weightedPool)
      .min(1)
      .max(100)
      .optional()
      .describe('Action: pools by weight. Exactly one of `pools`, `service`, `redirect` and `respond`.'),
    service: service
      .optional()
      .describe('Action: the Service that the captures of the host name. Takes the options of a pool too.'),
    redirect: redirect.optional().describe('Action: send the client elsewhere.'),
    respond: respond.optional().describe('Action: answer at once.'),
    timeouts: ruleTimeouts.optional().describe("Where they differ from the pool's."),
    retry: z
      .strictObject(retryFields)
      .partial()
      .optional()
      .describe('Where it differs from `defaults.retry`.'),
  })
  .superRefine((written, ctx) => exactlyOne(written, ACTIONS, 'a rule', ctx));

export const routeSchema = z.strictObject({
  name: name().describe('Name for logs and metrics.'),
  listeners: z
    .array(reference())
    .max(1000)
    .prefault([])
    .describe('Names of http and https listeners; empty means all of them.'),
  hosts: z
    .array(text(parseHostPattern))
    .min(1)
    .max(1000)
    .describe(
      'Exact names, `*.example.com` (one or more labels), `{capture}.example.com` (one label), or `*`.',
    ),
  redirectToHttps: redirectToHttps
    .optional()
    .describe('On http listeners its requests are sent to https. `true`, or a map with its options.'),
  hsts: hsts
    .optional()
    .describe(
      'On https listeners its answers carry `Strict-Transport-Security`. `true`, or a map with its options; without it, as the listener says.',
    ),
  rules: z.array(rule).min(1).max(1000).describe("In HTTPRoute's precedence, then in order."),
});
