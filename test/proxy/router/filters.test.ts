// Filters and actions: header edits, rewrites, redirects, direct responses and the choice of a pool.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FilterConfig, PathRewrite } from '../../../src/model/route-config.ts';
import type { SnapshotAction } from '../../../src/model/snapshot.ts';
import { compileAction, compileWeighted, locationOf } from '../../../src/proxy/router/actions.ts';
import { compileFilters, compilePath, rewritePath } from '../../../src/proxy/router/filters.ts';
import { editLines } from '../../../src/proxy/router/header-edits.ts';
import { render } from '../../../src/proxy/router/template.ts';
import { actionOf, choosePool, NO_POOL } from '../../../src/proxy/router/weighted.ts';
import { fc } from '../../support/properties.ts';
import { request } from './samples.ts';

const field = (line: string) => {
  const [name, value] = line.split('=');
  return { name: name as string, value: value as string };
};
const headers = (
  kind: 'request-headers' | 'response-headers',
  edits: { set?: string[]; add?: string[]; remove?: string[] },
): FilterConfig => ({
  kind,
  set: (edits.set ?? []).map(field),
  add: (edits.add ?? []).map(field),
  remove: edits.remove ?? [],
});

describe('prefix rewrite follows the table of HTTPRoute', () => {
  const table: readonly (readonly [string, string, string, string])[] = [
    ['/foo/bar', '/foo', '/xyz', '/xyz/bar'],
    ['/foo/bar', '/foo', '/xyz/', '/xyz/bar'],
    ['/foo/bar', '/foo/', '/xyz', '/xyz/bar'],
    ['/foo/bar', '/foo/', '/xyz/', '/xyz/bar'],
    ['/foo', '/foo', '/xyz', '/xyz'],
    ['/foo/', '/foo', '/xyz', '/xyz/'],
    ['/foo/bar', '/foo', '', '/bar'],
    ['/foo/', '/foo', '', '/'],
    ['/foo', '/foo', '', '/'],
    ['/foo/', '/foo', '/', '/'],
    ['/foo', '/foo', '/', '/'],
    ['/foo/bar', '/', '/xyz', '/xyz/foo/bar'],
  ];
  for (const [path, prefix, replacement, expected] of table) {
    it(`${path} with ${prefix} by ${JSON.stringify(replacement)} is ${expected}`, () => {
      const plan = compilePath({ kind: 'prefix', value: replacement }, []);
      assert.equal(rewritePath(plan, path, prefix.replace(/\/$/, '').length, []), expected);
    });
  }

  it('a full rewrite takes the place of the whole path, captures filled in', () => {
    const plan = compilePath({ kind: 'full', value: '/env/{branch}/index' }, ['branch']);
    assert.equal(rewritePath(plan, '/foo/bar', 4, ['fix-1']), '/env/fix-1/index');
  });

  it('refuses what is no path', () => {
    for (const value of ['x', '/a b', '/a\r\nX: y', '/a?b', '/a#b']) {
      assert.throws(() => compilePath({ kind: 'full', value }, []), RangeError, value);
    }
  });
});

