// What Portico says about the client to a target, and which clients may say it themselves.

import { BlockList, isIP } from 'node:net';
import { FieldId } from '../../http1/field-id.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import type { Wire } from '../wire/wire.ts';

const CRLF = '\r\n';

/** The CIDRs whose forwarded fields are believed. */
export class TrustedProxies {
  readonly #list = new BlockList();
  readonly #empty: boolean;

  /** Throws on a CIDR that is not one; the configuration has checked them before. */
  constructor(cidrs: readonly string[]) {
    this.#empty = cidrs.length === 0;
    for (const cidr of cidrs) {
      const [address = '', prefix] = cidr.split('/');
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      this.#list.addSubnet(
        address,
        prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix),
        family,
      );
    }
  }

  has(address: string): boolean {
    return !this.#empty && this.#list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
}

export interface ForwardedOptions {
  readonly protocol: 'http' | 'https';
  readonly trusted: boolean;
  /** Whether a `Forwarded` field is sent beside the `X-Forwarded-*` ones. */
  readonly forwarded: boolean;
  readonly certificateLines: string;
}

/** One client connection as the forwarded fields name it. */
export class ForwardedClient {
  readonly address: string;
  readonly trusted: boolean;
  /** Its connection, of which a PROXY header tells a target. */
  wire: Wire | null = null;
  readonly #protocol: string;
  /** Lines about its certificate, written by us; '' where none is asked for. */
  readonly certificateLines: string;
  /** The begin of a `Forwarded` line (RFC 7239, section 4), which ends with the host; '' when none is sent. */
  readonly #forwarded: string;
  /** For an untrusted client the first lines never change. */
  readonly #own: string;

  constructor(address: string, options: ForwardedOptions) {
    const { protocol, trusted, forwarded, certificateLines } = options;
    this.address = address;
    this.trusted = trusted;
    this.certificateLines = certificateLines;
    this.#protocol = protocol;
    const node = address.includes(':') ? `"[${address}]"` : address;
    this.#forwarded = forwarded ? `Forwarded: for=${node};proto=${protocol};host="` : '';
    this.#own = `${certificateLines}X-Forwarded-For: ${address}\r\nX-Forwarded-Proto: ${protocol}\r\nX-Forwarded-Host: `;
  }

  /**
   * The lines to send. An untrusted client's fields are replaced; a trusted proxy's chain is kept and extended, and
   * its protocol and host are believed. A proxy's own `Forwarded` lines stand before ours, which names the proxy.
   */
  lines(head: RequestHead): string {
    const lines = this.#legacyLines(head);
    return this.#forwarded === '' ? lines : `${lines + this.#forwarded + head.authority}"\r\n`;
  }

  #legacyLines(head: RequestHead): string {
    if (!this.trusted) return this.#own + head.authority + CRLF;
    let chain = '';
    for (let index = head.find(FieldId.XForwardedFor); index >= 0; ) {
      chain += `${head.value(index)}, `;
      index = head.findNext(FieldId.XForwardedFor, index + 1);
    }
    const protocol = head.valueOf(FieldId.XForwardedProto) || this.#protocol;
    const host = head.valueOf(FieldId.XForwardedHost) || head.authority;
    return `${this.certificateLines}X-Forwarded-For: ${chain}${this.address}\r\nX-Forwarded-Proto: ${protocol}\r\nX-Forwarded-Host: ${host}\r\n`;
  }
}
