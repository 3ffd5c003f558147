// Small questions to the nodes of a YAML document.

import { isScalar, type Pair } from 'yaml';

/** Offset of a node in the text; null for what has none. */
export function startOf(node: unknown): number | null {
  const range = typeof node === 'object' && node !== null && 'range' in node ? node.range : null;
  return Array.isArray(range) && typeof range[0] === 'number' ? range[0] : null;
}

/** `key:` with nothing after it: its own place is the end of the line, so the key is the better thing to show. */
export function isEmpty(node: unknown): boolean {
  return node === null || (isScalar(node) && node.value === null && node.source === '');
}

/** A key as text, or null when it is none; numbers and truth values are the text that was written. */
export function keyText(pair: Pair): string | null {
  const { key } = pair;
  if (!isScalar(key) || typeof key.value === 'object') {
    return null;
  }
  return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value));
}
