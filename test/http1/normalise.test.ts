// The one normalisation of paths: what it changes, what it refuses, and that it is final.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_PATH_POLICY, normalisePath } from '../../src/http1/normalise.ts';

describe('normalisePath', () => {
  for (const [section, path, normal] of [
    ['3986 6.2.2', '/', '/'],
    ['3986 6.2.2', '/a/b.c/', '/a/b.c/'],
    ['3986 6.2.2', '*', '*'],
    ['3986 6.2.2', '', ''],
    ['3986 6.2.2.2', '/%7euser/%41%2d%5F', '/~user/A-_'],
    ['3986 6.2.2.1', '/a%2fb%c3%a9%20', '/a%2Fb%C3%A9%20'],
    ['3986 5.2.4', '/a/./b', '/a/b'],
    ['3986 5.2.4', '/a/../b', '/b'],
    ['3986 5.2.4', '/a/b/c/./../../g', '/a/g'],
    ['3986 5.2.4', '/a/..', '/'],
    ['3986 5.2.4', '/a/.', '/a/'],
    ['3986 5.2.4', '/..', '/'],
    ['3986 5.2.4', '/../../a', '/a'],
    ['3986 5.2.4', '/a//../b', '/a/b'],
    ['3986 5.2.4', '/.well-known/...', '/.well-known/...'],
    ['3986 5.2.4', '/a/..b/.c', '/a/..b/.c'],
    ['3986 6.2.2.3', '/public/%2e%2E/admin', '/admin'],
    ['3986 6.2.2.3', '/public/.%2e/admin', '/admin'],
    ['3986 2.4', '/%252e%252e/a', '/%252e%252e/a'],
    ['3986 2.4', '/%25%32%65', '/%252e'],
    ['3986 3.3', '/a//b', '/a//b'],
    ['3986 3.3', '/a;b=c/d', '/a;b=c/d'],
  ] as const) {
    it(`RFC ${section}: ${JSON.stringify(path)} becomes ${JSON.stringify(normal)}`, () => {
      assert.equal(normalisePath(path), normal);
    });
  }

  for (const [why, path] of [
    ['NUL', '/a%00b'],
    ['a broken escape', '/a%'],
    ['a broken escape', '/a%4'],
    ['a broken escape', '/a%zz'],
    ['a raw backslash', '/a\\b'],
    ['an encoded backslash', '/a%5cb'],
    ['dots before an encoded slash', '/public/..%2fadmin'],
    ['dots before an encoded slash', '/public/%2e%2e%2fadmin'],
    ['dots after an encoded slash', '/public%2f../admin'],
    ['dots after an encoded slash', '/public%2f..'],
    ['dots with parameters', '/public/..;/admin'],
    ['dots with parameters', '/public/..;x=y/admin'],
    ['dots with parameters', '/public/%2e%2e%3b/admin'],
    ['a dot with parameters', '/public/.;/admin'],
  ] as const) {
    it(`refuses ${why}: ${path}`, () => {
      assert.equal(normalisePath(path), null);
    });
  }

  it('follows the policy where RFC 3986 leaves a choice', () => {
    assert.equal(normalisePath('/a//b///c', { ...DEFAULT_PATH_POLICY, mergeSlashes: true }), '/a/b/c');
    assert.equal(normalisePath('//a', { ...DEFAULT_PATH_POLICY, mergeSlashes: true }), '/a');
    assert.equal(normalisePath('/a%2Fb', { ...DEFAULT_PATH_POLICY, encodedSlash: 'refuse' }), null);
    assert.equal(normalisePath('/a\\b%5c', { ...DEFAULT_PATH_POLICY, backslash: 'keep' }), '/a\\b%5C');
    assert.equal(normalisePath('/a\\..\\b', { ...DEFAULT_PATH_POLICY, backslash: 'keep' }), null);
  });

  it('is final: what it returns it would return again, and no dot segment is left', () => {
    const parts = ['/', '/', '.', '..', 'a', '%2e', '%2F', '%41', '%25', ';', '\\', '%', '%5C', 'é'];
    const path = fc
      .array(fc.constantFrom(...parts.slice(0, -1)), { maxLength: 12 })
      .map((list) => `/${list.join('')}`);
    for (const mergeSlashes of [false, true]) {
      const policy = { ...DEFAULT_PATH_POLICY, mergeSlashes };
      fc.assert(
        fc.property(path, (text) => {
          const normal = normalisePath(text, policy);
          if (normal === null) return;
          assert.equal(normalisePath(normal, policy), normal);
          assert.ok(normal.startsWith('/'));
          assert.doesNotMatch(normal, /\/\.\.?(?:\/|$)/);
          if (mergeSlashes) assert.doesNotMatch(normal, /\/\//);
        }),
        { numRuns: 1000 },
      );
    }
  });
});
