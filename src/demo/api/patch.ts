// Patches as kubectl sends them: JSON Merge Patch, JSON Patch, and strategic merge treated as merge.

import { isJsonObject, type Json, type JsonObject } from './kube-object.ts';

export const PATCH_TYPES = {
  'application/merge-patch+json': mergePatch,
  // Lists are replaced whole: true to the API for taints, which is the list that people patch here.
  'application/strategic-merge-patch+json': mergePatch,
  'application/json-patch+json': jsonPatch,
} as const;

/** Deeper patches are refused: no object here comes near it. */
const DEPTH_LIMIT = 32;

/** RFC 7396; keys that begin with `$` are directives of strategic merge and are left out. Throws on nonsense. */
export function mergePatch(target: Json | undefined, patch: Json, depth = 0): Json {
  if (depth > DEPTH_LIMIT) throw new Error('the patch is nested too deeply');
  if (!isJsonObject(patch)) return patch;
  const merged = new Map<string, Json | undefined>(Object.entries(isJsonObject(target) ? target : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$') || value === undefined) continue;
    if (value === null) merged.delete(key);
    else merged.set(key, mergePatch(merged.get(key), value, depth + 1));
  }
  // A Map in between, so that a key such as `__proto__` stays a key.
  return Object.fromEntries(merged);
}

/** The operations add, remove, replace and test of RFC 6902. Throws when one cannot be carried out. */
export function jsonPatch(target: Json | undefined, patch: Json): Json {
  if (!Array.isArray(patch)) throw new Error('a JSON patch is a list');
  let result: Json = target ?? null;
  for (const step of patch as readonly Json[]) {
    if (!isJsonObject(step) || typeof step['path'] !== 'string') throw new Error('an operation needs a path');
    const keys = step['path']
      .split('/')
      .slice(1)
      .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
    result = applyStep(result, keys, step);
  }
  return result;
}

function applyStep(target: Json, keys: readonly string[], step: JsonObject): Json {
  const [key, ...rest] = keys;
  const { op, path } = step;
  const value = step['value'] ?? null;
  if (key === undefined) {
    if (op === 'add' || op === 'replace') return value;
    if (op === 'test' && JSON.stringify(target) === JSON.stringify(value)) return target;
    throw new Error(`cannot ${String(op)} at ${String(path)}`);
  }
  if (Array.isArray(target)) {
    const list: Json[] = [...(target as readonly Json[])];
    const index = key === '-' ? list.length : Number(key);
    const isAdd = rest.length === 0 && op === 'add';
    if (!Number.isInteger(index) || index < 0 || index > list.length - (isAdd ? 0 : 1)) {
      throw new Error(`no such item: ${String(path)}`);
    }
    if (isAdd) list.splice(index, 0, value);
    else if (rest.length === 0 && op === 'remove') list.splice(index, 1);
    else list[index] = applyStep(list[index] as Json, rest, step);
    return list;
  }
  if (!isJsonObject(target)) throw new Error(`no such place: ${String(path)}`);
  const fields = new Map(Object.entries(target));
  if (rest.length === 0 && op === 'add') fields.set(key, value);
  else {
    const old = fields.get(key);
    if (old === undefined) throw new Error(`no such field: ${String(path)}`);
    if (rest.length === 0 && op === 'remove') fields.delete(key);
    else fields.set(key, applyStep(old, rest, step));
  }
  return Object.fromEntries(fields);
}
