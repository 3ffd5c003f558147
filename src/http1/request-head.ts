// The head of a request: method, target and host, with the rules that need the whole head.

import { HAS_TRAILING_DOT, HAS_UPPER_CASE, scanAuthority } from './authority.ts';
import { FieldId } from './field-id.ts';
import { readConnection, readFraming } from './framing.ts';
import { MessageHead, unsliced } from './message-head.ts';
import type { ParseFailure } from './parse-failure.ts';
import { sameIgnoringCase } from './same-ignoring-case.ts';
import { Framing } from './step.ts';

/** Forms of a request target (RFC 9112, section 3.2). */
export const TargetForm = { Origin: 0, Absolute: 1, Authority: 2, Asterisk: 3 } as const;
export type TargetForm = (typeof TargetForm)[keyof typeof TargetForm];

const SLASH = 47;
const ASTERISK = 42;
const OPEN_BRACKET = 91;
const HOST_BIT = 1 << FieldId.Host;
const EXPECT_BIT = 1 << FieldId.Expect;
const HAS_PORT = /:\d+$/;

/** A request head, filled again for each request of a connection. */
export class RequestHead extends MessageHead {
  /** A token of at most 32 letters, as received: methods are case-sensitive. */
  method = '';
  /** As on the wire. */
  target = '';
  form: TargetForm = TargetForm.Origin;
  /** `http` or `https` of an absolute target, or of `:scheme`, else ''. */
  scheme: '' | 'http' | 'https' = '';
  /** Path with its leading slash and without the query; `*` in asterisk form, '' in authority form. */
  path = '';
  /** Without the question mark. */
  query = '';
  hasQuery = false;
  /** Lower case, without port and trailing dot, IPv6 in brackets and canonical (RFC 5952); '' when an HTTP/1.0 request names none. */
  host = '';
  /** Host and port as received. */
  authority = '';
  /** The client waits for 100 (Continue) before it sends the body. */
  expectContinue = false;
  /** `:protocol` of an extended CONNECT (RFC 8441), which has a path like any other request; else ''. */
  connectProtocol = '';
  /** What Host says in head after head with the same fields. */
  #repeatedAuthority = '';
  #repeatedHost = '';

  /** Content belongs to the request. What follows an extended CONNECT (`UntilClose`) is none: it is for the tunnel. */
  get hasContent(): boolean {
    return this.framing === Framing.Length || this.framing === Framing.Chunked;
  }

  override release(): void {
    super.release();
    this.method = '';
    this.target = '';
    this.path = '';
    this.query = '';
    this.host = '';
    this.authority = '';
  }

  /** Takes the start line; offsets are relative to `text`. */
  takeRequestLine(bytes: Uint8Array, base: number, methodEnd: number, targetEnd: number): void {
    this.method = methodOf(bytes, base, methodEnd) ?? this.text.slice(0, methodEnd);
    this.target = this.text.slice(methodEnd + 1, targetEnd);
  }

  /** Applies every rule that needs the whole head; '' when it is good. `bytes` holds the head from `base` on. */
  judge(bytes: Uint8Array, base: number): ParseFailure | '' {
    const recalls = this.recall();
    const failure =
      (recalls ? '' : readFraming(this)) ||
      this.#readBodyRules() ||
      this.#readHost(bytes, base) ||
      this.#readTarget(bytes, base) ||
      this.#readExpect() ||
      (recalls ? '' : readConnection(this));
    if (failure === '' && !recalls) this.remember();
    return failure;
  }

  /**
   * The same for a head that came in HTTP/2 (RFC 9113, section 8.3.1), of which `lines` holds the field lines, Host made
   * of `:authority` among them; `method` and `scheme` are set. A body whose length is not said counts as chunked: what
   * goes on in HTTP/1.1 will be.
   */
  takeHttp2(lines: Uint8Array, path: string, protocol: string, ended: boolean): ParseFailure | '' {
    const { method } = this;
    this.connectProtocol = protocol;
    let failure = readFraming(this) || this.#readBodyRules();
    if (failure !== '') return failure;
    if (!ended && this.framing === Framing.None) {
      if (method === 'TRACE') return 'body-not-allowed';
      this.framing = Framing.Chunked;
    }
    failure = this.#readHost(lines, 0);
    if (failure !== '') return failure;
    if (method === 'CONNECT' && protocol === '') {
      this.form = TargetForm.Authority;
      this.target = this.authority;
      if (!HAS_PORT.test(this.authority)) return 'target-form-invalid';
      this.#takePath('');
    } else {
      this.target = path;
      if (path.charCodeAt(0) === SLASH) this.form = TargetForm.Origin;
      else if (path === '*' && method === 'OPTIONS') this.form = TargetForm.Asterisk;
      else return 'target-form-invalid';
      this.#takePath(path);
    }
    return this.#readExpect();
  }

