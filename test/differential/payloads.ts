// Request payloads by family: what was published about smuggling, desynchronisation and path confusion, as raw bytes.

/** Stands for a text of letters and digits that tells one payload from another wherever its bytes arrive. */
export const ID = '{ID}';

export interface Payload {
  /** `family/case`; unique. */
  readonly name: string;
  /** Latin-1. */
  readonly text: string;
}

const HOST = `Host: ${ID}.example\r\n`;
const SMUGGLED = `GET /smuggled/${ID} HTTP/1.1\r\n${HOST}\r\n`;
/** A request whose rest, when its framing is read otherwise, is another request. */
const ZERO_CHUNK_THEN = `0\r\n\r\n${SMUGGLED}`;

const request = (line: string, fields = '', body = ''): string =>
  `${line} HTTP/1.1\r\n${HOST}${fields}\r\n${body}`;
const post = (fields: string, body = ''): string => request(`POST /${ID}`, fields, body);
const get = (fields = ''): string => request(`GET /${ID}`, fields);
const realLength = (text: string): number =>
  text.length - (text.split(ID).length - 1) * (ID.length - ID_LENGTH);
const length = (body: string): string => `Content-Length: ${realLength(body)}\r\n`;
const CHUNKED = 'Transfer-Encoding: chunked\r\n';

/** Length of the text that takes the place of `ID`. */
export const ID_LENGTH = 6;

const hex = (text: string): string => Buffer.from(text, 'latin1').toString('hex');

function family(name: string, cases: readonly (readonly [string, string])[]): Payload[] {
  return cases.map(([what, text]) => ({ name: `${name}/${what}`, text }));
}

const ODD_BYTES = [
  '\0',
  '\x01',
  '\x08',
  '\t',
  '\x0b',
  '\x0c',
  '\r',
  '\x1b',
  '\x1f',
  ' ',
  '\x7f',
  '\x80',
  '\x85',
  '\xa0',
  '\xff',
];

/** Transfer-Encoding disguised, beside a Content-Length that covers all: one of two readers must be wrong. */
const disguised = ODD_BYTES.flatMap((byte) =>
  (
    [
      ['before-name', `${byte}Transfer-Encoding: chunked\r\n`],
      ['after-name', `Transfer-Encoding${byte}: chunked\r\n`],
      ['before-value', `Transfer-Encoding:${byte}chunked\r\n`],
      ['after-value', `Transfer-Encoding: chunked${byte}\r\n`],
      ['in-value', `Transfer-Encoding: chu${byte}nked\r\n`],
      ['line-hidden-behind', `X: y${byte}Transfer-Encoding: chunked\r\n`],
    ] as const
  ).map(
    ([where, line]) =>
      [`${where}-${hex(byte)}`, post(line + length(ZERO_CHUNK_THEN), ZERO_CHUNK_THEN)] as const,
  ),
);

const CODINGS: readonly (readonly [string, string])[] = [
  ['upper-case', 'CHUNKED'],
  ['quoted', '"chunked"'],
  ['single-quoted', "'chunked'"],
  ['comma-before', ',chunked'],
  ['comma-after', 'chunked,'],
  ['twice', 'chunked, chunked'],
  ['identity', 'identity'],
  ['identity-last', 'chunked, identity'],
  ['identity-first', 'identity, chunked'],
  ['gzip-first', 'gzip, chunked'],
  ['gzip-last', 'chunked, gzip'],
  ['gzip', 'gzip'],
  ['unknown', 'xchunked'],
  ['suffix', 'chunkedx'],
  ['parameter', 'chunked;q=1'],
  ['empty', ''],
  ['cow', 'cow, chunked'],
  ['semicolon', 'chunked;'],
  ['spaced', 'ch unked'],
];

const LENGTHS = [
  '+3',
  '-3',
  '3 ',
  ' 3',
  '03',
  '0x3',
  '3,3',
  '3, 3',
  '3;',
  '3.0',
  '1e0',
  '',
  ' ',
  '3 3',
  '\xb3',
  '3\t',
  '\v3',
  '18446744073709551619',
  '9223372036854775807',
  '9007199254740993',
  '99999999999999999999999',
  '-0',
  "'3'",
  '"3"',
  'abc',
];

