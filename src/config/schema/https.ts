// Schema of the one-line options that send clients to https and keep them there: `redirectToHttps` and `hsts`.

import { z } from 'zod';
import type { HttpsRedirect } from '../../model/listener-config.ts';
import { Refusal } from '../refusal.ts';
import { integer, refuse } from './scalars.ts';

/** Two years, as Mozilla's profiles have it. */
const HSTS_DAYS = 730;
const PRELOAD_DAYS = 365;
const DAY_SECONDS = 86_400;

const redirectMap = z.strictObject({
  port: integer(1, 65_535).optional().describe('Port of the https listener; without it, 443.'),
  status: z
    .literal([301, 302, 307, 308])
    .default(308)
    .describe('Status of the answer: 301, 302, 307 or 308, which keeps the method.'),
});

/** `true`, or a map. */
export const redirectToHttps = z
  .union([z.boolean(), redirectMap])
  .transform((written): HttpsRedirect | null => {
    if (written === false) return null;
    return written === true
      ? { port: null, status: 308 }
      : { port: written.port ?? null, status: written.status };
  });

const hstsMap = z
  .strictObject({
    days: integer(0, 3650).default(HSTS_DAYS).describe('How long clients use https only; 0 ends that.'),
    includeSubDomains: z.boolean().default(false).describe('Also for every name below that of the request.'),
    preload: z
      .boolean()
      .default(false)
      .describe("Consents to browsers' built-in lists; needs `includeSubDomains` and 365 days."),
  })
  .superRefine((written, ctx) => {
    if (written.preload && (!written.includeSubDomains || written.days < PRELOAD_DAYS)) {
      const message = 'preload needs includeSubDomains and at least 365 days';
      refuse(ctx, new Refusal('hsts-preload', message, 'Add them, or remove preload.'), ['preload']);
    }
  });

/** `true`, or a map; comes out as the value of Strict-Transport-Security (RFC 6797, section 6.1). */
export const hsts = z.union([z.boolean(), hstsMap]).transform((written): string | null => {
  if (written === false) return null;
  const { days, includeSubDomains, preload } =
    written === true ? { days: HSTS_DAYS, includeSubDomains: false, preload: false } : written;
  const parts = [`max-age=${days * DAY_SECONDS}`];
  if (includeSubDomains) parts.push('includeSubDomains');
  if (preload) parts.push('preload');
  return parts.join('; ');
});
