// Field ids: every known name in any case, and nothing that merely looks like one.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FIELD_NAMES, FieldId, fieldIdOf, isKnownAlias } from '../../src/http1/field-id.ts';
import { PARSE_FAILURES, requestFailure, responseFailure } from '../../src/http1/parse-failure.ts';
import { FAILURES } from '../../src/model/failures.ts';
import { bytesOf } from './drive.ts';

const idOf = (name: string) => {
  const bytes = bytesOf(`>${name}:`);
  return fieldIdOf(bytes, 1, 1 + name.length);
};

const expectedOf = (name: string): number => {
  const known = FIELD_NAMES.indexOf(name.toLowerCase());
  if (known >= 0) return known;
  return /^x-forwarded-/i.test(name) ? FieldId.XForwarded : FieldId.Unknown;
};

describe('field ids', () => {
  it('stand in the order of their names', () => {
    for (const [key, id] of Object.entries(FieldId)) {
      if (id === FieldId.Unknown || id === FieldId.Dropped) continue;
      assert.equal(FIELD_NAMES[id]!.replaceAll('-', ''), key.toLowerCase());
    }
    assert.equal(new Set(FIELD_NAMES).size, FIELD_NAMES.length);
    assert.equal(FIELD_NAMES.length, Object.keys(FieldId).length - 1);
  });

  it('are found in any case', () => {
    for (const [id, name] of FIELD_NAMES.entries()) {
      if (id === 0) continue;
      const mixed = [...name].map((char, i) => (i % 2 === 0 ? char.toUpperCase() : char)).join('');
      for (const spelling of [name, name.toUpperCase(), mixed]) assert.equal(idOf(spelling), id, spelling);
    }
  });

  it('are not found for names that differ in one byte', () => {
    for (const name of FIELD_NAMES.slice(1)) {
      for (let i = 0; i < name.length; i++) {
        for (const byte of "!#$%&'*+.^_`|~09qQ") {
          const other = name.slice(0, i) + byte + name.slice(i + 1);
          assert.equal(idOf(other), expectedOf(other), other);
        }
      }
      assert.equal(idOf(`${name}x`), expectedOf(`${name}x`));
    }
  });

  it('are one for every name that begins with X-Forwarded-, and is not known by itself', () => {
    for (const name of ['X-Forwarded-Ssl', 'x-forwarded-', 'X-FORWARDED-Client-Cert'])
      assert.equal(idOf(name), FieldId.XForwarded, name);
    for (const name of ['X-Forwarde-Ssl', 'X_Forwarded-Ssl', 'XX-Forwarded-Ssl', 'X-Forwarded_Ssl'])
      assert.equal(idOf(name), FieldId.Unknown, name);
  });

  it('aliases are those that have another mark for a dash', () => {
    const isAlias = (name: string) => isKnownAlias(bytesOf(name), 0, name.length);
    assert.ok(isAlias('x_forwarded_for') && isAlias('X.Forwarded-For') && isAlias('Content_Length'));
    assert.ok(isAlias('X!Forwarded~For') && isAlias('x_forwarded_anything'));
    assert.ok(!isAlias('x_mine') && !isAlias('x.y'));
  });
});

describe('parse failures', () => {
  it('all lead to an entry of the failure table, for requests and for responses', () => {
    for (const reason of PARSE_FAILURES) {
      assert.ok(requestFailure(reason) in FAILURES, reason);
      assert.equal(FAILURES[requestFailure(reason)].close, true, reason);
      assert.equal(FAILURES[responseFailure(reason)].status, 502, reason);
    }
  });
});
