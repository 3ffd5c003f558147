// Which trailer fields pass (RFC 9110, section 6.5).

import {
  CERTIFICATE_FIELDS,
  FORWARDING_FIELDS,
  HOP_BY_HOP,
  OTHER_FORWARDING_FIELDS,
} from './field-groups.ts';
import { FieldId } from './field-id.ts';
import type { MessageHead } from './message-head.ts';

type Rule = 'refuse' | 'drop';

/**
 * Framing and Host in a trailer section are an attack or a broken sender: refused. What RFC 9110, section 6.5.1
 * forbids beside them (routing, request modifiers, authentication, content format, hop-by-hop, response control), and
 * what a recipient that merges trailers into the head would believe, is dropped. Everything else passes.
 */
const RULES: ReadonlyMap<number, Rule> = new Map<number, Rule>([
  [FieldId.Host, 'refuse'],
  [FieldId.ContentLength, 'refuse'],
  [FieldId.TransferEncoding, 'refuse'],
  ...(
    [
      FieldId.Dropped,
      ...HOP_BY_HOP,
      ...FORWARDING_FIELDS,
      ...OTHER_FORWARDING_FIELDS,
      ...CERTIFICATE_FIELDS,
      FieldId.Expect,
      FieldId.ProxyAuthenticationInfo,
      FieldId.Via,
      FieldId.MaxForwards,
      FieldId.Cookie,
      FieldId.SetCookie,
      FieldId.Authorization,
      FieldId.WwwAuthenticate,
      FieldId.AuthenticationInfo,
      FieldId.ContentType,
      FieldId.ContentEncoding,
      FieldId.ContentRange,
      FieldId.ContentDisposition,
      FieldId.ContentLanguage,
      FieldId.ContentLocation,
      FieldId.CacheControl,
      FieldId.Pragma,
      FieldId.Range,
      FieldId.IfMatch,
      FieldId.IfNoneMatch,
      FieldId.IfModifiedSince,
      FieldId.IfUnmodifiedSince,
      FieldId.IfRange,
      FieldId.Age,
      FieldId.Date,
      FieldId.Expires,
      FieldId.Location,
      FieldId.RetryAfter,
      FieldId.Vary,
      FieldId.Warning,
    ] as const
  ).map((id): [number, Rule] => [id, 'drop']),
]);

/**
 * The trailer fields that may be forwarded, written anew as `Name: value` lines with CRLF; null when one of them
 * refuses the message. `head` is the head of the same message: what its Connection names is dropped here too.
 */
export function forwardableTrailers(section: MessageHead, head: MessageHead): string | null {
  let lines = '';
  for (let i = 0; i < section.count; i++) {
    const rule = RULES.get(section.ids[i]!);
    if (rule === 'refuse') return null;
    if (rule === 'drop') continue;
    const name = section.name(i);
    if (!head.isConnectionOption(name)) lines += `${name}: ${section.value(i)}\r\n`;
  }
  return lines;
}
