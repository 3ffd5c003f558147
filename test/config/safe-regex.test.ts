// Regular expressions that a client could make slow are refused, and those that are accepted stay fast.

import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { anchored, REGEX_LIMIT, refuseRegex } from '../../src/config/safe-regex.ts';
import { fullRegex } from '../../src/proxy/router/conditions.ts';
import { fc } from '../support/properties.ts';

const ACCEPTED = [
  '/api/v[0-9]+/.*',
  '/[^/]+\\.(?:css|js|map)',
  '.*\\.png',
  '.*foo.*',
  '(?:[a-z0-9]|-)+',
  '\\d{4}-\\d{2}-\\d{2}',
  '(/[a-z]+)?',
  '^/exact$',
  '(?:ab|cd){2,5}',
  '.*/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}',
  '.*/(?:[a-z]{1,8}-)?[0-9]{1,6}\\.(?:js|json|css)',
  '.*[ab]{256}c',
  '[\\w.-]+@[a-z]+',
  '',
];

const REFUSED: readonly (readonly [string, string])[] = [
  ['(a+)+', 'regex-nested'],
  ['(a*)*b', 'regex-nested'],
  ['(?:a|a)*b', 'regex-nested'],
  ['(?:a|ab)*c', 'regex-nested'],
  ['(?:a|b?)+c', 'regex-nested'],
  ['a*a*b', 'regex-ambiguous'],
  ['.*a.*b.*c', 'regex-ambiguous'],
  ['a*b?a*c', 'regex-ambiguous'],
  ['x{0,256}x{0,256}y', 'regex-ambiguous'],
  [`${'a?'.repeat(30)}${'a'.repeat(30)}`, 'regex-ambiguous'],
  ['(?:a|ab)'.repeat(20), 'regex-ambiguous'],
  ['.*[ab]{0,15}[ab]{0,15}[ab]{0,15}[ab]{256}c', 'regex-ambiguous'],
  [`.*${'[ab]{256}'.repeat(40)}c`, 'regex-ambiguous'],
  [`.*(?:${'[ab]'.repeat(100)}){256}c`, 'regex-ambiguous'],
  ['(a)\\1', 'regex-back-reference'],
  ['(?<=a)b', 'regex-look-around'],
  ['(?!a)b', 'regex-look-around'],
  ['a{1,257}', 'regex-repeat'],
  ['a'.repeat(REGEX_LIMIT + 1), 'regex-too-long'],
  ['(?<name>a)', 'regex-unsafe'],
  ['\\bword', 'regex-unsafe'],
  ['a^b', 'regex-unsafe'],
  ['[b-a]', 'regex-unsafe'],
  ['('.repeat(40) + ')'.repeat(40), 'regex-unsafe'],
];

for (const pattern of ACCEPTED) {
  test(`accepts ${pattern}`, () => {
    assert.equal(refuseRegex(pattern), null);
  });
}

for (const [pattern, code] of REFUSED) {
  test(`refuses ${pattern.slice(0, 40)} as ${code}`, () => {
    assert.equal(refuseRegex(pattern)?.code, code);
  });
}

const piece = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\w', '(a|b)', '(?:a|ab)', '(ab)', 'c');
const quantifier = fc.constantFrom('', '', '*', '+', '?', '{2}', '{0,3}', '{1,200}', '*?');
const pattern = fc
  .array(fc.tuple(piece, quantifier), { minLength: 1, maxLength: 8 })
  .map((parts) => parts.flat().join(''));

test('what is accepted matches hostile values in linear time', () => {
  fc.assert(
    fc.property(
      pattern,
      fc.constantFrom('a', 'b', 'ab', 'aab', 'c'),
      fc.constantFrom('!', '\n'),
      (source, unit, end) => {
        if (refuseRegex(source) !== null) {
          return;
        }
        const regex = fullRegex(anchored(source));
        const value = `${unit.repeat(2000)}${end}`;
        const started = performance.now();
        regex.test(value);
        // Quadratic time would already take seconds with the constants that are allowed here.
        assert.ok(performance.now() - started < 250, `${source} on ${unit}`);
      },
    ),
    { numRuns: 300 },
  );
});

test('any text is either refused or compiles', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        pattern,
        fc.string({ unit: fc.constantFrom(...'()[]{}|*+?^$\\a-,1.') }),
      ),
      (source) => {
        if (refuseRegex(source) === null) {
          new RegExp(anchored(source));
        }
      },
    ),
    { numRuns: 300 },
  );
});
