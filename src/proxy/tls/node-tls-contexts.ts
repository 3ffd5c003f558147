// Contexts of Node's own TLS, and the keys of their session tickets.

import tls from 'node:tls';
import type { TlsContext, TlsContextOptions, TlsContexts } from '../wire/tls-context.ts';
import { TicketKeys } from './ticket-keys.ts';

export class NodeTlsContexts implements TlsContexts {
  readonly #ticketKeys = new TicketKeys();

  create(options: TlsContextOptions): TlsContext {
    const { alpn, requestCert, rejectUnauthorized, cert, key, ...others } = options;
    const ofNode = tls.createSecureContext({ ...others, cert: [...cert], key: [...key] });
    this.#ticketKeys.use(ofNode);
    return { asked: { alpn, requestCert, rejectUnauthorized }, ofNode, native: ofNode.context };
  }

  setTicketKeys(keys: readonly string[]): void {
    this.#ticketKeys.set(keys);
  }
}
