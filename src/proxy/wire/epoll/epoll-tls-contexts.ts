// Contexts of TLS on descriptors, from the options that Node's own are made of.

import { constants } from 'node:crypto';
import type { TlsContext, TlsContextOptions, TlsContexts } from '../tls-context.ts';
import { encodedAlpn } from '../tls-session.ts';
import { SETTING, type Tls, type TlsNative } from './tls.ts';

/** As versions stand on the wire (RFC 8446, section 4.2.1). */
const VERSIONS = { 'TLSv1.2': 0x0303, 'TLSv1.3': 0x0304 } as const;
/** Bits of SSL_CTX_set_verify(3). */
const VERIFY_PEER = 1;
const FAIL_WITHOUT_CERTIFICATE = 2;

export class EpollTlsContexts implements TlsContexts {
  readonly #tls: Tls;
  readonly #ticketKeys: object;

  constructor(tls: Tls) {
    this.#tls = tls;
    this.#ticketKeys = tls.createTicketKeys();
  }

  create(options: TlsContextOptions): TlsContext {
    const { honorCipherOrder, secureOptions, alpn, requestCert, rejectUnauthorized } = options;
    const native = this.#tls.createContext(
      this.#ticketKeys,
      VERSIONS[options.minVersion],
      secureOptions | (honorCipherOrder ? constants.SSL_OP_CIPHER_SERVER_PREFERENCE : 0),
      requestCert ? VERIFY_PEER | (rejectUnauthorized ? FAIL_WITHOUT_CERTIFICATE : 0) : 0,
      options.sessionTimeout,
    );
    if (native === undefined) throw new Error('no memory for a TLS context');
    this.#negotiates(native, options);
    this.#holds(native, options);
    return { asked: { alpn, requestCert, rejectUnauthorized }, ofNode: null, native };
  }

  setTicketKeys(keys: readonly string[]): void {
    const status = this.#tls.setTicketKeys(
      this.#ticketKeys,
      Buffer.concat(keys.map((key) => Buffer.from(key, 'base64'))),
    );
    if (status < 0) throw new RangeError('a ticket key has 48 bytes');
  }

  #negotiates(native: TlsNative, options: TlsContextOptions): void {
    const names = options.ciphers.split(':');
    const suites = names.filter((name) => name.startsWith('TLS_'));
    const older = names.filter((name) => !name.startsWith('TLS_'));
    this.#set(native, SETTING.suites, suites.join(':'));
    if (older.length > 0) this.#set(native, SETTING.ciphers, older.join(':'));
    this.#set(native, SETTING.groups, options.ecdhCurve);
    this.#set(native, SETTING.signatures, options.sigalgs);
    this.#set(native, SETTING.sessionContext, options.sessionIdContext);
    this.#set(native, SETTING.alpn, encodedAlpn(options.alpn));
  }

  #holds(native: TlsNative, { cert, key, ca, crl }: TlsContextOptions): void {
    cert.forEach((chain, index) => {
      this.#set(native, SETTING.certificates, chain);
      this.#set(native, SETTING.key, key[index]!);
    });
    if (ca !== undefined) this.#set(native, SETTING.authorities, ca);
    if (crl !== undefined) this.#set(native, SETTING.revocations, crl);
  }

  #set(native: TlsNative, setting: (typeof SETTING)[keyof typeof SETTING], text: string): void {
    const problem = this.#tls.setContext(native, setting, text);
    if (problem !== '') throw new Error(problem);
  }
}