describe('header edits', () => {
  it('set drops the lines of the message, add keeps them, remove only drops', () => {
    const { request, response } = compileFilters(
      [headers('request-headers', { set: ['X-Set=1'], add: ['X-Add=2'], remove: ['X-Gone'] })],
      [],
    );
    assert.deepEqual([...(request?.drop ?? [])].sort(), ['x-gone', 'x-set']);
    assert.equal(request?.setLines, 'X-Set: 1\r\nX-Add: 2\r\n');
    assert.equal(response, null);
  });

  it('take effect in the order of the filters', () => {
    const { response } = compileFilters(
      [
        headers('response-headers', { set: ['X-A=1', 'X-B=1'] }),
        headers('response-headers', { add: ['X-A=2'], remove: ['x-b'] }),
      ],
      [],
    );
    assert.deepEqual([...(response?.drop ?? [])].sort(), ['x-a', 'x-b']);
    assert.equal(response?.setLines, 'X-A: 1\r\nX-A: 2\r\n');
  });

  it('fill captures in', () => {
    const { request } = compileFilters(
      [headers('request-headers', { set: ['X-Env={branch}/{other}'] })],
      ['branch'],
    );
    assert.equal(request?.setLines, null);
    assert.equal(request && editLines(request, ['fix-1']), 'X-Env: fix-1/{other}\r\n');
  });

  it('refuse names and values that no message may carry, and fields that are not a filter’s', () => {
    const bad = [
      'X A=1',
      'X-A=1\r\nX-B: 2',
      'X-A= 1',
      'X-A=1\u0000',
      'X-A=☃',
      'Content-Length=1',
      'TE=gzip',
      'Host=a',
      'Sec-WebSocket-Key=a',
    ];
    for (const line of bad) {
      assert.throws(
        () => compileFilters([headers('request-headers', { set: [line] })], []),
        RangeError,
        line,
      );
    }
    assert.throws(
      () => compileFilters([headers('request-headers', { remove: ['Connection'] })], []),
      RangeError,
    );
  });

  it('rewrite the host with captures', () => {
    const { host } = compileFilters([{ kind: 'rewrite', host: '{branch}.internal', path: null }], ['branch']);
    assert.equal(host && render(host, ['fix-1']), 'fix-1.internal');
    assert.throws(() => compileFilters([{ kind: 'rewrite', host: 'a\nb', path: null }], []), RangeError);
  });
});

describe('redirect', () => {
  interface Redirect {
    readonly scheme?: 'http' | 'https';
    readonly host?: string;
    readonly port?: number;
    readonly path?: PathRewrite;
  }
  const location = (
    redirect: Redirect,
    origin: { scheme: 'http' | 'https'; port: number },
    path = '/a/b',
    query = '',
    host = 'example.com',
  ): string => {
    const action = compileAction(
      {
        kind: 'redirect',
        scheme: redirect.scheme ?? null,
        host: redirect.host ?? null,
        port: redirect.port ?? null,
        path: redirect.path ?? null,
        status: 302,
      },
      [],
      ['branch'],
    );
    assert.equal(action.kind, 'redirect');
    return locationOf(
      action as Extract<typeof action, { kind: 'redirect' }>,
      request(host, { path, query }),
      origin,
      2,
      ['fix-1'],
    );
  };
  const plain = { scheme: 'http', port: 8080 } as const;

  it('keeps what it does not change, with the port of the listener', () => {
    assert.equal(location({}, plain, '/a/b', 'x=1&y=%20'), 'http://example.com:8080/a/b?x=1&y=%20');
  });
  it('uses the port of the scheme when the scheme is set, and does not write it', () => {
    assert.equal(location({ scheme: 'https' }, plain), 'https://example.com/a/b');
    assert.equal(location({ scheme: 'http' }, { scheme: 'https', port: 8443 }), 'http://example.com/a/b');
  });
  it('writes no usual port of the listener’s own scheme', () => {
    assert.equal(location({}, { scheme: 'http', port: 80 }), 'http://example.com/a/b');
    assert.equal(location({}, { scheme: 'https', port: 443 }), 'https://example.com/a/b');
    assert.equal(location({}, { scheme: 'http', port: 443 }), 'http://example.com:443/a/b');
  });
  it('writes a port that is set, unless it is the usual one', () => {
    assert.equal(location({ scheme: 'https', port: 8443 }, plain), 'https://example.com:8443/a/b');
    assert.equal(location({ scheme: 'https', port: 443 }, plain), 'https://example.com/a/b');
    assert.equal(location({ port: 80 }, plain), 'http://example.com/a/b');
  });
  it('changes host and path, captures filled in', () => {
    assert.equal(
      location({ host: '{branch}.example.org', path: { kind: 'prefix', value: '/{branch}' } }, plain),
      'http://fix-1.example.org:8080/fix-1/b',
    );
    assert.equal(
      location({ path: { kind: 'full', value: '/z' } }, plain, '/a', 'q=1'),
      'http://example.com:8080/z?q=1',
    );
  });
  it('leads to the root of the host what asked for the server as a whole', () => {
    assert.equal(location({ scheme: 'https' }, plain, '*'), 'https://example.com/');
  });
  it('keeps escapes as they are and escapes what may not stand in a URI', () => {
    assert.equal(
      location({}, plain, '/%2F%e9/é "<', 'a|b'),
      'http://example.com:8080/%2F%e9/%E9%20%22%3C?a%7Cb',
    );
  });
  it('cannot be made to end the header line, whatever the request holds', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.string({ unit: 'binary' }),
        fc.string(),
        (path, query, host) => {
          assert.match(location({}, plain, `/a${path}`, query, host), /^[\x21-\x7e]+$/);
        },
      ),
    );
  });
});

