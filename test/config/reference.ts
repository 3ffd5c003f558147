// Renders the rows of the configuration reference from the schema, so that page and schema can be held together.

import type { JsonSchema } from '../../src/config/json-schema.ts';

/** Keys that a rule's `service` shares with a pool; the page documents them once. */
const SHARED_WITH_POOLS =
  /^routes\[\]\.rules\[\]\.service\.(policy|health|unknown|ejection|slowStart|panicThreshold|spilloverThreshold|subset|timeouts|connections|proxyProtocol)\b/;

export interface ReferenceRow {
  readonly key: string;
  /** The whole line of the table. */
  readonly line: string;
}

/** One row for every key of the schema, in its order. */
export function referenceRows(schema: JsonSchema, prefix = ''): ReferenceRow[] {
  const rows: ReferenceRow[] = [];
  for (const [name, property] of propertiesOf(schema)) {
    const key = `${prefix}${name}`;
    if (SHARED_WITH_POOLS.test(key)) {
      continue;
    }
    const cells = [
      `\`${key}\``,
      typeOf(property),
      defaultOf(property),
      boundsOf(property),
      property.description ?? '',
    ];
    rows.push({ key, line: `| ${cells.join(' | ')} |` });
    rows.push(
      ...referenceRows(property, `${key}.`),
      ...(property.items === undefined ? [] : referenceRows(property.items, `${key}[].`)),
    );
  }
  return rows;
}

function propertiesOf(schema: JsonSchema): [string, JsonSchema][] {
  const own = Object.entries(schema.properties ?? {});
  return [...own, ...(schema.anyOf ?? []).flatMap(propertiesOf)];
}

function typeOf(schema: JsonSchema): string {
  if (schema['x-unit'] !== undefined) {
    return schema['x-unit'] === 'bytes' ? 'size' : schema['x-unit'];
  }
  if (schema.anyOf !== undefined) {
    return [...new Set(schema.anyOf.map(typeOf))].join(' or ');
  }
  if (schema.enum !== undefined) {
    return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  }
  if (schema.const !== undefined) {
    return `\`${String(schema.const)}\``;
  }
  if (schema.items !== undefined) {
    return `list of ${plural(typeOf(schema.items))}`;
  }
  const words: Readonly<Record<string, string>> = {
    string: 'text',
    integer: 'integer',
    number: 'number',
    boolean: 'boolean',
    object: 'map',
    null: 'null',
  };
  const types = typeof schema.type === 'string' ? [schema.type] : (schema.type ?? []);
  return types.map((type) => words[type] ?? type).join(' or ');
}

function plural(type: string): string {
  return type === 'map' ? 'maps' : type === 'text' ? 'texts' : type === 'integer' ? 'integers' : type;
}

function defaultOf(schema: JsonSchema): string {
  return schema.default === undefined
    ? ''
    : `\`${typeof schema.default === 'string' && schema.default !== '' ? schema.default : JSON.stringify(schema.default)}\``;
}

function boundsOf(schema: JsonSchema): string {
  if (schema['x-bounds'] !== undefined) {
    return schema['x-bounds'];
  }
  if (schema.maxItems !== undefined) {
    return `${schema.minItems ?? 0} to ${schema.maxItems} items`;
  }
  return '';
}
