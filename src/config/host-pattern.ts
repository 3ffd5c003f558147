// Host names and host patterns as routes write them.

import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import type { HostPattern } from '../model/route-config.ts';
import { quote, Refusal } from './refusal.ts';

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
const CAPTURE = /^\{([A-Za-z_][A-Za-z0-9_]*)\}$/;
/** RFC 1035, section 2.3.4, without the root's dot. */
const NAME_LIMIT = 253;
const PLACE = /\{([A-Za-z_][A-Za-z0-9_]*)\}/g;
const CODE = 'host-invalid';
const FIX = 'Write a name such as example.com, *.example.com, {branch}.example.com, or * for every host.';
/** Where one host is meant. */
const PLAIN_FIX = 'Write a name such as example.com, or an address.';
/** Of a server name. */
const NAME_FIX = 'Write a name such as example.com, *.example.com, or * for every name.';

/**
 * Reads `*`, `example.com`, `*.example.com` or `{capture}.example.com`: lower-cased, IDN to punycode, the trailing
 * dot dropped. A capture stands for one whole label of `[a-z0-9-]`; `regex` matches the whole name, with one named
 * group for each capture.
 */
export function parseHostPattern(written: string): HostPattern | Refusal {
  if (written === '*') {
    return { kind: 'any', text: '*' };
  }
  if (written.includes('{') || written.includes('}')) {
    return parseCapture(written);
  }
  if (written.startsWith('*.')) {
    const suffix = parseHostName(written.slice(2));
    if (suffix instanceof Refusal) {
      return suffix;
    }
    return { kind: 'wildcard', text: `*.${suffix}`, suffix: `.${suffix}` };
  }
  const host = parseHostName(written);
  return host instanceof Refusal ? host : { kind: 'exact', text: host, host };
}

/** A pattern of server names (SNI): as for hosts, without captures and addresses. */
export function parseServerName(written: string): Exclude<HostPattern, { kind: 'capture' }> | Refusal {
  const pattern = parseHostPattern(written);
  if (pattern instanceof Refusal) {
    return pattern.fix === FIX ? new Refusal(pattern.code, pattern.message, NAME_FIX) : pattern;
  }
  if (pattern.kind === 'capture') {
    return new Refusal(
      CODE,
      `${quote(written)} has a capture, but a TLS connection has no rule to use it`,
      NAME_FIX,
    );
  }
  if (pattern.kind === 'exact' && isIP(pattern.host.replace(/[[\]]/g, '')) !== 0) {
    const fix = 'Clients ask for names only: use a name, or * for connections without one.';
    return new Refusal(CODE, `${quote(written)} is an address, which is never a server name`, fix);
  }
  return pattern;
}

/** A plain host name or IP address (IPv6 in brackets) without a port, in the form that routes compare. */
export function parseHostName(written: string): string | Refusal {
  if (isIP(written) === 4) {
    return written;
  }
  const ipv6 = parseBracketed(written);
  if (ipv6 !== null) {
    return ipv6;
  }
  if (isIP(written) === 6) {
    return new Refusal(CODE, `the IPv6 address ${quote(written)} needs brackets`, `Write "[${written}]".`);
  }
  if (/:\d+$/.test(written)) {
    const fix = `Write ${quote(written.replace(/:\d+$/, ''))}: the port belongs to the listener.`;
    return new Refusal('host-port', `the host ${quote(written)} names a port`, fix);
  }
  if (written.includes('*')) {
    return new Refusal(CODE, `in ${quote(written)} the wildcard is not the whole first label`, FIX);
  }
  const name = written.replace(/\.$/, '');
  const ascii = /^[\x20-\x7e]*$/.test(name) ? name.toLowerCase() : domainToASCII(name);
  if (ascii === '' || ascii.length > NAME_LIMIT || !ascii.split('.').every((label) => LABEL.test(label))) {
    return new Refusal(CODE, `${quote(written)} is not a host name`, FIX);
  }
  return ascii;
}

/** As `parseHostName`, where nobody may think of a pattern. */
export function parsePlainHost(written: string): string | Refusal {
  if (written.includes('*')) {
    return new Refusal(CODE, `${quote(written)} is a pattern, but one host is meant here`, PLAIN_FIX);
  }
  const host = parseHostName(written);
  return host instanceof Refusal && host.fix === FIX ? new Refusal(host.code, host.message, PLAIN_FIX) : host;
}

/** The shortest form of an IPv6 address in brackets, with them; null when it is something else. */
export function parseBracketed(written: string): string | Refusal | null {
  if (!written.startsWith('[') || !written.endsWith(']') || isIP(written.slice(1, -1)) !== 6) {
    return null;
  }
  // `isIP` takes zones (RFC 4007); URLs, requests and sockets of ours know none.
  if (written.includes('%')) {
    const message = `the address ${quote(written)} has a zone, which has no meaning beyond one machine`;
    return new Refusal(CODE, message, 'Use an address that is valid without a zone.');
  }
  return new URL(`http://${written}`).hostname;
}

/** Names in the `{capture}` places of a text, in order. */
export function captureNames(text: string): readonly string[] {
  return [...text.matchAll(PLACE)].map(([, name = '']) => name);
}

/** The text with a letter in each `{capture}` place, to check the form of what it will become. */
export function withoutCaptures(text: string): string {
  return text.replace(PLACE, 'x');
}

/** As `parsePlainHost`, with `{capture}` places, whose names keep their case. */
export function parseHostTemplate(written: string): string | Refusal {
  if (captureNames(written).length === 0) {
    return parsePlainHost(written);
  }
  const host = parsePlainHost(withoutCaptures(written));
  return host instanceof Refusal ? host : written;
}

function parseCapture(written: string): HostPattern | Refusal {
  const names: string[] = [];
  const texts: string[] = [];
  const expressions: string[] = [];
  for (const label of written.replace(/\.$/, '').split('.')) {
    const capture = CAPTURE.exec(label)?.[1];
    if (capture !== undefined) {
      if (names.includes(capture)) {
        return new Refusal(
          'capture-duplicate',
          `the capture {${capture}} stands twice in ${quote(written)}`,
          'Give each capture a name of its own.',
        );
      }
      names.push(capture);
      texts.push(label);
      // A label ends at 63 characters (RFC 1035, section 2.3.4).
      expressions.push(`(?<${capture}>[a-z0-9-]{1,63})`);
      continue;
    }
    if (label.includes('{') || label.includes('}')) {
      return new Refusal(
        'capture-invalid',
        `in ${quote(written)} a capture is not one whole label`,
        'Write {name} between dots, with letters, digits and _ in the name.',
      );
    }
    const plain = parseHostName(label);
    if (plain instanceof Refusal) {
      return new Refusal(CODE, `${quote(written)} is not a host pattern`, FIX);
    }
    texts.push(plain);
    expressions.push(plain);
  }
  const text = texts.join('.');
  if (text.length > NAME_LIMIT) {
    return new Refusal(CODE, `${quote(written)} is longer than a host name can be`, FIX);
  }
  return { kind: 'capture', text, names, regex: `^${expressions.join('\\.')}$` };
}