const framing: Payload[] = [
  ...family('te-disguised', disguised),
  ...family(
    'te-coding',
    CODINGS.map(([what, coding]) => [what, post(`Transfer-Encoding: ${coding}\r\n`, ZERO_CHUNK_THEN)]),
  ),
  ...family(
    'te-coding-with-length',
    CODINGS.map(([what, coding]) => [
      what,
      post(`Transfer-Encoding: ${coding}\r\n${length(ZERO_CHUNK_THEN)}`, ZERO_CHUNK_THEN),
    ]),
  ),
  ...family('te', [
    ['cl-te', post(length(ZERO_CHUNK_THEN) + CHUNKED, ZERO_CHUNK_THEN)],
    [
      'te-cl',
      post(
        `${CHUNKED}Content-Length: 4\r\n`,
        `${realLength(SMUGGLED).toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`,
      ),
    ],
    ['te-te', post(`${CHUNKED}Transfer-Encoding: x\r\n`, ZERO_CHUNK_THEN)],
    ['te-te-equal', post(CHUNKED + CHUNKED, ZERO_CHUNK_THEN)],
    ['te-empty-first', post(`Transfer-Encoding:\r\n${CHUNKED}`, ZERO_CHUNK_THEN)],
    ['folded-value', post(`Transfer-Encoding:\r\n chunked\r\n${length(ZERO_CHUNK_THEN)}`, ZERO_CHUNK_THEN)],
    [
      'folded-value-tab',
      post(`Transfer-Encoding:\r\n\tchunked\r\n${length(ZERO_CHUNK_THEN)}`, ZERO_CHUNK_THEN),
    ],
    ['folded-by-lf', post(`Transfer-Encoding:\n chunked\r\n${length(ZERO_CHUNK_THEN)}`, ZERO_CHUNK_THEN)],
    ['underscore', post(`Transfer_Encoding: chunked\r\n${length(ZERO_CHUNK_THEN)}`, ZERO_CHUNK_THEN)],
    ['http-1.0', `POST /${ID} HTTP/1.0\r\n${HOST}${CHUNKED}\r\n${ZERO_CHUNK_THEN}`],
    [
      'http-1.0-with-length',
      `POST /${ID} HTTP/1.0\r\n${HOST}${CHUNKED}${length(ZERO_CHUNK_THEN)}\r\n${ZERO_CHUNK_THEN}`,
    ],
    ['get', request(`GET /${ID}`, CHUNKED, '3\r\nabc\r\n0\r\n\r\n')],
    ['connection-names-it', post(`${CHUNKED}Connection: transfer-encoding\r\n`, '3\r\nabc\r\n0\r\n\r\n')],
  ]),
  ...family(
    'cl-value',
    LENGTHS.map((value) => [hex(value), post(`Content-Length: ${value}\r\n`, 'abc')]),
  ),
  ...family('cl', [
    ['plain', post('Content-Length: 3\r\n', 'abc')],
    ['zero', post('Content-Length: 0\r\n')],
    ['duplicate-equal', post('Content-Length: 3\r\nContent-Length: 3\r\n', 'abc')],
    ['duplicate-unequal', post(`Content-Length: 0\r\n${length(SMUGGLED)}`, SMUGGLED)],
    ['duplicate-unequal-other', post(`${length(SMUGGLED)}Content-Length: 0\r\n`, SMUGGLED)],
    ['space-before-colon', post(`Content-Length : ${realLength(SMUGGLED)}\r\n`, SMUGGLED)],
    ['underscore', post('Content_Length: 3\r\n')],
    ['cl-0-body-is-request', post(length(SMUGGLED), SMUGGLED)],
    ['none-body-is-request', post('', SMUGGLED)],
    ['connection-names-it', post(`${length(SMUGGLED)}Connection: content-length\r\n`, SMUGGLED)],
    ['folded', post('Content-Length:\r\n 3\r\n', 'abc')],
    ['null-in-value', post('Content-Length: 3\0\r\n', 'abc')],
    ...['GET', 'HEAD', 'OPTIONS', 'DELETE', 'TRACE', 'PROPFIND', 'PATCH'].map(
      (method) => [`body-on-${method}`, request(`${method} /${ID}`, length(SMUGGLED), SMUGGLED)] as const,
    ),
  ]),
];

