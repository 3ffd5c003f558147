// Strict readers for fields of a Kubernetes object: each returns the value or throws the field's path.

import { isJsonObject, type JsonObject } from './json.ts';

/** A field that has the wrong shape. `field` is its path without indices: a bounded metric label. */
export class BadField extends Error {
  readonly field: string;

  constructor(field: string) {
    super(`field ${field} has an unexpected shape`);
    this.name = 'BadField';
    this.field = field;
  }
}

/** An absent object reads as an empty one: Go leaves out empty structs and maps. */
export function objectField(parent: JsonObject, key: string, path: string): JsonObject {
  const value = parent[key];
  if (value === undefined || value === null) return {};
  if (!isJsonObject(value)) throw new BadField(path);
  return value;
}

/** An absent or null array reads as an empty one: Go writes a nil slice as null. */
export function arrayField(parent: JsonObject, key: string, path: string): readonly JsonObject[] {
  const value = parent[key];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new BadField(path);
  for (const item of value) if (!isJsonObject(item)) throw new BadField(path);
  return value;
}

export function stringArrayField(parent: JsonObject, key: string, path: string): readonly string[] {
  const value = parent[key];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new BadField(path);
  for (const item of value) if (typeof item !== 'string') throw new BadField(path);
  return value;
}

export function stringField(parent: JsonObject, key: string, path: string): string {
  const value = parent[key];
  if (typeof value !== 'string' || value === '') throw new BadField(path);
  return value;
}

export function optionalString<T extends string | null>(
  parent: JsonObject,
  key: string,
  path: string,
  fallback: T,
): string | T {
  const value = parent[key];
  if (value === undefined || value === null) return fallback;
  if (typeof value !== 'string') throw new BadField(path);
  return value;
}

export function optionalBoolean(parent: JsonObject, key: string, path: string, fallback: boolean): boolean {
  const value = parent[key];
  if (value === undefined || value === null) return fallback;
  if (typeof value !== 'boolean') throw new BadField(path);
  return value;
}

/** A port number from 0 to 65535; absent and null read as 0. */
export function optionalPort(parent: JsonObject, key: string, path: string): number {
  const value = parent[key];
  if (value === undefined || value === null) return 0;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 65535) {
    throw new BadField(path);
  }
  return value;
}

/** A map of strings, as labels are. */
export function stringMapField(
  parent: JsonObject,
  key: string,
  path: string,
): Readonly<Record<string, string>> {
  const entries = Object.entries(objectField(parent, key, path));
  for (const [, value] of entries) if (typeof value !== 'string') throw new BadField(path);
  return Object.fromEntries(entries) as Record<string, string>;
}
