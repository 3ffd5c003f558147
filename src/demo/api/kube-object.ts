// The shape of a Kubernetes object, as much of it as the stand-in API looks at.

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

export interface ObjectMeta extends JsonObject {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface KubeObject extends JsonObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value at the end of a path of keys; undefined where the path breaks off. */
export function at(object: Json | undefined, ...keys: readonly string[]): Json | undefined {
  let value = object;
  for (const key of keys) {
    if (!isJsonObject(value)) return undefined;
    value = value[key];
  }
  return value;
}