const chunk = (body: string): string => post(CHUNKED, body);
const chunks: Payload[] = family('chunk', [
  ['plain', chunk('3\r\nabc\r\n0\r\n\r\n')],
  ['upper-hex', chunk('A\r\n0123456789\r\n0\r\n\r\n')],
  ['leading-zeros', chunk('0003\r\nabc\r\n000\r\n\r\n')],
  ['many-leading-zeros', chunk(`${'0'.repeat(40)}3\r\nabc\r\n0\r\n\r\n`)],
  ['0x', chunk('0x3\r\nabc\r\n0\r\n\r\n')],
  ['plus', chunk('+3\r\nabc\r\n0\r\n\r\n')],
  ['minus', chunk('-3\r\nabc\r\n0\r\n\r\n')],
  ['no-size', chunk('\r\nabc\r\n0\r\n\r\n')],
  ['no-hex', chunk('g\r\nabc\r\n0\r\n\r\n')],
  ['overflow-32', chunk('100000003\r\nabc\r\n0\r\n\r\n')],
  ['overflow-64', chunk('10000000000000003\r\nabc\r\n0\r\n\r\n')],
  ['overflow-long', chunk(`${'f'.repeat(40)}\r\nabc\r\n0\r\n\r\n`)],
  ['space-before', chunk(' 3\r\nabc\r\n0\r\n\r\n')],
  ['space-after', chunk('3 \r\nabc\r\n0\r\n\r\n')],
  ['tab-after', chunk('3\t\r\nabc\r\n0\r\n\r\n')],
  ['underscore', chunk('3_0\r\nabc\r\n0\r\n\r\n')],
  ['extension', chunk('3;a=b\r\nabc\r\n0\r\n\r\n')],
  ['extension-quoted', chunk('3;a="b;c"\r\nabc\r\n0\r\n\r\n')],
  ['extension-spaces', chunk('3 ; a = b\r\nabc\r\n0\r\n\r\n')],
  ['extension-empty', chunk('3;\r\nabc\r\n0\r\n\r\n')],
  ['extension-bare', chunk('3 a=b\r\nabc\r\n0\r\n\r\n')],
  ['extension-lf', chunk(`3;a\nabc\r\n0\r\n\r\n`)],
  ['extension-cr', chunk('3;a\rb\r\nabc\r\n0\r\n\r\n')],
  [
    'extension-lf-then-request',
    chunk(`2;\nxx\r\n${realLength(ZERO_CHUNK_THEN).toString(16)}\r\n${ZERO_CHUNK_THEN}`),
  ],
  ['extension-nul', chunk('3;a\0\r\nabc\r\n0\r\n\r\n')],
  ['extension-huge', chunk(`3;${'x'.repeat(20_000)}\r\nabc\r\n0\r\n\r\n`)],
  ['extension-on-last', chunk('3\r\nabc\r\n0;x\r\n\r\n')],
  ['lf-after-size', chunk('3\nabc\r\n0\r\n\r\n')],
  ['cr-after-size', chunk('3\rabc\r\n0\r\n\r\n')],
  ['lf-after-data', chunk('3\r\nabc\n0\r\n\r\n')],
  ['two-bytes-after-data', chunk('3\r\nabcXX0\r\n\r\n')],
  ['nothing-after-data', chunk('3\r\nabc0\r\n\r\n')],
  ['longer-data', chunk('3\r\nabcd\r\n0\r\n\r\n')],
  ['lf-after-last', chunk('3\r\nabc\r\n0\n\r\n')],
  ['lf-at-end', chunk('3\r\nabc\r\n0\r\n\n')],
  ['all-lf', chunk('3\nabc\n0\n\n')],
  ['cr-at-end', chunk('3\r\nabc\r\n0\r\n\rX')],
  ['no-last-crlf-then-request', chunk(`3\r\nabc\r\n0\r\n${SMUGGLED}`)],
  ['two-last-chunks', chunk(`0\r\n\r\n0\r\n\r\n`)],
  ['unfinished', chunk('3\r\nabc\r\n')],
  ['unfinished-data', chunk('5\r\nabc')],
]);
const trailers: Payload[] = family('trailer', [
  ['plain', chunk('3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n')],
  ['content-length', chunk('3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n')],
  ['transfer-encoding', chunk('3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n')],
  ['host', chunk('3\r\nabc\r\n0\r\nHost: evil\r\n\r\n')],
  ['authorization', chunk('3\r\nabc\r\n0\r\nAuthorization: x\r\n\r\n')],
  ['forwarded-for', chunk('3\r\nabc\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n')],
  ['request-line', chunk(`3\r\nabc\r\n0\r\nGET /smuggled/${ID} HTTP/1.1\r\nHost: a\r\n\r\n`)],
  ['space-before-colon', chunk('3\r\nabc\r\n0\r\nX-T : 1\r\n\r\n')],
  ['folded', chunk('3\r\nabc\r\n0\r\nX-T: 1\r\n 2\r\n\r\n')],
  ['bare-lf', chunk('3\r\nabc\r\n0\r\nX-T: 1\n\r\n')],
  ['nul', chunk('3\r\nabc\r\n0\r\nX-T: \0\r\n\r\n')],
  ['huge', chunk(`3\r\nabc\r\n0\r\nX-T: ${'y'.repeat(60_000)}\r\n\r\n`)],
]);

