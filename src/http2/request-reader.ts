// Reads the pseudo fields of requests (RFC 9113, section 8.3.1; RFC 8441) and judges the head as a whole.

import { CLASSES, TOKEN } from '../http1/bytes.ts';
import { FieldId } from '../http1/field-id.ts';
import type { UnderscorePolicy } from '../http1/field-scanner.ts';
import type { HeadLimits } from '../http1/limits.ts';
import { methodOf, type RequestHead } from '../http1/request-head.ts';
import { MAX_METHOD } from '../http1/request-line.ts';
import { sameIgnoringCase } from '../http1/same-ignoring-case.ts';
import type { MessageFailure } from './failures.ts';
import { Pseudo, VALUE_TARGET } from './field-info.ts';
import { HeadReader } from './head-reader.ts';

const HOST_BIT = 1 << FieldId.Host;
const HOST = [104, 111, 115, 116, 58, 32] as const;
const SLASH = 47;

export class RequestReader extends HeadReader<RequestHead> {
  /** Whether extended CONNECT was announced. */
  #extendedConnect = false;
  #seen = 0;
  #scheme = '';
  #path = '';
  #protocol = '';

  beginRequest(
    head: RequestHead,
    limits: HeadLimits,
    underscores: UnderscorePolicy,
    extendedConnect: boolean,
  ): void {
    this.begin(head, limits, underscores);
    this.#extendedConnect = extendedConnect;
    this.#seen = 0;
    // It is known as soon as it is read: what is refused behind it is answered accordingly.
    head.method = '';
    this.#scheme = '';
    this.#path = '';
    this.#protocol = '';
  }

  protected override get hasHostLine(): boolean {
    return (this.#seen & (1 << Pseudo.Authority)) !== 0;
  }

  protected takePseudo(
    kind: number,
    at: number,
    nameLength: number,
    valueLength: number,
    info: number,
  ): number {
    if (kind === Pseudo.Unknown || kind === Pseudo.Status) return this.fail('pseudo-field-unknown', at);
    const bit = 1 << kind;
    if ((this.#seen & bit) !== 0) return this.fail('pseudo-field-duplicate', at);
    this.#seen |= bit;
    const { lines } = this;
    const start = at + nameLength + 2;
    const end = start + valueLength;
    switch (kind) {
      case Pseudo.Method:
        this.head.method = methodOf(lines, start, valueLength) ?? this.#token(start, end);
        if (this.head.method === '') return this.fail('method-invalid', at);
        return at;
      case Pseudo.Scheme:
        this.#scheme = lines.latin1Slice(start, end);
        return at;
      case Pseudo.Path:
        // An empty path is no path (RFC 9113, section 8.3.1), and what a request line could not hold stays out.
        if (valueLength === 0 || (info & VALUE_TARGET) === 0) return this.fail('target-invalid', at);
        this.#path = valueLength === 1 && lines[start] === SLASH ? '/' : lines.latin1Slice(start, end);
        return at;
      case Pseudo.Protocol:
        this.#protocol = this.#token(start, end);
        if (this.#protocol === '') return this.fail('pseudo-field-invalid', at);
        return at;
      default:
        return this.#takeAuthority(at, start, valueLength);
    }
  }

  /** `:authority` becomes the Host line that an HTTP/1.1 request has in its place. */
  #takeAuthority(at: number, start: number, valueLength: number): number {
    const { lines } = this;
    for (let i = 0; i < HOST.length; i++) lines[at + i] = HOST[i]!;
    const valueStart = at + HOST.length;
    for (let i = 0; i < valueLength; i++) lines[valueStart + i] = lines[start + i]!;
    const end = valueStart + valueLength;
    lines[end] = 13;
    lines[end + 1] = 10;
    return this.add(FieldId.Host, at, 4, valueLength, 0);
  }

  #token(start: number, end: number): string {
    if (start === end || end - start > MAX_METHOD) return '';
    for (let p = start; p < end; p++) if ((CLASSES[this.lines[p]!]! & TOKEN) === 0) return '';
    return this.lines.latin1Slice(start, end);
  }

  protected judge(ended: boolean): MessageFailure | '' {
    const head = this.head;
    const seen = this.#seen;
    const isConnect = head.method === 'CONNECT';
    const extended = (seen & (1 << Pseudo.Protocol)) !== 0;
    if ((seen & (1 << Pseudo.Method)) === 0) return 'pseudo-field-missing';
    if (extended && !(isConnect && this.#extendedConnect)) return 'pseudo-field-invalid';
    if (isConnect && !extended) {
      // RFC 9113, section 8.5: only the authority says where to.
      if (this.#path !== '' || this.#scheme !== '') return 'pseudo-field-invalid';
      if (!this.hasHostLine) return 'pseudo-field-missing';
    } else if (this.#path === '' || this.#scheme === '') return 'pseudo-field-missing';
    if (this.#scheme !== '' && !this.#takeScheme()) return 'pseudo-field-invalid';
    if (this.hasHostLine && (head.repeated & HOST_BIT) !== 0) {
      const failure = this.#dropHost();
      if (failure !== '') return failure;
    }
    const failure = head.takeHttp2(this.lines, this.#path, this.#protocol, ended);
    if (failure !== '') return failure;
    return ended && head.contentLength > 0 ? 'content-length-mismatch' : '';
  }

  /** Only what this gateway serves: other schemes have rules of their own that it does not know. */
  #takeScheme(): boolean {
    const scheme = this.#scheme;
    const head = this.head;
    if (scheme.length === 5 && sameIgnoringCase(scheme, 0, 'https')) head.scheme = 'https';
    else if (scheme.length === 4 && sameIgnoringCase(scheme, 0, 'http')) head.scheme = 'http';
    else return false;
    return true;
  }

  /** A Host field beside `:authority` must say the same (RFC 9113, section 8.3.1), and is then said once. */
  #dropHost(): MessageFailure | '' {
    const head = this.head;
    const second = head.findNext(FieldId.Host, 1);
    if (head.findNext(FieldId.Host, second + 1) >= 0) return 'host-duplicate';
    const authority = head.value(0);
    const host = head.value(second);
    if (host.length !== authority.length || !sameIgnoringCase(host, 0, authority)) return 'host-mismatch';
    head.ids[second] = FieldId.Dropped;
    // Without a name no rule can find it a second time.
    head.offsets[4 * second + 1] = head.offsets[4 * second]!;
    head.repeated &= ~HOST_BIT;
    return '';
  }
}
