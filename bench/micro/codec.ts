// Micro-benchmark of the HTTP/1.1 codec: nanoseconds for each message, with a check of what was parsed.

import { Buffer } from 'node:buffer';
import { FieldId } from '../../src/http1/field-id.ts';
import type { HeadLimits } from '../../src/http1/limits.ts';
import { normalisePath } from '../../src/http1/normalise.ts';
import { RequestParser } from '../../src/http1/request-parser.ts';
import { ResponseParser } from '../../src/http1/response-parser.ts';
import { Step } from '../../src/http1/step.ts';
import { type Case, measureCases } from './cases.ts';

const LIMITS: HeadLimits = {
  headerBytes: 32768,
  lineBytes: 16384,
  headerCount: 100,
  chunkExtensionBytes: 4096,
  trailerBytes: 8192,
};

const lines = (...text: string[]) => Buffer.from(`${text.join('\r\n')}\r\n\r\n`, 'latin1');

const SMALL_REQUEST = lines(
  'GET /api/v1/items?page=2 HTTP/1.1',
  'Host: www.example.com',
  'User-Agent: wrk/4.2.0',
  'Accept: */*',
  'Accept-Encoding: gzip',
  'Connection: keep-alive',
);

const BROWSER_REQUEST = lines(
  'GET /organisations/portico/repositories?page=2&sort=updated HTTP/1.1',
  'Host: github.example.com',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8',
  'Accept-Language: en-GB,en;q=0.7,de;q=0.3',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Referer: https://github.example.com/organisations/portico',
  'Connection: keep-alive',
  'Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; tz=Europe%2FBerlin',
  'Upgrade-Insecure-Requests: 1',
  'Cache-Control: max-age=0',
);

const POST_REQUEST = Buffer.concat([
  lines('POST /upload HTTP/1.1', 'Host: www.example.com', 'Content-Type: text/plain', 'Content-Length: 1000'),
  Buffer.alloc(1000, 97),
]);

const CHUNKED_REQUEST = Buffer.concat([
  lines('POST /upload HTTP/1.1', 'Host: www.example.com', 'Transfer-Encoding: chunked'),
  Buffer.from(`3e8\r\n${'a'.repeat(1000)}\r\n0\r\n\r\n`, 'latin1'),
]);

const RESPONSE = Buffer.concat([
  lines(
    'HTTP/1.1 200 OK',
    'Server: nginx/1.22.1',
    'Date: Mon, 23 Nov 2026 07:23:28 GMT',
    'Content-Type: text/html; charset=utf-8',
    'Content-Length: 66',
    'Last-Modified: Sun, 22 Nov 2026 01:02:03 GMT',
    'Connection: keep-alive',
    'ETag: "6562f0a0-42"',
    'Accept-Ranges: bytes',
  ),
  Buffer.alloc(66, 98),
]);

/** Parses one buffer again and again, as a keep-alive connection would; counts body bytes and fields. */
function requestCase(name: string, buffer: Buffer, perMessage: number, pieces = 1): Case {
  const parser = new RequestParser(LIMITS);
  const cut = Math.ceil(buffer.length / pieces);
  const run = (count: number) => {
    let work = 0;
    for (let i = 0; i < count; i++) {
      let position = 0;
      let end = pieces === 1 ? buffer.length : cut;
      for (;;) {
        const step = parser.next(buffer, position, end);
        position = parser.position;
        if (step === Step.Head) work += parser.head.count + parser.head.host.length;
        else if (step === Step.Body) work += parser.dataEnd - parser.dataStart;
        else if (step === Step.End) break;
        else if (step === Step.NeedMore && end < buffer.length) end = Math.min(end + cut, buffer.length);
        else throw new Error(`${name}: step ${step} ${parser.failure}`);
      }
    }
    return work;
  };
  return { name, run, expected: (count) => count * perMessage };
}

function responseCase(name: string, buffer: Buffer, perMessage: number): Case {
  const parser = new ResponseParser(LIMITS);
  const run = (count: number) => {
    let work = 0;
    for (let i = 0; i < count; i++) {
      parser.begin('GET');
      let position = 0;
      for (;;) {
        const step = parser.next(buffer, position, buffer.length);
        position = parser.position;
        if (step === Step.Head) work += parser.head.status + parser.head.findNext(FieldId.ContentType, 0);
        else if (step === Step.Body) work += parser.dataEnd - parser.dataStart;
        else if (step === Step.End) break;
        else throw new Error(`${name}: step ${step} ${parser.failure}`);
      }
    }
    return work;
  };
  return { name, run, expected: (count) => count * perMessage };
}

const normaliseCase = (name: string, path: string, normal: string): Case => ({
  name,
  run: (count) => {
    let work = 0;
    for (let i = 0; i < count; i++) work += normalisePath(path)!.length;
    return work;
  },
  expected: (count) => count * normal.length,
});

const CASES: readonly Case[] = [
  requestCase('request, 5 fields', SMALL_REQUEST, 5 + 15),
  requestCase('request, browser, 10 fields', BROWSER_REQUEST, 10 + 18),
  requestCase('request, browser, in 3 pieces', BROWSER_REQUEST, 10 + 18, 3),
  requestCase('request, 1000 bytes by length', POST_REQUEST, 3 + 15 + 1000),
  requestCase('request, 1000 bytes chunked', CHUNKED_REQUEST, 2 + 15 + 1000),
  responseCase('response, 8 fields, 66 bytes', RESPONSE, 200 + 2 + 66),
  normaliseCase(
    'path, already normal',
    '/organisations/portico/repositories',
    '/organisations/portico/repositories',
  ),
  normaliseCase('path, escapes and dots', '/a/%7euser/../b%2fc', '/a/b%2Fc'),
];

measureCases(CASES);
