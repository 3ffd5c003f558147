// The one normalisation of paths: what it changes, what it refuses, and that it is final.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DEFAULT_PATH_POLICY, normalisePath } from '../../src/http1/normalise.ts';
import { fc } from '../support/properties.ts';

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

  for (const [policy, path, normal] of [
    [{ mergeSlashes: true }, '/a//b///c', '/a/b/c'],
    [{ mergeSlashes: true }, '//a', '/a'],
    [{ mergeSlashes: true }, '/a//../b', '/b'],
    [{ encodedSlash: 'refuse' }, '/a%2Fb', null],
    [{ encodedSlash: 'refuse' }, '/a%252Fb', '/a%252Fb'],
    [{ encodedSlash: 'decode' }, '/a%2fb', '/a/b'],
    [{ encodedSlash: 'decode' }, '/public/..%2fadmin', '/admin'],
    [{ encodedSlash: 'decode' }, '/public%2f%2e%2e%2fadmin', '/admin'],
    [{ encodedSlash: 'decode' }, '/a%252fb', '/a%252fb'],
    [{ encodedSlash: 'decode' }, '/a%2f..;/b', null],
    [{ encodedSlash: 'decode', mergeSlashes: true }, '/a%2F%2Fb', '/a/b'],
    [{ backslash: 'keep' }, '/a\\b%5c', '/a\\b%5C'],
    [{ backslash: 'keep' }, '/a\\..\\b', null],
    [{ backslash: 'slash' }, '/a\\b%5cc', '/a/b/c'],
    [{ backslash: 'slash' }, '/public\\..\\admin', '/admin'],
    [{ parameters: 'refuse' }, '/admin;x=y/users', null],
    [{ parameters: 'refuse' }, '/admin%3bx', null],
    [{ parameters: 'refuse' }, '/admin', '/admin'],
    [{ parameters: 'keep' }, '/admin;x', '/admin;x'],
  ] as const) {
    it(`with ${JSON.stringify(policy)}: ${path} ${normal === null ? 'is refused' : `becomes ${normal}`}`, () => {
      assert.equal(normalisePath(path, { ...DEFAULT_PATH_POLICY, ...policy }), normal);
    });
  }

  it('is final: what it returns it would return again, and no dot segment is left', () => {
    const parts = ['/', '/', '.', '..', 'a', '%2e', '%2F', '%41', '%25', ';', '\\', '%', '%5C', 'é'];
    const path = fc
      .array(fc.constantFrom(...parts.slice(0, -1)), { maxLength: 12 })
      .map((list) => `/${list.join('')}`);
    const policies = fc.record({
      mergeSlashes: fc.boolean(),
      encodedSlash: fc.constantFrom('keep', 'refuse', 'decode'),
      backslash: fc.constantFrom('refuse', 'keep', 'slash'),
      parameters: fc.constantFrom('keep', 'refuse'),
    });
    fc.assert(
      fc.property(path, policies, (text, choices) => {
        const policy = { ...DEFAULT_PATH_POLICY, ...choices };
        const normal = normalisePath(text, policy);
        if (normal === null) return;
        assert.equal(normalisePath(normal, policy), normal);
        assert.ok(normal.startsWith('/'));
        assert.doesNotMatch(normal, /\/\.\.?(?:\/|$)/);
        if (choices.mergeSlashes) assert.doesNotMatch(normal, /\/\//);
        if (choices.encodedSlash === 'decode') assert.doesNotMatch(normal, /%2F/i);
        if (choices.backslash !== 'keep') assert.doesNotMatch(normal, /\\|%5C/i);
      }),
      { numRuns: 2000 },
    );
  });
});
