// The JSON Schema of a configuration file, for editors and for finding which keys a place knows.

import { z } from 'zod';
import type { Path } from './problem.ts';
import { rootSchema } from './schema/root.ts';

/** The parts of JSON Schema (2020-12) that the exported schema uses. */
export interface JsonSchema {
  readonly $schema?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  /** Bounds in the units that people write; only where the value is checked by Portico itself. */
  readonly 'x-bounds'?: string;
  readonly 'x-unit'?: string;
}

let cached: JsonSchema | null = null;

/** The schema of what may be written, with descriptions and defaults. The same frozen-by-convention object each time. */
export function jsonSchema(): JsonSchema {
  cached ??= build();
  return cached;
}

function build(): JsonSchema {
  // `io: input`: what people write, before durations and hosts are read. The library types its result more widely.
  const schema = z.toJSONSchema(rootSchema, { io: 'input' }) as JsonSchema;
  const properties = { ...schema.properties };
  const listeners = properties['listeners'];
  if (listeners !== undefined) {
    // The default is there only so that a missing list is reported together with everything else.
    const { default: _, ...rest } = listeners;
    properties['listeners'] = { ...rest, minItems: 1 };
  }
  const { $schema, ...rest } = schema;
  return {
    ...($schema === undefined ? {} : { $schema }),
    title: 'Portico configuration',
    description: 'Configuration file of Portico, an edge load balancer and NodePort router for Kubernetes.',
    ...rest,
    properties,
    required: ['listeners'],
  };
}

/** Keys that the map at `path` may have; none when there is no map. */
export function knownKeys(path: Path): readonly string[] {
  let places: readonly JsonSchema[] = [jsonSchema()];
  for (const segment of path) {
    places = places.flatMap(branches).flatMap((place) => {
      const next =
        typeof segment === 'number'
          ? place.items
          : place.properties !== undefined && Object.hasOwn(place.properties, segment)
            ? place.properties[segment]
            : undefined;
      return next === undefined ? [] : [next];
    });
  }
  return [...new Set(places.flatMap(branches).flatMap((place) => Object.keys(place.properties ?? {})))];
}

function branches(schema: JsonSchema): readonly JsonSchema[] {
  return schema.anyOf === undefined ? [schema] : schema.anyOf.flatMap(branches);
}