const line = (text: string, fields = HOST): string => `${text}\r\n${fields}\r\n`;
const requestLines: Payload[] = [
  ...family('version', [
    ...[
      'HTTP/1.2',
      'HTTP/1.9',
      'HTTP/2.0',
      'HTTP/2',
      'HTTP/3.0',
      'HTTP/0.9',
      'HTTP/1',
      'HTTP/1.',
      'HTTP/1.10',
      'HTTP/01.1',
      'HTTP/1,1',
      'http/1.1',
      'HTTP /1.1',
      'HTTPS/1.1',
      'ICY/1.0',
      'HTTP/1.1 x',
      'HTTP/1.-1',
      'HTTP/9.9',
      'RTSP/1.0',
    ].map(
      (version) =>
        [version.replaceAll('/', '-').replaceAll(' ', '_'), line(`GET /${ID} ${version}`)] as const,
    ),
    ['none', `GET /${ID}\r\n`],
    ['none-with-fields', line(`GET /${ID}`)],
    ['http-1.0', line(`GET /${ID} HTTP/1.0`)],
    ['http-1.0-no-host', line(`GET /${ID} HTTP/1.0`, '')],
    ['http-2-preface', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`],
  ]),
  ...family('request-line', [
    ['two-spaces-after-method', line(`GET  /${ID} HTTP/1.1`)],
    ['two-spaces-after-target', line(`GET /${ID}  HTTP/1.1`)],
    ['tab-after-method', line(`GET\t/${ID} HTTP/1.1`)],
    ['tab-after-target', line(`GET /${ID}\tHTTP/1.1`)],
    ['space-at-end', line(`GET /${ID} HTTP/1.1 `)],
    ['space-before', line(` GET /${ID} HTTP/1.1`)],
    ['space-in-target', line(`GET /${ID}/a b HTTP/1.1`)],
    ['smuggled-version', line(`GET /${ID} HTTP/1.1 HTTP/1.1`)],
    ['empty-line-before', `\r\n${get()}`],
    ['five-empty-lines-before', `${'\r\n'.repeat(5)}${get()}`],
    ['lf-before', `\n${get()}`],
    ['cr-before', `\r${get()}`],
    ['nul-before', `\0${get()}`],
    ['lf-line-ends', get().replaceAll('\r\n', '\n')],
    ['cr-line-ends', get().replaceAll('\r\n', '\r')],
    ['lf-after-line', `GET /${ID} HTTP/1.1\n${HOST}\r\n`],
    ['lf-after-field', `GET /${ID} HTTP/1.1\r\n${HOST}X: y\nZ: a\r\n\r\n`],
    ['lf-at-end-of-head', `GET /${ID} HTTP/1.1\r\n${HOST}\n`],
    ['lf-lf-at-end', `GET /${ID} HTTP/1.1\r\nHost: ${ID}.example\n\n`],
    ['cr-cr-lf', `GET /${ID} HTTP/1.1\r\r\n${HOST}\r\n`],
    ['cr-in-target', line(`GET /${ID}\r/x HTTP/1.1`)],
    ['nul-in-target', line(`GET /${ID}/\0 HTTP/1.1`)],
    ['del-in-target', line(`GET /${ID}/\x7f HTTP/1.1`)],
    ['esc-in-target', line(`GET /${ID}/\x1b HTTP/1.1`)],
    ['latin1-in-target', line(`GET /${ID}/\xe9 HTTP/1.1`)],
    ['fragment', line(`GET /${ID}#x HTTP/1.1`)],
    ['fragment-with-path', line(`GET /${ID}#/../x HTTP/1.1`)],
    ['quote-in-target', line(`GET /${ID}"<>\\^\`{|} HTTP/1.1`)],
    ['no-slash', line(`GET ${ID} HTTP/1.1`)],
    ['query-only', line(`GET ?${ID} HTTP/1.1`)],
    ['asterisk-get', line('GET * HTTP/1.1')],
    ['asterisk-options', line('OPTIONS * HTTP/1.1')],
    ['asterisk-suffix', line(`OPTIONS *${ID} HTTP/1.1`)],
    ['no-target', line('GET HTTP/1.1')],
    ['empty', '\r\n\r\n'],
    ['long-target', line(`GET /${ID}${'x'.repeat(40_000)} HTTP/1.1`)],
    ['8000-target', line(`GET /${ID}${'x'.repeat(7_900)} HTTP/1.1`)],
  ]),
  ...family('method', [
    ...['get', 'FOO', 'GET1', 'M-SEARCH', 'PURGE', 'A'.repeat(32), 'A'.repeat(33), "!#$%&'*+-.^_`|~"].map(
      (method) =>
        [
          method.length > 20 ? `${method.length}-letters` : hex(method),
          line(`${method} /${ID} HTTP/1.1`),
        ] as const,
    ),
    ['colon', line(`GE:T /${ID} HTTP/1.1`)],
    ['slash', line(`GE/T /${ID} HTTP/1.1`)],
    ['nul', line(`GE\0T /${ID} HTTP/1.1`)],
    ['latin1', line(`G\xc9T /${ID} HTTP/1.1`)],
    ['empty', line(` /${ID} HTTP/1.1`)],
    ['connect', `CONNECT ${ID}.example:443 HTTP/1.1\r\nHost: ${ID}.example:443\r\n\r\n`],
    ['connect-path', line(`CONNECT /${ID} HTTP/1.1`)],
    ['trace', line(`TRACE /${ID} HTTP/1.1`)],
    ['trace-max-forwards-0', line(`TRACE /${ID} HTTP/1.1`, `${HOST}Max-Forwards: 0\r\n`)],
    ['options-max-forwards-0', line(`OPTIONS /${ID} HTTP/1.1`, `${HOST}Max-Forwards: 0\r\n`)],
    ['options-max-forwards-5', line(`OPTIONS /${ID} HTTP/1.1`, `${HOST}Max-Forwards: 5\r\n`)],
    ['override', post('X-HTTP-Method-Override: DELETE\r\nContent-Length: 0\r\n')],
  ]),
];

const withHost = (host: string): string => `GET /${ID} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const hosts: Payload[] = [
  ...family('host', [
    ['none', line(`GET /${ID} HTTP/1.1`, '')],
    ['empty', withHost('')],
    ['twice', line(`GET /${ID} HTTP/1.1`, `Host: a\r\nHost: b\r\n`)],
    ['twice-equal', line(`GET /${ID} HTTP/1.1`, `Host: a\r\nHost: a\r\n`)],
    ['folded', line(`GET /${ID} HTTP/1.1`, `Host: a\r\n b\r\n`)],
    ['space-before-colon', line(`GET /${ID} HTTP/1.1`, `Host : a\r\n`)],
    ['space-before-name', line(`GET /${ID} HTTP/1.1`, ` Host: a\r\n`)],
    ['no-space', line(`GET /${ID} HTTP/1.1`, 'Host:a\r\n')],
    ['tabs', line(`GET /${ID} HTTP/1.1`, 'Host:\ta\t\r\n')],
    ...(
      [
        ['port', 'a:80'],
        ['empty-port', 'a:'],
        ['bad-port', 'a:x'],
        ['big-port', 'a:65536'],
        ['huge-port', 'a:99999999999'],
        ['two-ports', 'a:80:81'],
        ['negative-port', 'a:-1'],
        ['trailing-dot', 'a.example.'],
        ['leading-dot', '.a'],
        ['two-dots', 'a..b'],
        ['dot', '.'],
        ['upper-case', 'A.EXAMPLE'],
        ['punycode', 'xn--mnchen-3ya.example'],
        ['latin1', 'm\xfcnchen.example'],
        ['utf8', 'm\xc3\xbcnchen.example'],
        ['underscore', 'a_b.example'],
        ['ipv4', '127.0.0.1'],
        ['ipv6', '[::1]'],
        ['ipv6-port', '[::1]:80'],
        ['ipv6-bare', '::1'],
        ['ipv6-zone', '[fe80::1%25eth0]'],
        ['ipv6-bad', '[::g]'],
        ['ipv6-open', '[::1'],
        ['ipv6-tail', '[::1]x'],
        ['userinfo', 'u:p@a'],
        ['at', '@a'],
        ['list', 'a, b'],
        ['space', 'a b'],
        ['tab', 'a\tb'],
        ['slash', 'a/b'],
        ['backslash', 'a\\b'],
        ['question', 'a?b'],
        ['hash', 'a#b'],
        ['percent', 'a%2eb'],
        ['percent-nul', 'a%00b'],
        ['nul', 'a\0b'],
        ['quote', 'a"b'],
        ['angle', '<script>'],
        ['semicolon', 'a;b'],
        ['long', 'a'.repeat(300)],
        ['star', '*'],
      ] as const
    ).map(([what, host]) => [what, withHost(host)] as const),
  ]),
  ...family('absolute', [
    ['same', `GET http://a.example/${ID} HTTP/1.1\r\nHost: a.example\r\n\r\n`],
    ['other-host', `GET http://a.example/${ID} HTTP/1.1\r\nHost: b.example\r\n\r\n`],
    ['other-case', `GET http://A.example/${ID} HTTP/1.1\r\nHost: a.EXAMPLE\r\n\r\n`],
    ['default-port', `GET http://a.example:80/${ID} HTTP/1.1\r\nHost: a.example\r\n\r\n`],
    ['other-port', `GET http://a.example:81/${ID} HTTP/1.1\r\nHost: a.example:82\r\n\r\n`],
    ['no-host', `GET http://a.example/${ID} HTTP/1.1\r\n\r\n`],
    ['empty-host', `GET http://a.example/${ID} HTTP/1.1\r\nHost:\r\n\r\n`],
    ['http-1.0-no-host', `GET http://a.example/${ID} HTTP/1.0\r\n\r\n`],
    ['https', `GET https://a.example/${ID} HTTP/1.1\r\nHost: a.example\r\n\r\n`],
    ['ftp', `GET ftp://a.example/${ID} HTTP/1.1\r\nHost: a.example\r\n\r\n`],
    ['unknown-scheme', `GET x://a.example/${ID} HTTP/1.1\r\nHost: a.example\r\n\r\n`],
    ['upper-case-scheme', `GET HTTP://a.example/${ID} HTTP/1.1\r\nHost: a.example\r\n\r\n`],
    ['userinfo', `GET http://u:p@a.example/${ID} HTTP/1.1\r\nHost: a.example\r\n\r\n`],
    ['userinfo-trick', `GET http://a.example@evil/${ID} HTTP/1.1\r\nHost: a.example\r\n\r\n`],
    ['empty-path', `GET http://a.example?${ID} HTTP/1.1\r\nHost: a.example\r\n\r\n`],
    ['no-authority', `GET http:///${ID} HTTP/1.1\r\nHost: a.example\r\n\r\n`],
    ['backslash', `GET http://a.example\\${ID} HTTP/1.1\r\nHost: a.example\r\n\r\n`],
    ['options', `OPTIONS http://${ID}.example HTTP/1.1\r\nHost: ${ID}.example\r\n\r\n`],
    ['scheme-relative', `GET //evil/${ID} HTTP/1.1\r\nHost: a.example\r\n\r\n`],
  ]),
];

