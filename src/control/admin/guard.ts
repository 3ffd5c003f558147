// Who may ask what: Host and Origin checks against rebinding and foreign pages, and the token for changing calls.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';

/** What the checks need to know of a request. */
export interface GuardedRequest {
  readonly headers: IncomingHttpHeaders;
  /** The peer's address; undefined over a UNIX socket or once the peer is gone. */
  readonly remoteAddress: string | undefined;
  /** The address that the peer connected to. */
  readonly localAddress: string | undefined;
  readonly unix: boolean;
}

export interface GuardOptions {
  /** Bind address. */
  readonly host: string;
  /** Further names that a `Host` may carry. */
  readonly hosts: readonly string[];
}

/** Null when the request may go on, otherwise why it is refused with 403. */
export type Refusal = 'foreign-host' | 'foreign-origin' | null;

/**
 * A page that a browser shows can be made to reach loopback by giving its own name that address (DNS rebinding): its
 * requests then carry a foreign `Host`. Every request with a foreign or missing `Host`, and every one that a browser marks
 * as coming from another origin, is refused. An address literal is accepted when it is the one connected to: a name cannot
 * be rebound behind it.
 */
export function refusalOf(request: GuardedRequest, options: GuardOptions): Refusal {
  const { host, origin } = request.headers;
  if (!isOwnHost(host, request, options)) return 'foreign-host';
  if (origin !== undefined && !isSameOrigin(origin, host)) return 'foreign-origin';
  const site = request.headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return 'foreign-origin';
  return null;
}

function isOwnHost(host: string | undefined, request: GuardedRequest, options: GuardOptions): boolean {
  const name = hostName(host);
  if (name === null) return false;
  if (name === 'localhost' || isLoopback(name) || name === options.host.toLowerCase()) return true;
  if (options.hosts.some((allowed) => allowed.toLowerCase() === name)) return true;
  return isIP(name) !== 0 && name === plainAddress(request.localAddress ?? '');
}

/** The name of a `Host` value without port and brackets, in lower case; null when it is not one. */
function hostName(host: string | undefined): string | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(host ?? '');
  return match === null ? null : (match[1] ?? match[2] ?? '').toLowerCase();
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  const lower = origin.toLowerCase();
  return lower === `http://${host?.toLowerCase()}` || lower === `https://${host?.toLowerCase()}`;
}

/** 127.0.0.0/8 and ::1, the mapped form included. */
export function isLoopback(address: string): boolean {
  const plain = plainAddress(address);
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
}

function plainAddress(address: string): string {
  const lower = address.toLowerCase();
  return lower.startsWith('::ffff:') && isIP(lower.slice(7)) === 4 ? lower.slice(7) : lower;
}

const FORWARDING = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'] as const;

/** Whether the request itself comes from this machine: by UNIX socket or loopback, and not through a proxy that runs here. */
export function isLocal(request: GuardedRequest): boolean {
  if (FORWARDING.some((name) => request.headers[name] !== undefined)) return false;
  return request.unix || isLoopback(request.remoteAddress ?? '');
}

/** Compares the bearer token of a request (RFC 6750, section 2.1) in constant time; an empty token never fits. */
export function hasToken(authorization: string | undefined, token: string): boolean {
  const given = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization ?? '')?.[1];
  if (given === undefined || token === '') return false;
  const digest = (value: string): Buffer => createHash('sha256').update(value).digest();
  return timingSafeEqual(digest(given), digest(token));
}
