// Query parameters: decoding and its bounds.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  compileConditions,
  fitsConditions,
  QUERY_LENGTH_LIMIT,
  QUERY_PARAMETER_LIMIT,
  queryValue,
} from '../../../src/proxy/router/conditions.ts';
import { fc } from '../../support/properties.ts';
import { match, request } from './samples.ts';

describe('query value', () => {
  const cases: readonly (readonly [string, string, string | undefined])[] = [
    ['a=1&b=2', 'b', '2'],
    ['a=1&a=2', 'a', '1'],
    ['a', 'a', ''],
    ['a=', 'a', ''],
    ['=1', '', '1'],
    ['a=b=c', 'a', 'b=c'],
    ['a=x+y%20z', 'a', 'x y z'],
    ['%C3%A9=1', 'é', '1'],
    ['a=%E9', 'a', '%E9'],
    ['a=%', 'a', '%'],
    ['&&a=1', 'a', '1'],
    ['ab=1', 'a', undefined],
    ['', 'a', undefined],
    ['b&a=1', 'a', '1'],
  ];
  for (const [query, name, expected] of cases) {
    it(`of ${JSON.stringify(name)} in ${JSON.stringify(query)} is ${JSON.stringify(expected)}`, () => {
      assert.equal(queryValue(query, name), expected);
    });
  }

  it('agrees with URLSearchParams on what that encodes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string({ minLength: 1 }), fc.string())), (pairs) => {
        const parameters = new URLSearchParams(pairs);
        for (const [name] of pairs) {
          assert.equal(queryValue(parameters.toString(), name), parameters.get(name) ?? undefined);
        }
      }),
    );
  });

  for (const end of ['\n', '\r', '\u2028', '\u2029']) {
    const written = encodeURIComponent(end);
    it(`is tried as a whole by an expression, a line end (${written}) is a character like others`, () => {
      const fits = (regex: string, query: string) =>
        fitsConditions(
          compileConditions({ ...match({}), query: [{ kind: 'regex', name: 'q', value: regex }] }),
          request('a', { query }),
        );
      for (const query of [`q=bad${written}`, `q=${written}bad`, `q=a${written}bad${written}b`])
        assert.equal(fits('.*bad.*', query), true, query);
      assert.equal(fits('bad', `q=bad${written}`), false);
      assert.equal(fits('bad', `q=a${written}bad`), false);
    });
  }

  it('is not looked for beyond a number of parameters and a length, nor taken for absent there', () => {
    const parameters = (count: number) => `${'x=1&'.repeat(count)}a=1`;
    assert.equal(queryValue(parameters(QUERY_PARAMETER_LIMIT - 1), 'a'), '1');
    assert.equal(queryValue(parameters(QUERY_PARAMETER_LIMIT), 'a'), null);
    assert.equal(queryValue(parameters(QUERY_PARAMETER_LIMIT), 'x'), '1');
    assert.equal(queryValue('x&'.repeat(QUERY_PARAMETER_LIMIT), 'a'), undefined);
    assert.equal(queryValue(`a=${'x'.repeat(QUERY_LENGTH_LIMIT)}`, 'a'), null);
  });
});
