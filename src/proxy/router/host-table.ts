// The host patterns of one listener, from the most specific to the least: exact, captures and wildcards by suffix, any.

import type { HostPattern } from '../../model/route-config.ts';
import type { SnapshotRoute } from '../../model/snapshot.ts';
import { type Fit, fullRegex } from './conditions.ts';
import { PathTable } from './path-table.ts';
import type { RouteRequest } from './request.ts';
import type { CompiledMatch, RouteMatch } from './rules.ts';
import { HASH_SEED, hashBackward, rollHash, TextIndex } from './text-index.ts';

type CapturePattern = Extract<HostPattern, { kind: 'capture' }>;

const DOT = 0x2e;
/** No host name is longer (RFC 1035, section 2.3.4), and a codec refuses a longer one: it fits no capture. */
const HOST_LENGTH_LIMIT = 255;

interface CaptureHost {
  readonly regex: RegExp;
  /** What each route calls the groups of the expression, in order. */
  readonly names: ReadonlyMap<SnapshotRoute, readonly string[]>;
  readonly paths: PathTable;
}

interface CaptureDraft {
  readonly pattern: CapturePattern;
  readonly names: Map<SnapshotRoute, readonly string[]>;
  readonly matches: CompiledMatch[];
}

/** All patterns that end in the same literal labels; the root, without any, also holds `*`. */
interface SuffixNode {
  readonly captures: readonly CaptureHost[];
  readonly wildcard: PathTable | null;
  /** The next shorter configured suffix. */
  parent: SuffixNode | null;
}

/** The matches of each host pattern, gathered while routes are read. */
export class HostTableBuilder {
  readonly #exact = new Map<string, CompiledMatch[]>();
  readonly #wildcards = new Map<string, CompiledMatch[]>();
  readonly #captures = new Map<string, Map<string, CaptureDraft>>();