  /** TRACE never has content (RFC 9110, section 9.3.8), and what follows CONNECT is no content (section 9.3.6). */
  #readBodyRules(): ParseFailure | '' {
    if (this.framing === Framing.None || this.contentLength === 0) return '';
    return this.method === 'TRACE' || this.method === 'CONNECT' ? 'body-not-allowed' : '';
  }

  #readHost(bytes: Uint8Array, base: number): ParseFailure | '' {
    this.host = '';
    this.authority = '';
    if ((this.seen & HOST_BIT) === 0) return this.minor === 1 ? 'host-missing' : '';
    if ((this.repeated & HOST_BIT) !== 0) return 'host-duplicate';
    if (this.repeatsFields && this.#repeatedHost !== '') {
      this.authority = this.#repeatedAuthority;
      this.host = this.#repeatedHost;
      return '';
    }
    const i = this.find(FieldId.Host);
    if (!this.#takeAuthority(bytes, base, this.offsets[4 * i + 2]!, this.offsets[4 * i + 3]!))
      return 'host-invalid';
    this.#repeatedAuthority = this.repeatsFields ? unsliced(this.authority) : '';
    this.#repeatedHost = this.repeatsFields ? unsliced(this.host) : '';
    return '';
  }

  #takeAuthority(bytes: Uint8Array, base: number, start: number, end: number): boolean {
    const scanned = scanAuthority(bytes, base + start, base + end);
    if (scanned < 0) return false;
    const authority = this.text.slice(start, end);
    const length = (scanned >> 2) - ((scanned & HAS_TRAILING_DOT) >> 1);
    const host = length === authority.length ? authority : authority.slice(0, length);
    this.authority = authority;
    this.host = (scanned & HAS_UPPER_CASE) !== 0 ? host.toLowerCase() : host;
    // An address can be written in many ways, and routes hold the one of RFC 5952.
    if (this.host.charCodeAt(0) === OPEN_BRACKET) this.host = new URL(`http://${this.host}`).hostname;
    return true;
  }

  #readTarget(bytes: Uint8Array, base: number): ParseFailure | '' {
    const target = this.target;
    this.scheme = '';
    if (this.method === 'CONNECT') {
      this.form = TargetForm.Authority;
      this.#takePath('');
      const start = this.method.length + 1;
      return this.#matchAuthority(bytes, base, start, start + target.length, true);
    }
    const first = target.charCodeAt(0);
    if (first === SLASH) {
      this.form = TargetForm.Origin;
      this.#takePath(target);
      return '';
    }
    if (first === ASTERISK) {
      if (target.length !== 1 || this.method !== 'OPTIONS') return 'target-form-invalid';
      this.form = TargetForm.Asterisk;
      this.#takePath(target);
      return '';
    }
    return this.#readAbsolute(bytes, base);
  }

  #readAbsolute(bytes: Uint8Array, base: number): ParseFailure | '' {
    const target = this.target;
    let length = 0;
    if (sameIgnoringCase(target, 0, 'http://')) length = 7;
    else if (sameIgnoringCase(target, 0, 'https://')) length = 8;
    else return 'target-form-invalid';
    let end = length;
    while (end < target.length && target.charCodeAt(end) !== SLASH && target.charCodeAt(end) !== 63) end++;
    this.form = TargetForm.Absolute;
    this.scheme = length === 7 ? 'http' : 'https';
    const rest = target.slice(end);
    if (rest.charCodeAt(0) === SLASH) this.#takePath(rest);
    // RFC 9112, section 3.2.4: OPTIONS for the server as a whole.
    else if (rest === '') this.#takePath(this.method === 'OPTIONS' ? '*' : '/');
    else this.#takePath(`/${rest}`);
    const start = this.method.length + 1;
    return this.#matchAuthority(bytes, base, start + length, start + end, false);
  }

  /** The authority of the target must be valid, and equal to Host where there is one (RFC 9112, section 3.2.2). */
  #matchAuthority(
    bytes: Uint8Array,
    base: number,
    start: number,
    end: number,
    needsPort: boolean,
  ): ParseFailure | '' {
    const fromHost = this.authority;
    if (!this.#takeAuthority(bytes, base, start, end)) return 'target-invalid';
    const authority = this.authority;
    if (needsPort && !HAS_PORT.test(authority)) return 'target-form-invalid';
    if (fromHost === '') return '';
    return fromHost.length === authority.length && sameIgnoringCase(fromHost, 0, authority)
      ? ''
      : 'host-mismatch';
  }

  #takePath(pathAndQuery: string): void {
    const mark = pathAndQuery.indexOf('?');
    this.hasQuery = mark >= 0;
    this.path = mark < 0 ? pathAndQuery : pathAndQuery.slice(0, mark);
    this.query = mark < 0 ? '' : pathAndQuery.slice(mark + 1);
  }

  /** RFC 9110, section 10.1.1: ignored in HTTP/1.0; anything but 100-continue may be answered with 417. */
  #readExpect(): ParseFailure | '' {
    this.expectContinue = false;
    if ((this.seen & EXPECT_BIT) === 0 || this.minor === 0) return '';
    const value = this.valueOf(FieldId.Expect);
    if ((this.repeated & EXPECT_BIT) !== 0) return 'expectation-unsupported';
    if (value.length !== 12 || !sameIgnoringCase(value, 0, '100-continue')) return 'expectation-unsupported';
    this.expectContinue = this.framing === Framing.Chunked || this.contentLength > 0;
    return '';
  }
}

/** The method of `length` bytes at `bytes[base]` if it is a usual one, without making a string. */
export function methodOf(bytes: Uint8Array, base: number, length: number): string | null {
  let method = '';
  if (length === 3) method = bytes[base] === 71 ? 'GET' : 'PUT';
  else if (length === 4) method = bytes[base] === 80 ? 'POST' : 'HEAD';
  else if (length === 5) method = 'PATCH';
  else if (length === 6) method = 'DELETE';
  else if (length === 7) method = 'OPTIONS';
  else return null;
  for (let i = 0; i < length; i++) if (bytes[base + i] !== method.charCodeAt(i)) return null;
  return method;
}
