// A request as rules and hash keys see it.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HeadLimits } from '../../../src/http1/limits.ts';
import { RequestParser } from '../../../src/http1/request-parser.ts';
import { RequestView } from '../../../src/proxy/http/request-view.ts';

const LIMITS: HeadLimits = {
  headerBytes: 32_768,
  lineBytes: 16_384,
  headerCount: 100,
  chunkExtensionBytes: 4096,
  trailerBytes: 4096,
};

function viewOf(...lines: readonly string[]): RequestView {
  const request = Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${lines.join('\r\n')}\r\n\r\n`);
  const parser = new RequestParser(LIMITS);
  parser.next(request, 0, request.length);
  const view = new RequestView('127.0.0.1');
  view.set(parser.head, '/');
  return view;
}

describe('RequestView', () => {
  it('reads lines of one name as a list', () => {
    assert.equal(viewOf('X-A: 1', 'B: 2', 'x-a: 3').header('x-a'), '1, 3');
    assert.equal(viewOf('B: 2').header('x-a'), undefined);
  });

  it('reads cookies on several lines as on one', () => {
    assert.equal(viewOf('Cookie: a=1', 'B: 2', 'cookie: sid=3; c=4').header('cookie'), 'a=1; sid=3; c=4');
  });
});
