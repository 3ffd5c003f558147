// The matches of one host pattern, ordered by path: exact, then regular expressions, then the longest prefix.

import { type Fit, fitsConditions, fitsRegex } from './conditions.ts';
import type { RouteRequest } from './request.ts';
import { type CompiledMatch, comparePrecedence, type RouteMatch } from './rules.ts';
import { HASH_SEED, hashForward, rollHash, TextIndex } from './text-index.ts';

const SLASH = 0x2f;
const NONE: readonly CompiledMatch[] = [];

interface PathNode {
  readonly exact: CompiledMatch[];
  readonly prefix: CompiledMatch[];
  /** The next shorter configured prefix. */
  parent: PathNode | null;
}

/** A lookup costs one pass over the path up to the longest configured one, however many paths there are. */
export class PathTable {
  readonly #index: TextIndex<PathNode>;
  readonly #root: PathNode | null;
  readonly #regexes: readonly CompiledMatch[];
  readonly #longest: number;

  constructor(matches: readonly CompiledMatch[]) {
    const nodes = new Map<string, PathNode>();
    const regexes: CompiledMatch[] = [];
    for (const match of matches) {
      if (match.kind === 'regex') {
        regexes.push(match);
        continue;
      }
      let node = nodes.get(match.path);
      if (node === undefined) {
        node = { exact: [], prefix: [], parent: null };
        nodes.set(match.path, node);
      }
      node[match.kind].push(match);
    }
    let longest = 0;
    for (const [path, node] of nodes) {
      node.exact.sort(comparePrecedence);
      node.prefix.sort(comparePrecedence);
      node.parent = parentOf(path, nodes);
      longest = Math.max(longest, path.length);
    }
    const root = nodes.get('');
    this.#root = root !== undefined && root.prefix.length > 0 ? root : null;
    nodes.delete('');
    this.#index = new TextIndex(nodes, hashForward);
    this.#longest = longest;
    this.#regexes =
      regexes.length === 0
        ? NONE
        : regexes.sort((a, b) => b.path.length - a.path.length || comparePrecedence(a, b));
  }

  /**
   * Fills `out` (but for the captures) and returns true when one of the matches fits. None is tried behind one that
   * cannot be decided.
   */
  match(request: RouteRequest, out: RouteMatch): Fit {
    const path = request.path;
    const length = path.length;
    let nearest = this.#root;
    let whole: PathNode | undefined;
    if (this.#longest > 0) {
      const limit = Math.min(length, this.#longest);
      let hash = HASH_SEED;
      for (let i = 0; i < limit; i++) {
        const code = path.charCodeAt(i);
        if (code === SLASH && i > 0) {
          const node = this.#index.find(hash, path, 0, i);
          if (node !== undefined && node.prefix.length > 0) nearest = node;
        }
        hash = rollHash(hash, code);
      }
      if (limit === length) whole = this.#index.find(hash, path, 0, length);
      if (limit === length || path.charCodeAt(limit) === SLASH) {
        const node = limit === length ? whole : this.#index.find(hash, path, 0, limit);
        if (node !== undefined && node.prefix.length > 0) nearest = node;
      }
    }
    let fit: Fit = whole !== undefined && settle(whole.exact, request, length, out);
    if (fit === false && this.#regexes.length > 0) fit = this.#matchRegex(request, out);
    for (let node = nearest; node !== null && fit === false; node = node.parent) {
      fit = settle(node.prefix, request, -1, out);
    }
    return fit;
  }

  #matchRegex(request: RouteRequest, out: RouteMatch): Fit {
    for (let i = 0; i < this.#regexes.length; i++) {
      const match = this.#regexes[i] as CompiledMatch;
      // The conditions go first: they cost less than the expression.
      const conditions = fitsConditions(match.conditions, request);
      if (conditions === false) continue;
      const path = fitsRegex(match.regex as RegExp, request.path, 'target-too-long');
      if (path === false) continue;
      if (conditions !== true) return conditions;
      if (path !== true) return path;
      settleOn(match, request.path.length, out);
      return true;
    }
    return false;
  }
}

/** The first of `candidates` whose conditions fit; `prefixLength` -1 stands for the length of the match's own prefix. */
function settle(
  candidates: readonly CompiledMatch[],
  request: RouteRequest,
  prefixLength: number,
  out: RouteMatch,
): Fit {
  for (let i = 0; i < candidates.length; i++) {
    const match = candidates[i] as CompiledMatch;
    const fit = fitsConditions(match.conditions, request);
    if (fit === false) continue;
    if (fit !== true) return fit;
    settleOn(match, prefixLength < 0 ? match.path.length : prefixLength, out);
    return true;
  }
  return false;
}

function settleOn(match: CompiledMatch, prefixLength: number, out: RouteMatch): void {
  out.rule = match.rule;
  out.match = match;
  out.prefixLength = prefixLength;
}

function parentOf(path: string, nodes: ReadonlyMap<string, PathNode>): PathNode | null {
  for (let end = path.lastIndexOf('/'); end >= 0; end = end === 0 ? -1 : path.lastIndexOf('/', end - 1)) {
    const parent = nodes.get(path.slice(0, end));
    if (parent !== undefined && parent.prefix.length > 0) return parent;
  }
  return null;
}