  add(pattern: HostPattern, route: SnapshotRoute, matches: readonly CompiledMatch[]): void {
    if (pattern.kind === 'exact') listIn(this.#exact, pattern.host.toLowerCase()).push(...matches);
    else if (pattern.kind === 'any') listIn(this.#wildcards, '').push(...matches);
    else if (pattern.kind === 'wildcard') {
      const suffix = pattern.suffix.toLowerCase().replace(/^\*?\.?/, '');
      listIn(this.#wildcards, suffix).push(...matches);
    } else this.#addCapture(pattern, route, matches);
  }

  build(): HostTable {
    const exact = new Map<string, PathTable>();
    for (const [host, matches] of this.#exact) exact.set(host, new PathTable(matches));
    const suffixes = new Map<string, SuffixNode>();
    for (const suffix of new Set([...this.#wildcards.keys(), ...this.#captures.keys()])) {
      const matches = this.#wildcards.get(suffix);
      suffixes.set(suffix, {
        captures: this.#capturesAt(suffix),
        wildcard: matches === undefined ? null : new PathTable(matches),
        parent: null,
      });
    }
    return new HostTable(exact, suffixes);
  }

  #addCapture(pattern: CapturePattern, route: SnapshotRoute, matches: readonly CompiledMatch[]): void {
    const suffix = literalSuffix(pattern.text.toLowerCase());
    let patterns = this.#captures.get(suffix);
    if (patterns === undefined) {
      patterns = new Map();
      this.#captures.set(suffix, patterns);
    }
    // `{a}.example.com` and `{b}.example.com` fit the same hosts: they must compete as one pattern.
    const shape = pattern.regex.replace(/\?<[A-Za-z_$][\w$]*>/g, '');
    let draft = patterns.get(shape);
    if (draft === undefined) {
      draft = { pattern, names: new Map(), matches: [] };
      patterns.set(shape, draft);
    }
    if (!draft.names.has(route)) draft.names.set(route, pattern.names);
    draft.matches.push(...matches);
  }

  /** Most literal characters first, then the order of the configuration. */
  #capturesAt(suffix: string): readonly CaptureHost[] {
    return [...(this.#captures.get(suffix)?.values() ?? [])]
      .sort((a, b) => literalLength(b.pattern.text) - literalLength(a.pattern.text))
      .map(({ pattern, names, matches }) => ({
        regex: fullRegex(pattern.regex),
        names,
        paths: new PathTable(matches),
      }));
  }
}

/** A lookup costs one pass over the host from the right, up to the longest configured pattern. */
export class HostTable {
  readonly #exact: TextIndex<PathTable>;
  readonly #suffixes: TextIndex<SuffixNode>;
  readonly #root: SuffixNode | null;
  readonly #longest: number;

  constructor(exact: ReadonlyMap<string, PathTable>, suffixes: ReadonlyMap<string, SuffixNode>) {
    let longest = 0;
    for (const host of exact.keys()) longest = Math.max(longest, host.length);
    for (const [suffix, node] of suffixes) {
      longest = Math.max(longest, suffix.length);
      node.parent = parentOf(suffix, suffixes);
    }
    const named = new Map(suffixes);
    named.delete('');
    this.#exact = new TextIndex(exact, hashBackward);
    this.#suffixes = new TextIndex(named, hashBackward);
    this.#root = suffixes.get('') ?? null;
    this.#longest = longest;
  }

  match(request: RouteRequest, out: RouteMatch): Fit {
    const host = request.host;
    const length = host.length;
    let nearest = this.#root;
    let hash = HASH_SEED;
    let at = length - 1;
    for (const stop = length - this.#longest; at >= 0 && at >= stop; at--) {
      const code = host.charCodeAt(at);
      // A wildcard stands for at least one label, so a dot in front of everything ends no suffix.
      if (code === DOT && at > 0) {
        nearest = this.#suffixes.find(hash, host, at + 1, length) ?? nearest;
      }
      hash = rollHash(hash, code);
    }
    if (at < 0) {
      const fit = this.#exact.find(hash, host, 0, length)?.match(request, out) ?? false;
      if (fit !== false) return fit;
    } else if (at > 0 && host.charCodeAt(at) === DOT) {
      nearest = this.#suffixes.find(hash, host, at + 1, length) ?? nearest;
    }
    // The next less specific pattern has its turn when no rule of this one fits.
    for (let node = nearest; node !== null; node = node.parent) {
      let fit: Fit = node.captures.length > 0 && matchCaptures(node.captures, request, out);
      if (fit === false && node.wildcard !== null) fit = node.wildcard.match(request, out);
      if (fit !== false) return fit;
    }
    return false;
  }
}

function matchCaptures(captures: readonly CaptureHost[], request: RouteRequest, out: RouteMatch): Fit {
  if (request.host.length > HOST_LENGTH_LIMIT) return false;
  for (let i = 0; i < captures.length; i++) {
    const host = captures[i] as CaptureHost;
    const groups = host.regex.exec(request.host);
    if (groups === null || !areSafe(groups)) continue;
    const fit = host.paths.match(request, out);
    if (fit === false) continue;
    if (fit !== true) return fit;
    const winner = out.rule as NonNullable<RouteMatch['rule']>;
    const names = host.names.get(winner.route) ?? [];
    for (let n = 0; n < winner.captureNames.length; n++) {
      const group = names.indexOf(winner.captureNames[n] as string);
      out.captures[n] = group < 0 ? '' : (groups[group + 1] ?? '');
    }
    return true;
  }
  return false;
}

/**
 * True when every capture holds only lower-case letters, digits, `-`, `_` and `.`: captures end up in header lines,
 * paths and service names, so whatever the expression and the parser let through, nothing else gets there.
 */
function areSafe(groups: RegExpExecArray): boolean {
  for (let g = 1; g < groups.length; g++) {
    const text = groups[g] ?? '';
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      const letter = code >= 0x61 && code <= 0x7a;
      const digit = code >= 0x30 && code <= 0x39;
      if (!letter && !digit && code !== 0x2d && code !== 0x2e && code !== 0x5f) return false;
    }
  }
  return true;
}

/** The whole labels behind the last capture: `{a}-x.example.com` and `{b}.example.com` both give `example.com`. */
function literalSuffix(text: string): string {
  const rest = text.slice(text.lastIndexOf('}') + 1);
  const dot = rest.indexOf('.');
  return dot < 0 ? '' : rest.slice(dot + 1);
}

const literalLength = (text: string): number => text.replace(/\{[^}]*\}/g, '').length;

function parentOf(suffix: string, nodes: ReadonlyMap<string, SuffixNode>): SuffixNode | null {
  let rest = suffix;
  while (rest !== '') {
    const dot = rest.indexOf('.');
    rest = dot < 0 ? '' : rest.slice(dot + 1);
    const parent = nodes.get(rest);
    if (parent !== undefined) return parent;
  }
  return null;
}

function listIn(map: Map<string, CompiledMatch[]>, key: string): CompiledMatch[] {
  const known = map.get(key);
  if (known !== undefined) return known;
  const list: CompiledMatch[] = [];
  map.set(key, list);
  return list;
}
