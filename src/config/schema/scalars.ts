// Schema pieces for single values: what is written is text or a number, what comes out is canonical.

import { z } from 'zod';
import { parseHostTemplate, parsePlainHost } from '../host-pattern.ts';
import { Refusal } from '../refusal.ts';
import { anchored, refuseRegex } from '../safe-regex.ts';
import {
  formatDuration,
  formatSize,
  parseDuration,
  parseHeaderName,
  parsePath,
  parsePort,
  parseSize,
} from '../values.ts';

/** Characters of any one text, but for bodies. */
const TEXT_LIMIT = 4096;
const HOUR_MS = 3_600_000;
/** Longest duration: Node's timers count 31 bits of milliseconds, about 24 days. */
const LONGEST_MS = 24 * HOUR_MS;

/** Adds a finding of our own, with the fix that `z.toJSONSchema` has no place for. */
export function refuse(ctx: z.RefinementCtx, refusal: Refusal, path: (string | number)[] = []): void {
  ctx.addIssue({
    code: 'custom',
    message: refusal.message,
    path,
    params: { code: refusal.code, fix: refusal.fix },
  });
}

function reader<In, Out>(parse: (written: In) => Out | Refusal): (written: In, ctx: z.RefinementCtx) => Out {
  return (written, ctx) => {
    const result = parse(written);
    if (result instanceof Refusal) {
      refuse(ctx, result);
      return z.NEVER;
    }
    return result;
  };
}

/** Text that `parse` turns into a value. */
export function text<Out>(parse: (written: string) => Out | Refusal) {
  return z.string().max(TEXT_LIMIT).transform(reader(parse));
}

/** Text or a number that `parse` turns into a value. */
export function textOrNumber<Out>(parse: (written: string | number) => Out | Refusal, expected: string) {
  return z
    .union([z.string().max(TEXT_LIMIT), z.number()], { error: `expected ${expected}` })
    .transform(reader(parse));
}

/** Bounds are both ends included and go to the JSON Schema as `x-bounds`. */
export function duration({ min = 1, max = LONGEST_MS }: { min?: number; max?: number } = {}) {
  return textOrNumber(
    (written) => parseDuration(written, min, max),
    'a duration such as 500ms, 2s, 5m or 1h',
  ).meta({
    'x-unit': 'duration',
    'x-bounds': `${formatDuration(min)} to ${formatDuration(max)}`,
  });
}

/** Bytes; bounds as in `duration`. */
export function size(min: number, max: number) {
  return textOrNumber(
    (written) => parseSize(written, min, max),
    'a number of bytes such as 32768 or 32KiB',
  ).meta({
    'x-unit': 'bytes',
    'x-bounds': `${formatSize(min)} to ${formatSize(max)}`,
  });
}

export function integer(min: number, max: number) {
  return z
    .int()
    .min(min)
    .max(max)
    .meta({ 'x-bounds': `${min} to ${max}` });
}

/** A part of a whole. */
export function share() {
  return z.number().min(0).max(1).meta({ 'x-bounds': '0 to 1' });
}

/** The name of something configured: it becomes a metric label and a log field. */
export function name() {
  return text((written) =>
    /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(written)
      ? written
      : new Refusal(
          'name-invalid',
          'a name has 1 to 63 letters, digits, dots, hyphens or underscores',
          'Begin and end the name with a letter or digit.',
        ),
  );
}

/** The name of something that is configured elsewhere; whether it exists is checked later. */
export function reference() {
  return z.string().max(TEXT_LIMIT);
}

/** A port of a Kubernetes Service, by number or name. */
export function servicePort() {
  return textOrNumber(parsePort, 'a port number or the name of a service port');
}

/** A file, relative to the configuration file's directory. */
export function filePath() {
  return text((written) =>
    written === '' || written.includes('\u0000')
      ? new Refusal(
          'path-invalid',
          'this is not the path of a file',
          'Write a path, relative to the configuration file or absolute.',
        )
      : written,
  );
}

export function hostName() {
  return text(parsePlainHost);
}

/** A host name in which `{capture}` may stand. */
export function hostTemplate() {
  return text(parseHostTemplate);
}

export function requestPath() {
  return text(parsePath);
}

export function headerName() {
  return text(parseHeaderName);
}

/** A regular expression of the safe subset; comes out anchored at both ends. */
export function regex() {
  return text((written) => refuseRegex(written) ?? anchored(written));
}

/** Refuses a map that does not hold exactly one of `keys`. */
export function exactlyOne(
  value: Readonly<Record<string, unknown>>,
  keys: readonly string[],
  what: string,
  ctx: z.RefinementCtx,
): void {
  const given = keys.filter((key) => value[key] !== undefined);
  if (given.length === 1) {
    return;
  }
  const list = `${keys.slice(0, -1).join(', ')} or ${keys[keys.length - 1]}`;
  const [, second] = given;
  if (second === undefined) {
    refuse(ctx, new Refusal('choice-missing', `${what} needs ${list}`, `Add one of ${list}.`));
  } else {
    const message = `${what} has ${given.join(' and ')}, but takes only one of ${list}`;
    refuse(ctx, new Refusal('choice-conflict', message, `Keep one of ${given.join(', ')}.`), [second]);
  }
}
