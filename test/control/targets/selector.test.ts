import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchesSelector, parseSelector } from '../../../src/control/targets/selector.ts';
import { fc } from '../../support/properties.ts';

const matches = (selector: string, labels: Record<string, string>): boolean => {
  const parsed = parseSelector(selector);
  assert.ok(parsed.ok, `${selector} parses`);
  return matchesSelector(parsed.requirements, labels);
};

const LABELS = { pool: 'web', zone: 'b', 'example.com/gpu': '', tier: 'front' };
const TABLE: readonly [selector: string, expected: boolean][] = [
  ['', true],
  ['  ', true],
  ['pool=web', true],
  ['pool==web', true],
  ['pool = web', true],
  ['pool=db', false],
  ['pool!=db', true],
  ['pool!=web', false],
  ['missing!=x', true],
  ['missing=x', false],
  ['zone in (a,b)', true],
  ['zone in ( a , b )', true],
  ['zone in (a,c)', false],
  ['missing in (a)', false],
  ['zone notin (a,c)', true],
  ['zone notin (b)', false],
  ['missing notin (a)', true],
  ['example.com/gpu', true],
  ['missing', false],
  ['!missing', true],
  ['! missing', true],
  ['!pool', false],
  ['example.com/gpu=', true],
  ['pool=web,zone!=c,tier in (front,back),!missing,example.com/gpu', true],
  ['pool=web,zone in (a,b),missing', false],
];
for (const [selector, expected] of TABLE) {
  test(`selector "${selector}" ${expected ? 'matches' : 'does not match'}`, () => {
    assert.equal(matches(selector, LABELS), expected);
  });
}

for (const selector of [
  'a=b=c',
  ',a',
  'a,',
  'a in b',
  'a in (b',
  '=x',
  'a b',
  'UP_/x=1',
  '-a',
  'a in (x y)',
  'a>3',
]) {
  test(`selector "${selector}" is refused with the place of the problem`, () => {
    const parsed = parseSelector(selector);
    assert.equal(parsed.ok, false);
    assert.ok(!parsed.ok && parsed.at >= 0 && parsed.at <= selector.length && parsed.problem !== '');
  });
}

test('labels named like properties of objects are only labels', () => {
  assert.equal(matches('constructor', {}), false);
  assert.equal(matches('!toString', {}), true);
});

test('parsing never throws', () => {
  fc.assert(fc.property(fc.string(), (text) => typeof parseSelector(text).ok === 'boolean'));
});
