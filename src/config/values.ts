// Reads the small texts of a configuration: durations, sizes, bind addresses, ports, names, paths, header fields.

import { isIP } from 'node:net';
import { parseBracketed, parseHostName, withoutCaptures } from './host-pattern.ts';
import { quote, Refusal } from './refusal.ts';

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const SIZE_UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** Where something listens. `unixPath` is set only for `unix:` addresses, with host empty and port 0. */
export interface BindAddress {
  readonly host: string;
  readonly port: number;
  readonly unixPath: string | null;
}

/** Milliseconds of `500ms`, `2s`, `5m` or `1h`; the number 0 is allowed where `minMs` is 0. */
export function parseDuration(written: string | number, minMs: number, maxMs: number): number | Refusal {
  const example = `Write a number and a unit (ms, s, m or h), from ${formatDuration(minMs)} to ${formatDuration(maxMs)}.`;
  const parts = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/.exec(String(written));
  if (parts === null && String(written) !== '0') {
    const fix = /^\d+$/.test(String(written))
      ? `Add the unit: ${written}ms or ${written}s. ${example}`
      : example;
    return new Refusal('duration-invalid', `${quote(String(written))} is not a duration`, fix);
  }
  const milliseconds = parts === null ? 0 : Math.round(Number(parts[1]) * DURATION_UNITS[parts[2]!]!);
  if (milliseconds < minMs || milliseconds > maxMs) {
    const message = `${written} is outside ${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
    return new Refusal('out-of-range', message, example);
  }
  return milliseconds;
}

/** The shortest text that `parseDuration` reads back. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds === 0) {
    return '0s';
  }
  const unit = (['h', 'm', 's'] as const).find((name) => milliseconds % DURATION_UNITS[name]! === 0) ?? 'ms';
  return `${milliseconds / DURATION_UNITS[unit]!}${unit}`;
}

/** Bytes of a whole number or of a text such as `32KiB` or `4MiB`. */
export function parseSize(written: string | number, min: number, max: number): number | Refusal {
  const units = max < SIZE_UNITS['GiB']! ? 'KiB or MiB' : 'KiB, MiB or GiB';
  const fix = `Write bytes as a whole number, or with ${units}, from ${formatSize(min)} to ${formatSize(max)}.`;
  const parts = /^(\d{1,12})(B|KiB|MiB|GiB)?$/.exec(String(written));
  if (parts === null) {
    return new Refusal('size-invalid', `${quote(String(written))} is not a number of bytes`, fix);
  }
  const bytes = Number(parts[1]) * SIZE_UNITS[parts[2] ?? 'B']!;
  return bytes < min || bytes > max
    ? new Refusal('out-of-range', `${written} is outside ${formatSize(min)} to ${formatSize(max)}`, fix)
    : bytes;
}

/** The shortest text that `parseSize` reads back. */
export function formatSize(bytes: number): string {
  const unit = (['GiB', 'MiB', 'KiB'] as const).find((name) => bytes > 0 && bytes % SIZE_UNITS[name]! === 0);
  return unit === undefined ? String(bytes) : `${bytes / SIZE_UNITS[unit]!}${unit}`;
}

/** `:8080` (every IPv4 address, 0.0.0.0), `[::]:8080` (every address), `127.0.0.1:80`, `[::1]:80`. Port 0: one that is free. */
export function parseBind(written: string): BindAddress | Refusal {
  const fix = 'Write :PORT, ADDRESS:PORT or [IPv6]:PORT, for example :8080 or 127.0.0.1:8080.';
  const parts = /^(.*):(\d{1,5})$/s.exec(written);
  if (parts === null) {
    const hint = /^\d{1,5}$/.test(written) ? `Write ":${written}" for every IPv4 address.` : fix;
    return new Refusal('bind-invalid', `${quote(written)} is not an address to listen on`, hint);
  }
  const [, text, digits] = parts as unknown as [string, string, string];
  const port = Number(digits);
  if (port > 65_535) {
    return new Refusal('bind-invalid', `there is no port ${port}`, 'Use a port from 0 to 65535.');
  }
  if (text === '' || isIP(text) === 4) {
    return { host: text === '' ? '0.0.0.0' : text, port, unixPath: null };
  }
  const ipv6 = parseBracketed(text);
  if (ipv6 !== null) {
    return ipv6 instanceof Refusal ? ipv6 : { host: ipv6.slice(1, -1), port, unixPath: null };
  }
  const message = `${quote(text)} is not an IP address`;
  return new Refusal('bind-invalid', message, text === '*' ? `Write ":${port}".` : fix);
}

/** `unix:/path` or what `parseBind` reads. */
export function parseAdminBind(written: string): BindAddress | Refusal {
  if (!written.startsWith('unix:')) {
    return parseBind(written);
  }
  const unixPath = written.slice('unix:'.length);
  // The kernel's limit for sun_path is 108 bytes with its final NUL (unix(7)).
  return unixPath === '' || Buffer.byteLength(unixPath) > 107
    ? new Refusal(
        'bind-invalid',
        'the path of a UNIX socket has 1 to 107 bytes',
        'Write unix:/run/portico.sock.',
      )
    : { host: '', port: 0, unixPath };
}

/** A port number, or the name of a Service port (a DNS label). Digits in quotes are a number. */
export function parsePort(written: string | number): string | number | Refusal {
  const number = typeof written === 'number' ? written : /^\d{1,6}$/.test(written) ? Number(written) : null;
  if (number !== null) {
    return Number.isInteger(number) && number >= 1 && number <= 65_535
      ? number
      : new Refusal(
          'port-invalid',
          `there is no port ${number}`,
          'Use a port from 1 to 65535, or the name of a service port.',
        );
  }
  return /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(String(written))
    ? written
    : new Refusal(
        'port-invalid',
        `${quote(String(written))} is not a port`,
        'Write a number, or the name of a service port such as http.',
      );
}

/** `host:port` of a static target: an IP address (IPv6 in brackets) or a name, in canonical form. */
export function parseAddress(written: string): string | Refusal {
  const parts = /^(.+):(\d{1,5})$/s.exec(written);
  const port = Number(parts?.[2] ?? 0);
  const fix = 'Write ADDRESS:PORT, for example 127.0.0.1:9001, [::1]:9001 or backend.example.com:80.';
  if (parts === null || port < 1 || port > 65_535 || isIP(written) === 6) {
    return new Refusal('address-invalid', `${quote(written)} is not an address with a port`, fix);
  }
  const host = parseHostName(parts[1]!);
  if (host instanceof Refusal) return new Refusal('address-invalid', host.message, fix);
  // A name never ends in a number (RFC 3696, section 2): this is a mistyped address, which no resolver knows.
  if (isIP(host) === 0 && /(?:^|\.)\d+$/.test(host)) {
    return new Refusal('address-invalid', `${quote(host)} is neither an address nor a name`, fix);
  }
  if (host === '0.0.0.0' || host === '[::]') {
    const message = `${host} is every address of this machine, and none to connect to`;
    return new Refusal(
      'address-invalid',
      message,
      `Write ${host === '[::]' ? '[::1]' : '127.0.0.1'}:${port} for this machine.`,
    );
  }
  return `${host}:${port}`;
}

/** `namespace/name` of a Kubernetes Service; with `captures`, `{name}` may stand for any part. */
export function parseServiceName(written: string, captures: boolean): string | Refusal {
  const plain = captures ? withoutCaptures(written) : written;
  const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
  if (new RegExp(`^${label}/${label}$`).test(plain)) {
    return written;
  }
  const fix = /^[a-z0-9-]+$/.test(plain)
    ? `Name the namespace: default/${written}.`
    : `Write namespace/name, for example github-production/unicorn${captures ? ' or review-lab-{branch}/unicorn' : ''}.`;
  return new Refusal('service-invalid', `${quote(written)} does not name a service`, fix);
}

/** A CIDR; a bare address becomes /32 or /128. */
export function parseCidr(written: string): string | Refusal {
  const [address = '', bits, ...rest] = written.split('/');
  const family = isIP(address);
  const width = family === 4 ? 32 : 128;
  if (
    family === 0 ||
    address.includes('%') ||
    rest.length > 0 ||
    (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= width))
  ) {
    return new Refusal(
      'cidr-invalid',
      `${quote(written)} is not a range of addresses`,
      'Write a CIDR such as 10.0.0.0/8 or fd00::/8.',
    );
  }
  return `${address}/${bits ?? width}`;
}

/** A request path as it stands on the wire: absolute, percent-encoded, without dot segments or empty ones. */
export function parsePath(written: string): string | Refusal {
  if (!written.startsWith('/')) {
    return new Refusal(
      'path-invalid',
      `the path ${quote(written)} does not begin with /`,
      `Write ${quote(`/${written}`)}.`,
    );
  }
  if (/[^\x21-\x7e]/.test(written)) {
    return new Refusal(
      'path-invalid',
      `the path ${quote(written)} holds characters that never stand in a request`,
      `Percent-encode them: ${encoded(written)}.`,
    );
  }
  if (/[?#]/.test(written)) {
    return new Refusal(
      'path-invalid',
      `the path ${quote(written)} holds a ? or #`,
      'Keep the part before it; match the query with query.',
    );
  }
  if (/\/(?:\/|\.\.?(?:\/|$))/.test(written)) {
    return new Refusal(
      'path-invalid',
      `the path ${quote(written)} holds an empty or a dot segment`,
      'Write the path in its normal form.',
    );
  }
  return written;
}