const fields: Payload[] = [
  ...family('field', [
    ['empty-name', get(': y\r\n')],
    ['no-colon', get('X-Odd\r\n')],
    ['empty-value', get('X-Odd:\r\n')],
    ['space-in-name', get('X Odd: y\r\n')],
    ['space-before-colon', get('X-Odd : y\r\n')],
    ['tab-before-colon', get('X-Odd\t: y\r\n')],
    ['folded', get('X-Odd: y\r\n z\r\n')],
    ['folded-tab', get('X-Odd: y\r\n\tz\r\n')],
    ['folded-first', `GET /${ID} HTTP/1.1\r\n X-Odd: y\r\n${HOST}\r\n`],
    ['folded-empty', get('X-Odd: y\r\n \r\n')],
    ['underscore', get('X_Odd: y\r\n')],
    ['underscore-forwarded', get('X_Forwarded_For: 6.6.6.6\r\n')],
    ['dot', get('X.Odd: y\r\n')],
    ['dot-forwarded', get('X.Forwarded.For: 6.6.6.6\r\n')],
    ['odd-token', get("!#$%&'*+^`|~: y\r\n")],
    ['parentheses', get('X(Odd): y\r\n')],
    ['slash', get('X/Odd: y\r\n')],
    ['latin1-name', get('X-\xe9: y\r\n')],
    ['latin1-value', get('X-Odd: \xe9\r\n')],
    ['long-value', get(`X-Odd: ${'y'.repeat(40_000)}\r\n`)],
    ['200-fields', get(Array.from({ length: 200 }, (_, i) => `X-Odd-${i}: y\r\n`).join(''))],
    ...ODD_BYTES.flatMap(
      (byte) =>
        [
          [`in-name-${hex(byte)}`, get(`X-${byte}Odd: y\r\n`)],
          [`in-value-${hex(byte)}`, get(`X-Odd: y${byte}z\r\n`)],
        ] as const,
    ),
  ]),
  ...family('connection', [
    ['close', get('Connection: close\r\n') + SMUGGLED],
    ['names-field', get('Connection: X-Odd\r\nX-Odd: y\r\n')],
    ['names-host', get('Connection: Host\r\n')],
    [
      'names-forwarded',
      get('Connection: X-Forwarded-For, X-Request-Id, Via\r\nX-Forwarded-For: 6.6.6.6\r\n'),
    ],
    ['names-cookie', get('Connection: Cookie\r\nCookie: a=b\r\n')],
    ['many', get(`Connection: ${'a,'.repeat(40)}\r\n`)],
    ['te', get('TE: trailers\r\nConnection: TE\r\n')],
    ['te-chunked', get('TE: chunked\r\n')],
    ['keep-alive-1.0', line(`GET /${ID} HTTP/1.0`, `${HOST}Connection: keep-alive\r\n`)],
    ['proxy-connection', get('Proxy-Connection: close\r\n')],
    ['proxy-authorization', get('Proxy-Authorization: Basic eA==\r\n')],
    ['upgrade-websocket', get('Connection: Upgrade\r\nUpgrade: websocket\r\n')],
    ['upgrade-unpaired', get('Upgrade: websocket\r\n')],
    [
      'upgrade-h2c',
      get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n'),
    ],
    ['upgrade-h2c-only', get('Connection: Upgrade\r\nUpgrade: h2c\r\n')],
    ['upgrade-body', post(`Connection: Upgrade\r\nUpgrade: websocket\r\n${length(SMUGGLED)}`, SMUGGLED)],
  ]),
  ...family('forwarded', [
    ['for', get('X-Forwarded-For: 6.6.6.6\r\n')],
    ['proto', get('X-Forwarded-Proto: https\r\n')],
    ['forwarded', get('Forwarded: for=6.6.6.6\r\n')],
    ['real-ip', get('X-Real-IP: 6.6.6.6\r\n')],
    ['request-id', get('X-Request-Id: forged\r\n')],
    ['via', get('Via: 1.0 fred\r\n')],
  ]),
  ...family('expect', [
    ['continue', post('Expect: 100-continue\r\nContent-Length: 3\r\n', 'abc')],
    ['continue-no-body', get('Expect: 100-continue\r\n')],
    ['continue-1.0', `POST /${ID} HTTP/1.0\r\n${HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc`],
    ['upper-case', post('Expect: 100-CONTINUE\r\nContent-Length: 3\r\n', 'abc')],
    ['unknown', get('Expect: x\r\n')],
    ['twice', post('Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 3\r\n', 'abc')],
    ['obfuscated', post('Expect: y 100-continue\r\nContent-Length: 3\r\n', 'abc')],
    ['obfuscated-space', post('Expect:  100-continue \r\nContent-Length: 3\r\n', 'abc')],
  ]),
  ...family('pipeline', [
    ['two', get() + SMUGGLED],
    ['post-get', post('Content-Length: 3\r\n', 'abc') + SMUGGLED],
    ['empty-line-between', `${get()}\r\n${SMUGGLED}`],
    ['body-overrun', post('Content-Length: 3\r\n', 'abcdef')],
    ['chunked-get', chunk('3\r\nabc\r\n0\r\n\r\n') + SMUGGLED],
  ]),
];

