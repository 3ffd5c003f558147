// The reference page and the schema say the same, key by key.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { type JsonSchema, jsonSchema } from '../../src/config/json-schema.ts';
import { referenceRows } from './reference.ts';

const page = await readFile(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
const written = page.split('\n').filter((line) => /^\| `/.test(line));

test('every key of the schema stands in the reference with its type, default, bounds and meaning', () => {
  for (const { key, line } of referenceRows(jsonSchema())) {
    assert.ok(
      written.includes(line),
      `docs/configuration.md lacks or misstates ${key}; the line should be:\n${line}`,
    );
  }
});

test('the reference has no key that the schema does not know, and none twice', () => {
  const known = new Set(referenceRows(jsonSchema()).map(({ line }) => line));
  for (const line of written) {
    assert.ok(known.delete(line), `docs/configuration.md has a stale or repeated line:\n${line}`);
  }
});

test('every key of the exported schema is described', () => {
  for (const { key, line } of referenceRows(jsonSchema())) {
    assert.doesNotMatch(line, /\|\s+\|$/, `${key} has no description`);
  }
});

test('the options of a service are those of a pool', () => {
  const pool = Object.keys(jsonSchema().properties?.['pools']?.items?.properties ?? {});
  const rules = jsonSchema().properties?.['routes']?.items?.properties?.['rules'];
  const service = Object.keys(rules?.items?.properties?.['service']?.properties ?? {});
  assert.deepEqual(
    service.filter((key) => !['cluster', 'name', 'port'].includes(key)),
    pool.filter((key) => !['name', 'sources'].includes(key)),
  );
});

test('every map of the exported schema refuses unknown keys, but for header maps', () => {
  const visit = (schema: JsonSchema, path: string): void => {
    if (schema.properties !== undefined) {
      assert.equal(schema.additionalProperties, false, path);
    }
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      visit(property, `${path}.${name}`);
    }
    for (const part of [schema.items, ...(schema.anyOf ?? [])]) {
      if (part !== undefined) {
        visit(part, `${path}[]`);
      }
    }
  };
  visit(jsonSchema(), '');
});