function encoded(path: string): string {
  // A lone surrogate has no UTF-8 form, so encodeURI would throw on it.
  return quote(encodeURI(path.toWellFormed()));
}

/** A header name (RFC 9110, section 5.6.2), lower-cased. */
export function parseHeaderName(written: string): string | Refusal {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/.test(written)
    ? written.toLowerCase()
    : new Refusal(
        'header-invalid',
        `${quote(written)} is not the name of a header`,
        'Use letters, digits and hyphens.',
      );
}

/**
 * A header value (RFC 9110, section 5.5): no control characters, no space at its ends, Latin-1 only. The refusal does
 * not repeat it, for it may be a token out of the environment.
 */
export function parseHeaderValue(written: string): string | Refusal {
  return /[^\t\x20-\x7e\x80-\xff]/.test(written) || written !== written.trim()
    ? new Refusal(
        'header-invalid',
        'this cannot be the value of a header',
        'Use printable Latin-1 text on one line, without spaces at its ends.',
      )
    : written;
}

/** A request method (RFC 9110, section 9.1). Methods are case-sensitive. */
export function parseMethod(written: string): string | Refusal {
  return /^[A-Z][A-Z0-9_-]{0,31}$/.test(written)
    ? written
    : new Refusal(
        'method-invalid',
        `${quote(written)} is not a request method`,
        `Methods are case-sensitive: write ${/^[A-Za-z]{1,32}$/.test(written) ? written.toUpperCase() : 'GET, POST or another one'}.`,
      );
}

/** Status codes of a health check: `200` or `200-399`. */
export function parseStatusRange(written: string | number): [number, number] | Refusal {
  const parts = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(String(written));
  const from = Number(parts?.[1]);
  const to = Number(parts?.[2] ?? parts?.[1]);
  return parts === null || to < from
    ? new Refusal(
        'status-invalid',
        `${quote(String(written))} is not a status or a range of them`,
        'Write 200 or "200-399".',
      )
    : [from, to];
}

/** Whether a whole number has no divisor but 1 and itself. */
export function isPrime(number: number): boolean {
  if (number < 2 || number % 2 === 0) {
    return number === 2;
  }
  for (let divisor = 3; divisor * divisor <= number; divisor += 2) {
    if (number % divisor === 0) {
      return false;
    }
  }
  return true;
}

/** `namespace/name` of a Secret; names may have dots (Kubernetes, DNS subdomain names). */
export function parseSecretName(written: string): string | Refusal {
  if (/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\/[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/.test(written)) {
    return written;
  }
  const fix = /^[a-z0-9.-]+$/.test(written)
    ? `Name the namespace: default/${written}.`
    : 'Write namespace/name.';
  return new Refusal('secret-invalid', `${quote(written)} does not name a Secret`, fix);
}