describe('direct response', () => {
  const respond = (
    action: Partial<Extract<SnapshotAction, { kind: 'respond' }>>,
    filters: FilterConfig[] = [],
  ) => {
    const compiled = compileAction(
      { kind: 'respond', status: 200, body: '', headers: [], ...action },
      filters,
      ['branch'],
    );
    assert.equal(compiled.kind, 'respond');
    return compiled as Extract<typeof compiled, { kind: 'respond' }>;
  };

  it('has its length in bytes and a type', () => {
    const { status, fields, body } = respond({ status: 503, body: 'Zurück\n' });
    assert.equal(status, 503);
    assert.equal(fields.literal, 'Content-Type: text/plain; charset=utf-8\r\nContent-Length: 8\r\n');
    assert.equal(body.toString(), 'Zurück\n');
  });
  it('keeps the fields of the configuration, with the response filters folded in', () => {
    const filter = headers('response-headers', { set: ['X-Env={branch}'], remove: ['x-old'] });
    const lines = ['content-type=text/html', 'X-Old=1', 'x-env=prod'].map(field);
    const { fields } = respond({ body: '<p>', headers: lines }, [filter]);
    assert.equal(
      render(fields, ['fix-1']),
      'content-type: text/html\r\nX-Env: fix-1\r\nContent-Length: 3\r\n',
    );
  });
  it('has neither body nor length when the status forbids it', () => {
    const { status, fields, body } = respond({ status: 204, body: 'ignored' });
    assert.equal(status, 204);
    assert.equal(fields.literal, '');
    assert.equal(body.length, 0);
  });
  it('refuses framing fields, informational statuses and line breaks', () => {
    assert.throws(() => respond({ headers: [field('Content-Length=5')] }), RangeError);
    assert.throws(() => respond({ headers: [{ name: 'X-A', value: 'a\r\nb: c' }] }), RangeError);
    assert.throws(() => respond({ status: 101 }), RangeError);
  });
});

describe('pool of a rule', () => {
  it('is chosen in proportion to the weights, never one of weight 0', () => {
    const weighted = compileWeighted([
      { pool: 4, weight: 95 },
      { pool: 7, weight: 0 },
      { pool: 9, weight: 5 },
    ]);
    const counts = new Map<number, number>();
    for (let i = 0; i < 1000; i++) {
      const pool = choosePool(weighted, i / 1000);
      counts.set(pool, (counts.get(pool) ?? 0) + 1);
    }
    assert.deepEqual(
      [...counts],
      [
        [4, 950],
        [9, 50],
      ],
    );
    assert.equal(choosePool(weighted, 0.999999999999), 9);
  });
  it('is none when every weight is 0', () => {
    assert.equal(choosePool(compileWeighted([{ pool: 1, weight: 0 }]), 0.5), NO_POOL);
    assert.equal(choosePool(compileWeighted([]), 0), NO_POOL);
  });
  it('is the one that the captures name, and none for a name that only the prototype has', () => {
    const pools = { 'review-lab-fix-1/unicorn': 3 };
    const named = compileAction(
      { kind: 'service', service: 'review-lab-{branch}/unicorn', pools },
      [],
      ['branch'],
    );
    assert.equal(actionOf(named, ['fix-1'], 0), 3);
    assert.equal(actionOf(named, ['fix-2'], 0), NO_POOL);
    const bare = compileAction({ kind: 'service', service: '{branch}', pools: {} }, [], ['branch']);
    for (const name of ['constructor', '__proto__', 'tostring', ''])
      assert.equal(actionOf(bare, [name], 0), NO_POOL);
  });
});