const PATHS = [
  '/a/../b',
  '/../b',
  '/a/./b',
  '/a//b',
  '//a',
  '/a/..',
  '/a/.',
  '/./',
  '/%2e%2e/b',
  '/a/%2e%2e/b',
  '/a/.%2e/b',
  '/a/%2E%2E%2fb',
  '/a/..%2fb',
  '/a/..%5cb',
  '/a%2fb',
  '/a%2Fb',
  '/a%5cb',
  '/a\\b',
  '/a/..\\b',
  '/a/..;/b',
  '/a/..;x=y/b',
  '/;/b',
  '/a;x/b',
  '/a%00b',
  '/a%00',
  '/%',
  '/%2',
  '/%zz',
  '/%u002e',
  '/a%20b',
  '/a+b',
  '/%7Ea',
  '/%41',
  '/%c0%ae%c0%ae/b',
  '/a%252fb',
  '/%252e%252e/b',
  '/a%0d%0ab',
  '/a%0a',
  '/a%3fb',
  '/a%23b',
  '/a?b/../c',
  '/a?b#c',
  '/a%3b/b',
  '/...',
  '/a/...//b',
  '/.;/b',
  '/a/%2e',
  '/a%2e',
  '/a%ff',
  '/a%09b',
];
const paths: Payload[] = family(
  'path',
  PATHS.map((path) => [path, request(`GET ${path}`)] as const),
);

export const PAYLOADS: readonly Payload[] = [
  ...framing,
  ...chunks,
  ...trailers,
  ...requestLines,
  ...hosts,
  ...fields,
  ...paths,
];
