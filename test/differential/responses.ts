// Hostile and broken answers of a backend, by family, as raw bytes.

import type { Answer } from './backend.ts';

export interface ResponseCase {
  /** `family/case`; unique. */
  readonly name: string;
  readonly method: 'GET' | 'HEAD';
  readonly answer: Answer;
}

/** A whole answer that nobody asked for: it must never reach any client. */
const EVIL = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
const CHUNKED = 'Transfer-Encoding: chunked\r\n';

const ok = (fields: string, body = ''): string => `HTTP/1.1 200 OK\r\n${fields}\r\n${body}`;

function family(
  name: string,
  cases: readonly (readonly [what: string, text: string, then?: Answer['then'], method?: 'GET' | 'HEAD'])[],
): ResponseCase[] {
  return cases.map(([what, text, then, method = 'GET']) => ({
    name: `${name}/${what}`,
    method,
    answer: then === undefined ? { text } : { text, then },
  }));
}

export const RESPONSES: readonly ResponseCase[] = [
  ...family('answer-framing', [
    ['plain', ok('Content-Length: 2\r\n', 'ok')],
    ['cl-te', ok(`Content-Length: 2\r\n${CHUNKED}`, '2\r\nok\r\n0\r\n\r\n')],
    ['te-cl', ok(`${CHUNKED}Content-Length: 100\r\n`, '2\r\nok\r\n0\r\n\r\n')],
    ['two-lengths-equal', ok('Content-Length: 2\r\nContent-Length: 2\r\n', 'ok')],
    ['two-lengths', ok('Content-Length: 2\r\nContent-Length: 4\r\n', 'okxx')],
    ['length-list', ok('Content-Length: 2, 2\r\n', 'ok')],
    ['length-plus', ok('Content-Length: +2\r\n', 'ok')],
    ['length-negative', ok('Content-Length: -2\r\n', 'ok')],
    ['length-hex', ok('Content-Length: 0x2\r\n', 'ok')],
    ['length-empty', ok('Content-Length:\r\n', 'ok'), 'end'],
    ['length-huge', ok('Content-Length: 99999999999999999999\r\n', 'ok'), 'end'],
    ['length-space-before-colon', ok('Content-Length : 2\r\n', 'ok'), 'end'],
    ['te-gzip-chunked', ok('Transfer-Encoding: gzip, chunked\r\n', '2\r\nok\r\n0\r\n\r\n')],
    ['te-identity', ok('Transfer-Encoding: identity\r\n', 'ok'), 'end'],
    ['te-chunked-identity', ok('Transfer-Encoding: chunked, identity\r\n', '2\r\nok\r\n0\r\n\r\n'), 'end'],
    ['te-twice', ok(CHUNKED + CHUNKED, '2\r\nok\r\n0\r\n\r\n')],
    ['te-vertical-tab', ok('Transfer-Encoding: \x0bchunked\r\n', '2\r\nok\r\n0\r\n\r\n'), 'end'],
    ['te-space-before-colon', ok('Transfer-Encoding : chunked\r\n', '2\r\nok\r\n0\r\n\r\n'), 'end'],
    ['te-http-1.0', `HTTP/1.0 200 OK\r\n${CHUNKED}\r\n2\r\nok\r\n0\r\n\r\n`, 'end'],
    ['until-close', ok('', 'ok'), 'end'],
    ['until-reset', ok('', 'ok'), 'reset'],
    ['http-1.0-until-close', 'HTTP/1.0 200 OK\r\n\r\nok', 'end'],
  ]),
  ...family('answer-chunk', [
    ['plain', ok(CHUNKED, '2\r\nok\r\n0\r\n\r\n')],
    ['trailers', ok(CHUNKED, '2\r\nok\r\n0\r\nX-T: 1\r\n\r\n')],
    ['trailer-length', ok(CHUNKED, '2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n')],
    ['trailer-set-cookie', ok(CHUNKED, '2\r\nok\r\n0\r\nSet-Cookie: a=b\r\n\r\n')],
    ['bad-size', ok(CHUNKED, 'zz\r\nok\r\n0\r\n\r\n')],
    ['overflow', ok(CHUNKED, '10000000000000002\r\nok\r\n0\r\n\r\n')],
    ['lf-lines', ok(CHUNKED, '2\nok\n0\n\n'), 'end'],
    ['bad-end', ok(CHUNKED, '2\r\nokXX0\r\n\r\n'), 'end'],
    ['extension', ok(CHUNKED, '2;a=b\r\nok\r\n0\r\n\r\n')],
    ['extension-bare-lf', ok(CHUNKED, '2;a\nok\r\n0\r\n\r\n'), 'end'],
    ['no-last', ok(CHUNKED, '2\r\nok\r\n'), 'end'],
    ['no-last-reset', ok(CHUNKED, '2\r\nok\r\n'), 'reset'],
    ['cut-in-chunk', ok(CHUNKED, '9\r\nok'), 'end'],
  ]),
  ...family('answer-head', [
    ['lf-lines', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'],
    ['bare-cr', ok('X: a\rb\r\nContent-Length: 2\r\n', 'ok')],
    ['nul-in-value', ok('X: a\0b\r\nContent-Length: 2\r\n', 'ok')],
    ['folded', ok('X: a\r\n b\r\nContent-Length: 2\r\n', 'ok')],
    ['no-colon', ok('nonsense\r\nContent-Length: 2\r\n', 'ok')],
    ['empty-name', ok(': x\r\nContent-Length: 2\r\n', 'ok')],
    ['space-in-name', ok('X Y: x\r\nContent-Length: 2\r\n', 'ok')],
    ['control-in-name', ok('X\x01: x\r\nContent-Length: 2\r\n', 'ok')],
    ['control-in-value', ok('X: \x01\r\nContent-Length: 2\r\n', 'ok')],
    ['no-reason', 'HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok'],
    ['status-99', 'HTTP/1.1 99 X\r\nContent-Length: 2\r\n\r\nok'],
    ['status-600', 'HTTP/1.1 600 X\r\nContent-Length: 2\r\n\r\nok'],
    ['status-2000', 'HTTP/1.1 2000 X\r\nContent-Length: 2\r\n\r\nok'],
    ['status-text', 'HTTP/1.1 abc X\r\nContent-Length: 2\r\n\r\nok'],
    ['http-2', 'HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok'],
    ['http-1.2', 'HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok'],
    ['http-0.9', 'ok', 'end'],
    ['ssh', 'SSH-2.0-OpenSSH_9.2\r\n', 'end'],
    ['huge', ok(`X: ${'y'.repeat(100_000)}\r\nContent-Length: 2\r\n`, 'ok')],
    ['many-fields', ok(`${'X: y\r\n'.repeat(5000)}Content-Length: 2\r\n`, 'ok')],
    ['cut', 'HTTP/1.1 200 OK\r\nContent-Le', 'end'],
    ['cut-reset', 'HTTP/1.1 200 OK\r\nContent-Le', 'reset'],
    ['nothing', '', 'end'],
    ['nothing-reset', '', 'reset'],
    ['empty-line-before', `\r\n${ok('Content-Length: 2\r\n', 'ok')}`],
    ['response-splitting', ok('X: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'), 'end'],
  ]),
  ...family('answer-surplus', [
    ['after-length', ok('Content-Length: 2\r\n', `ok${EVIL}`)],
    ['after-chunked', ok(CHUNKED, `2\r\nok\r\n0\r\n\r\n${EVIL}`)],
    ['after-204', `HTTP/1.1 204 No Content\r\n\r\n${EVIL}`],
    ['after-304', `HTTP/1.1 304 Not Modified\r\nContent-Length: 47\r\n\r\n${EVIL}`],
    ['after-head', ok('Content-Length: 47\r\n', EVIL), undefined, 'HEAD'],
    ['bytes', ok('Content-Length: 2\r\n', 'okXXXX')],
    ['crlf', ok('Content-Length: 2\r\n', 'ok\r\n')],
    ['204-with-length', 'HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil'],
    ['204-chunked', `HTTP/1.1 204 No Content\r\n${CHUNKED}\r\n4\r\nevil\r\n0\r\n\r\n`],
    ['head-chunked', ok(CHUNKED, '4\r\nevil\r\n0\r\n\r\n'), undefined, 'HEAD'],
  ]),
  ...family('answer-short', [
    ['length', ok('Content-Length: 9\r\n', 'ok'), 'end'],
    ['length-reset', ok('Content-Length: 9\r\n', 'ok'), 'reset'],
    ['length-waits', ok('Content-Length: 9\r\n', 'ok')],
  ]),
  ...family('answer-interim', [
    ['100', `HTTP/1.1 100 Continue\r\n\r\n${ok('Content-Length: 2\r\n', 'ok')}`],
    ['103', `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok('Content-Length: 2\r\n', 'ok')}`],
    [
      '103-with-length',
      `HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\n${ok('Content-Length: 2\r\n', 'ok')}`,
    ],
    ['199', `HTTP/1.1 199 X\r\n\r\n${ok('Content-Length: 2\r\n', 'ok')}`],
    ['flood', `${'HTTP/1.1 100 Continue\r\n\r\n'.repeat(1000)}${ok('Content-Length: 2\r\n', 'ok')}`],
    ['only', 'HTTP/1.1 100 Continue\r\n\r\n', 'end'],
    ['101-unasked', `HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nevil`],
    ['101-bare', `HTTP/1.1 101 Switching Protocols\r\n\r\nevil`],
  ]),
  ...family('answer-hop', [
    ['connection-names', ok('Connection: X-Odd\r\nX-Odd: y\r\nContent-Length: 2\r\n', 'ok')],
    ['keep-alive', ok('Keep-Alive: timeout=5\r\nContent-Length: 2\r\n', 'ok')],
    ['close', ok('Connection: close\r\nContent-Length: 2\r\n', 'ok')],
    ['proxy-status', ok('Proxy-Status: forged\r\nX-Request-Id: forged\r\nContent-Length: 2\r\n', 'ok')],
  ]),
];
