// A request as the router and the hash keys see it; one object serves all requests of a connection.

import type { RequestHead } from '../../http1/request-head.ts';
import type { RouteRequest } from '../router/router.ts';
import type { FlowFacts } from '../upstream/hash-key.ts';

const NONE: readonly string[] = [];

export class RequestView implements RouteRequest, FlowFacts {
  readonly clientAddress: string;
  /** Normalised. */
  path = '';
  captures: readonly string[] = NONE;
  captureNames: readonly string[] = NONE;
  #head!: RequestHead;

  constructor(clientAddress: string) {
    this.clientAddress = clientAddress;
  }

  set(head: RequestHead, path: string): void {
    this.#head = head;
    this.path = path;
    this.captures = NONE;
    this.captureNames = NONE;
  }

  get head(): RequestHead {
    return this.#head;
  }

  get method(): string {
    return this.#head.method;
  }

  get host(): string {
    return this.#head.host;
  }

  get query(): string {
    return this.#head.query;
  }

  /** The value of a field, several joined as a list (RFC 9110, section 5.3), which cookies are not (RFC 9113, section 8.2.3). */
  header(name: string): string | undefined {
    const separator = name === 'cookie' ? '; ' : ', ';
    const head = this.#head;
    let value: string | undefined;
    for (let index = 0; index < head.count; index += 1) {
      const start = head.offsets[4 * index]!;
      if (head.offsets[4 * index + 1]! - start !== name.length) continue;
      if (head.name(index).toLowerCase() !== name) continue;
      value = value === undefined ? head.value(index) : value + separator + head.value(index);
    }
    return value;
  }

  capture(name: string): string | undefined {
    const index = this.captureNames.indexOf(name);
    return index === -1 ? undefined : this.captures[index];
  }
}
