// The one normalisation of a path before rules are matched against it.

import type { PathPolicy } from '../model/listener-config.ts';

export const DEFAULT_PATH_POLICY: PathPolicy = Object.freeze({
  mergeSlashes: false,
  encodedSlash: 'keep',
  backslash: 'refuse',
  parameters: 'keep',
  forward: 'normalised',
});

/** A path without `%`, backslash, `//` and a segment that begins with a dot is already normal. */
const UNUSUAL = /[%\\]|\/[./]/;
const ESCAPE = /%(?:[0-9A-Fa-f]{2})?/g;
const UNRESERVED = /[A-Za-z0-9\-._~]/;
/**
 * A dot segment that only a server would see which splits segments at `%2F` or `%5C`, or which cuts off parameters
 * at `;` before it resolves dots: no reading of such a path is safe.
 */
const HIDDEN_DOTS = /(?:^|\/|%2F|%5C|\\)\.\.?(?:;|%3B|%2F|%5C|\\)|(?:%2F|%5C|\\)\.\.?(?:\/|$)/;

/**
 * The path that rules are matched against: escapes of unreserved characters decoded and the others in upper case
 * (RFC 3986, sections 6.2.2.1 and 6.2.2.2), then dot segments removed (section 5.2.4; `..` at the root stays at the
 * root). Never decodes twice. Null when the path is refused: a broken escape, NUL, dot segments hidden from one of two
 * readers, and what the policy refuses. Returns the same string when nothing changes. `path` has no query; a path
 * that does not begin with a slash (`*`, '') is returned as it is.
 */
export function normalisePath(path: string, policy: PathPolicy = DEFAULT_PATH_POLICY): string | null {
  if (policy.parameters === 'refuse' && path.includes(';')) return null;
  if (!UNUSUAL.test(path) || path.charCodeAt(0) !== 47) return path;
  const decoded = decodeUnreserved(path);
  if (decoded === null) return null;
  const separated = withSeparators(decoded, policy);
  if (separated === null || HIDDEN_DOTS.test(separated)) return null;
  const merged = policy.mergeSlashes ? separated.replace(/\/{2,}/g, '/') : separated;
  return merged.includes('/.') ? withoutDotSegments(merged) : merged;
}

/** What a server may take for the border of a segment, by the policy; null when it is refused. */
function withSeparators(decoded: string, policy: PathPolicy): string | null {
  const { encodedSlash, backslash, parameters } = policy;
  if (parameters === 'refuse' && decoded.includes('%3B')) return null;
  let path = decoded;
  if (encodedSlash !== 'keep' && path.includes('%2F')) {
    if (encodedSlash === 'refuse') return null;
    path = path.replaceAll('%2F', '/');
  }
  if (backslash !== 'keep' && (path.includes('\\') || path.includes('%5C'))) {
    if (backslash === 'refuse') return null;
    path = path.replaceAll('\\', '/').replaceAll('%5C', '/');
  }
  return path;
}

function decodeUnreserved(path: string): string | null {
  if (!path.includes('%')) return path;
  let valid = true;
  const decoded = path.replace(ESCAPE, (triplet) => {
    if (triplet.length !== 3 || triplet === '%00') {
      valid = false;
      return triplet;
    }
    const char = String.fromCharCode(Number.parseInt(triplet.slice(1), 16));
    return UNRESERVED.test(char) ? char : triplet.toUpperCase();
  });
  return valid ? decoded : null;
}

/** RFC 3986, section 5.2.4, for a path that begins with a slash. */
function withoutDotSegments(path: string): string {
  const segments = path.split('/');
  const kept: string[] = [];
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i]!;
    const last = i === segments.length - 1;
    if (segment === '..') kept.pop();
    if (segment !== '.' && segment !== '..') kept.push(segment);
    else if (last) kept.push('');
  }
  return `/${kept.join('/')}`;
}
