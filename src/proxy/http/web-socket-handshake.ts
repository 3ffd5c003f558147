// The handshake of a WebSocket in HTTP/1.1 and over HTTP/2: what tells it, and what only one of them has (RFC 6455, section 4; RFC 8441, section 5).

import { createHash, randomBytes } from 'node:crypto';
import { FieldId } from '../../http1/field-id.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import { Framing } from '../../http1/step.ts';

/** The token of Upgrade, and the value of `:protocol`. */
export const WEB_SOCKET = 'websocket';
/** What only HTTP/1.1 has, where a cache or a form might be taken for a WebSocket; lower case. */
export const KEY_ONLY: ReadonlySet<string> = new Set(['sec-websocket-key']);
export const ACCEPT_ONLY: ReadonlySet<string> = new Set(['sec-websocket-accept']);
/** RFC 6455, section 1.3. */
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** The key that the client wants to see answered; '' when it has sent none. */
export function webSocketKeyOf(head: RequestHead): string {
  const index = head.findName('sec-websocket-key');
  return index === -1 ? '' : head.value(index);
}

/** Whether the answer was made for this key, and not for any: its sender has read the handshake (RFC 6455, section 4.1). */
export function acceptsKey(head: ResponseHead, key: string): boolean {
  const index = head.findName('sec-websocket-accept');
  return index !== -1 && head.value(index) === acceptOf(key);
}

export function acceptOf(key: string): string {
  return createHash('sha1')
    .update(key + ACCEPT_GUID)
    .digest('base64');
}

/** The client asks for a WebSocket, by HTTP/1.1's handshake or by what has become one. */
export function asksForWebSocket(head: RequestHead): boolean {
  const { upgrade } = head;
  // The length first: a request without Upgrade is what there is most of.
  return upgrade.length === WEB_SOCKET.length && upgrade.toLowerCase() === WEB_SOCKET && !head.hasContent;
}

/**
 * Makes of an extended CONNECT the GET that asks for the same in HTTP/1.1 (RFC 8441, section 5).
 * @returns the key of that handshake, which the client has none of
 */
export function becomeHandshake(head: RequestHead): string {
  head.method = 'GET';
  head.upgrade = WEB_SOCKET;
  head.framing = Framing.UntilClose;
  // A GET without content expects nothing (RFC 9110, section 10.1.1).
  head.expectContinue = false;
  for (let index = 0; index < head.count; index += 1)
    if (head.ids[index] === FieldId.Expect || KEY_ONLY.has(head.name(index).toLowerCase()))
      head.ids[index] = FieldId.Dropped;
  return randomBytes(16).toString('base64');
}
