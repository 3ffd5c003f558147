// Which requests are taken and which refused (RFC 9113, section 8), with the verdicts that HTTP/1.1 has.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { FieldId } from '../../src/http1/field-id.ts';
import { Framing } from '../../src/http1/step.ts';
import { readRequests } from '../http1/drive.ts';
import { driveServer, fieldsOf, readServer } from './drive.ts';
import { OPTIONS } from './endpoint.ts';
import { block, data, frame, GET, headers, literal, OPENING, POST } from './frames.ts';
import type { Field } from './hpack.ts';

const without = (name: string): Field[] => GET.filter(([n]) => n !== name);
const withField = (name: string, value: string): Field[] =>
  GET.some(([n]) => n === name)
    ? GET.map((field): Field => (field[0] === name ? [name, value] : field))
    : [...GET, [name, value]];

/** The reason for which a request is refused, or '' when it is taken. */
function verdict(fields: readonly Field[], ended = true): string {
  const { events } = readServer(Buffer.concat([OPENING, headers(1, fields, ended)]));
  return /^refused 1 (\S+)/.exec(events[0] ?? '')?.[1] ?? '';
}

const REFUSED: Readonly<Record<string, readonly [readonly Field[], string]>> = {
  'without :method': [without(':method'), 'pseudo-field-missing'],
  'without :scheme': [without(':scheme'), 'pseudo-field-missing'],
  'without :path': [without(':path'), 'pseudo-field-missing'],
  'with neither :authority nor Host': [without(':authority'), 'host-missing'],
  'with an empty :path': [withField(':path', ''), 'target-invalid'],
  'with :path twice': [[...GET, [':path', '/']], 'pseudo-field-duplicate'],
  'with :method twice': [[...GET, [':method', 'GET']], 'pseudo-field-duplicate'],
  'with a response pseudo field': [[...GET, [':status', '200']], 'pseudo-field-unknown'],
  'with an unknown pseudo field': [[...GET, [':other', 'x']], 'pseudo-field-unknown'],
  'with a pseudo field behind others': [
    [...without(':path'), ['a', 'b'], [':path', '/']],
    'pseudo-field-late',
  ],
  'with :authority behind others': [
    [...without(':authority'), ['a', 'b'], [':authority', 'x']],
    'pseudo-field-late',
  ],
  'with a capital in a name': [withField('X-a', 'b'), 'field-name-uppercase'],
  'with a capital in a pseudo name': [[...GET, [':Path', '/']], 'pseudo-field-unknown'],
  'with an empty name': [withField('', 'b'), 'field-name-empty'],
  'with a colon in a name': [withField('a:b', 'c'), 'field-name-invalid'],
  'with a space in a name': [withField('a b', 'c'), 'field-name-invalid'],
  'with CR LF in a name': [withField('a\r\nb', 'c'), 'field-name-invalid'],
  'with a high byte in a name': [withField('a\xe9', 'c'), 'field-name-invalid'],
  'with CR in a value': [withField('a', 'b\rc'), 'field-value-invalid'],
  'with LF in a value': [withField('a', 'b\nc: d'), 'field-value-invalid'],
  'with NUL in a value': [withField('a', 'b\0'), 'field-value-invalid'],
  'with DEL in a value': [withField('a', 'b\x7f'), 'field-value-invalid'],
  'with a space before a value': [withField('a', ' b'), 'field-value-space'],
  'with a tab after a value': [withField('a', 'b\t'), 'field-value-space'],
  'with Connection': [withField('connection', 'close'), 'field-connection-specific'],
  'with Keep-Alive': [withField('keep-alive', 'timeout=5'), 'field-connection-specific'],
  'with Proxy-Connection': [withField('proxy-connection', 'close'), 'field-connection-specific'],
  'with Upgrade': [withField('upgrade', 'websocket'), 'field-connection-specific'],
  'with Transfer-Encoding': [withField('transfer-encoding', 'chunked'), 'field-connection-specific'],
  'with TE other than trailers': [withField('te', 'gzip'), 'te-invalid'],
  'with TE that has more than trailers': [withField('te', 'trailers, gzip'), 'te-invalid'],
  'with a scheme that is not served': [withField(':scheme', 'ftp'), 'pseudo-field-invalid'],
  'with a space in :path': [withField(':path', '/a b'), 'target-invalid'],
  'with CR LF in :path': [withField(':path', '/ HTTP/1.1\r\nx: y'), 'target-invalid'],
  'with # in :path': [withField(':path', '/a#b'), 'target-invalid'],
  'with a high byte in :path': [withField(':path', '/\xe9'), 'target-invalid'],
  'with :path in absolute form': [withField(':path', 'http://example.com/'), 'target-form-invalid'],
  'with :path without a slash': [withField(':path', 'a'), 'target-form-invalid'],
  'with * for GET': [withField(':path', '*'), 'target-form-invalid'],
  'with a user in :authority': [withField(':authority', 'user@example.com'), 'host-invalid'],
  'with a path in :authority': [withField(':authority', 'example.com/a'), 'host-invalid'],
  'with an empty :authority': [withField(':authority', ''), 'host-invalid'],
  'with a port that is none': [withField(':authority', 'example.com:x'), 'host-invalid'],
  'with Host that differs': [withField('host', 'other.example.com'), 'host-mismatch'],
  'with Host in another port': [withField('host', 'example.com:80'), 'host-mismatch'],
  'with Host twice beside :authority': [
    [...GET, ['host', 'example.com'], ['host', 'example.com']],
    'host-duplicate',
  ],
  'with Host twice': [
    [...without(':authority'), ['host', 'example.com'], ['host', 'example.com']],
    'host-duplicate',
  ],
  'with a method that is no token': [withField(':method', 'GE T'), 'method-invalid'],
  'with an empty method': [withField(':method', ''), 'method-invalid'],
  'with Content-Length that is no number': [[...POST, ['content-length', '1x']], 'content-length-invalid'],
  'with Content-Length twice': [
    [...POST, ['content-length', '0'], ['content-length', '0']],
    'content-length-duplicate',
  ],
  'with Content-Length and an end': [[...POST, ['content-length', '5']], 'content-length-mismatch'],
  'with an expectation of something else': [withField('expect', 'magic'), 'expectation-unsupported'],
  'CONNECT with a path': [[[':method', 'CONNECT'], ...GET.slice(1)], 'pseudo-field-invalid'],
  'CONNECT without an authority': [[[':method', 'CONNECT']], 'pseudo-field-missing'],
  'CONNECT without a port': [
    [
      [':method', 'CONNECT'],
      [':authority', 'example.com'],
    ],
    'target-form-invalid',
  ],
  'GET with :protocol': [[...GET, [':protocol', 'websocket']], 'pseudo-field-invalid'],
  'extended CONNECT without a path': [
    [
      [':method', 'CONNECT'],
      [':protocol', 'websocket'],
      [':scheme', 'https'],
      [':authority', 'example.com'],
    ],
    'pseudo-field-missing',
  ],
};

describe('a request is refused', () => {
  for (const [name, [fields, reason]] of Object.entries(REFUSED)) {
    it(name, () => {
      const { events, frames } = readServer(
        Buffer.concat([OPENING, headers(1, fields), headers(3, [...GET, ['next', 'request']])]),
      );
      assert.equal(events[0], `refused 1 ${reason}`);
      // The connection goes on, and its table with it.
      assert.match(events[1]!, /^head 3 GET \/ host=example\.com\|next=request$/);
      assert.ok(frames.includes('RST 1 1'));
    });
  }

  it('when extended CONNECT was not offered', () => {
    const fields: Field[] = [[':method', 'CONNECT'], ...GET.slice(1), [':protocol', 'websocket']];
    const { events } = readServer(Buffer.concat([OPENING, headers(1, fields)]), [], {
      extendedConnect: false,
    });
    assert.deepEqual(events, ['refused 1 pseudo-field-invalid']);
  });

  it('when its list of fields is too large, and the next one is not', () => {
    const large: Field[] = Array.from({ length: 40 }, (_, i) => [`x-${i}`, 'v'.repeat(450)]);
    const { events } = readServer(
      Buffer.concat([
        OPENING,

        ...split(1, [...GET, ...large]),
        headers(3, GET),
      ]),
    );
    assert.deepEqual(events.slice(0, 2), ['refused 1 header-too-large', 'head 3 GET / host=example.com']);
  });

  it('when it has too many fields', () => {
    const many: Field[] = Array.from({ length: 100 }, (_, i) => [`x-${i}`, 'v']);
    assert.equal(verdict([...GET, ...many]), 'header-count');
    assert.equal(verdict([...GET, ...many.slice(1)]), '');
  });

  for (const [what, fields, reason] of [
    ['a target as long as a line may be', withField(':path', `/${'a'.repeat(992)}`), ''],
    ['a longer target', withField(':path', `/${'a'.repeat(993)}`), 'target-too-long'],
    ['a longer field', withField('a', 'b'.repeat(998)), 'header-line-too-long'],
  ] as const) {
    it(`when a line is too long, as in HTTP/1.1: ${what}`, () => {
      const head = { ...OPTIONS.head, lineBytes: 1000 };
      const { events } = readServer(Buffer.concat([OPENING, headers(1, fields)]), [], { head });
      assert.match(events[0]!, reason === '' ? /^head 1 / : new RegExp(`^refused 1 ${reason}$`));
    });
  }

  it('when it would be an amplified list: one entry of the table named again and again', () => {
    const entry = literal(['x-bomb', 'b'.repeat(3000)], 0x40);
    const bytes = Buffer.concat([block(...GET), entry, Buffer.alloc(2000, 0xbe)]);
    const { events } = readServer(Buffer.concat([OPENING, frame(1, 5, 1, bytes), headers(3, GET)]));
    assert.deepEqual(events.slice(0, 2), ['refused 1 header-too-large', 'head 3 GET / host=example.com']);
  });

  it('but may be answered by the session first', () => {
    const { recorder, connection, send } = driveServer();
    const refused = recorder.onRefused.bind(recorder);
    recorder.onRefused = (stream, reason) => {
      refused(stream, reason);
      connection.beginHead(stream).status(400);
      connection.endHead(true);
    };
    send(headers(1, withField('connection', 'close')));
    assert.deepEqual(recorder.log.lines.slice(1), ['HEADERS 1 :status=400 end', 'RST 1 1']);
    assert.equal(connection.streamCount, 0);
  });
});

/** A block over several frames, as large lists need. */
function split(id: number, fields: readonly Field[]): Buffer[] {
  const bytes = block(...fields);
  const parts: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += 16000) {
    const last = start + 16000 >= bytes.length;
    const part = bytes.subarray(start, start + 16000);
    parts.push(frame(start === 0 ? 1 : 9, (last ? 4 : 0) | (start === 0 ? 1 : 0), id, part));
  }
  return parts;
}

describe('a request is taken', () => {
  const headOf = (fields: readonly Field[], ended = true) => {
    const driven = driveServer();
    driven.send(headers(1, fields, ended));
    assert.match(driven.recorder.events[0] ?? 'nothing', /^head 1 /);
    return driven.recorder.streams.get(1)!.head;
  };

  it('in the shape that HTTP/1.1 requests have', () => {
    const head = headOf([
      [':method', 'GET'],
      [':scheme', 'https'],
      [':path', '/a/b?c=d'],
      [':authority', 'WWW.Example.com.:8443'],
      ['user-agent', 'test'],
      ['x-a', ''],
    ]);
    assert.equal(head.major, 2);
    assert.equal(head.minor, 1);
    assert.deepEqual(
      [head.method, head.target, head.path, head.query, head.hasQuery],
      ['GET', '/a/b?c=d', '/a/b', 'c=d', true],
    );
    assert.deepEqual(
      [head.host, head.authority, head.scheme],
      ['www.example.com', 'WWW.Example.com.:8443', 'https'],
    );
    assert.equal(head.framing, Framing.None);
    assert.equal(head.keepAlive, true);
    assert.equal(head.text, 'host: WWW.Example.com.:8443\r\nuser-agent: test\r\nx-a: \r\n\r\n');
    assert.equal(head.valueOf(FieldId.UserAgent), 'test');
    assert.equal(head.find(FieldId.Host), 0);
  });

  it('with Host instead of :authority', () => {
    const head = headOf([...without(':authority'), ['host', 'example.com']]);
    assert.equal(head.host, 'example.com');
  });

  it('with a Host that says the same, which is then said once', () => {
    const head = headOf([...GET, ['host', 'EXAMPLE.com'], ['a', 'b']]);
    assert.equal(head.authority, 'example.com');
    assert.equal(head.findNext(FieldId.Host, 1), -1);
    assert.equal(head.findName('host'), 0);
    assert.equal(head.value(head.findName('a')), 'b');
  });

  it('with a body of a length that is said, or is not', () => {
    assert.equal(headOf([...POST, ['content-length', '5']], false).contentLength, 5);
    assert.equal(headOf([...POST, ['content-length', '0']]).framing, Framing.Length);
    assert.equal(headOf(POST, false).framing, Framing.Chunked);
    assert.equal(headOf(POST).framing, Framing.None);
  });

  it('with its cookies joined, wherever they stood', () => {
    const crumbs = headOf([...GET, ['cookie', 'a=1'], ['cookie', 'b=2'], ['cookie', 'c=3'], ['x', 'y']]);
    assert.equal(fieldsOf(crumbs), 'host=example.com|cookie=a=1; b=2; c=3|x=y');
    assert.equal(crumbs.text, 'host: example.com\r\ncookie: a=1; b=2; c=3\r\nx: y\r\n\r\n');
    const scattered = headOf([
      ...GET,
      ['cookie', 'a=1'],
      ['cookie', 'b=2'],
      ['x', 'y'],
      ['cookie', 'c=3'],
      ['z', ''],
      ['cookie', 'd=4'],
    ]);
    assert.equal(fieldsOf(scattered), 'host=example.com|cookie=a=1; b=2; c=3; d=4|x=y|z=');
    assert.equal(scattered.text, 'host: example.com\r\ncookie: a=1; b=2; c=3; d=4\r\nx: y\r\nz: \r\n\r\n');
    assert.equal(scattered.repeated & (1 << FieldId.Cookie), 0);
  });

  it('with TE: trailers', () => {
    assert.equal(headOf(withField('te', 'trailers')).valueOf(FieldId.Te), 'trailers');
  });

  it('for OPTIONS *', () => {
    const head = headOf([[':method', 'OPTIONS'], [':path', '*'], ...without(':path').slice(1)]);
    assert.equal(head.path, '*');
  });

  it('as extended CONNECT, with its protocol', () => {
    const head = headOf([[':method', 'CONNECT'], [':protocol', 'websocket'], ...GET.slice(1)], false);
    assert.deepEqual([head.method, head.connectProtocol, head.path], ['CONNECT', 'websocket', '/']);
  });

  it('as CONNECT, with its authority for a target', () => {
    const head = headOf(
      [
        [':method', 'CONNECT'],
        [':authority', 'example.com:443'],
      ],
      false,
    );
    assert.deepEqual([head.target, head.host, head.path], ['example.com:443', 'example.com', '']);
  });

  it('with names that backends confuse marked as dropped', () => {
    const head = headOf([...GET, ['x_forwarded_for', '1.2.3.4'], ['a_b', 'c']]);
    assert.deepEqual([...head.ids.subarray(0, head.count)], [FieldId.Host, FieldId.Dropped, FieldId.Dropped]);
    assert.equal(head.droppedCount, 2);
  });

  it('with fields that may not be indexed marked as such', () => {
    const driven = driveServer();
    const bytes = Buffer.concat([
      block(...GET, ['a', 'b']),
      literal(['secret', 'x'], 0x10),
      block(['c', 'd']),
    ]);
    driven.send(frame(1, 5, 1, bytes));
    const { head } = driven.recorder.streams.get(1)!;
    assert.deepEqual(
      [0, 1, 2, 3].map((i) => head.isSensitive(i)),
      [false, false, true, false],
    );
  });

  it('with fields that stand in the table, as those before', () => {
    const driven = driveServer();
    const first = Buffer.concat(
      [...GET, ['x_under', 'v'] as const, ['accept', '*/*'] as const].map((f) => literal(f, 0x40)),
    );
    driven.send(frame(1, 5, 1, first));
    const once = fieldsOf(driven.recorder.streams.get(1)!.head);
    const ids = [...driven.recorder.streams.get(1)!.head.ids.subarray(0, 3)];
    // Six entries, the oldest with the highest index.
    driven.send(frame(1, 5, 3, Buffer.from([67, 66, 65, 64, 63, 62].map((index) => 0x80 | index))));
    const again = driven.recorder.streams.get(3)!.head;
    assert.equal(fieldsOf(again), once);
    assert.deepEqual([...again.ids.subarray(0, 3)], ids);
  });
});

describe('bodies and trailers', () => {
  it('are held to Content-Length', () => {
    const head = headers(1, [...POST, ['content-length', '5']], false);
    const run = (...frames: Buffer[]) =>
      readServer(Buffer.concat([OPENING, head, ...frames])).events.slice(1);
    assert.deepEqual(run(data(1, 'hello', true)), ['data 1 hello', 'end 1']);
    assert.deepEqual(run(data(1, 'hel'), data(1, 'lo', true)), ['data 1 hello', 'end 1']);
    assert.deepEqual(run(data(1, 'hell', true)), ['data 1 hell', 'refused 1 content-length-mismatch']);
    assert.deepEqual(run(data(1, 'hel'), data(1, 'lo!')), [
      'data 1 hel',
      'refused 1 content-length-mismatch',
    ]);
    assert.deepEqual(run(data(1, 'he'), headers(1, [['a', 'b']])), [
      'data 1 he',
      'refused 1 content-length-mismatch',
    ]);
  });

  const trailed = (fields: readonly Field[], ended = true) =>
    readServer(
      Buffer.concat([OPENING, headers(1, POST, false), data(1, 'x'), headers(1, fields, ended)]),
    ).events.slice(2);

  it('end with trailers, of which those pass that may', () => {
    assert.deepEqual(
      trailed([
        ['x-sum', '1'],
        ['cookie', 'a'],
        ['grpc-status', '0'],
      ]),
      ['end 1 x-sum: 1\r\ngrpc-status: 0'],
    );
  });

  const bad: Readonly<Record<string, readonly [readonly Field[], string]>> = {
    'a pseudo field': [[[':path', '/']], 'pseudo-field-in-trailers'],
    'Content-Length': [[['content-length', '1']], 'trailer-forbidden'],
    Host: [[['host', 'example.com']], 'trailer-forbidden'],
    'Transfer-Encoding': [[['transfer-encoding', 'chunked']], 'field-connection-specific'],
    'a capital': [[['X', '1']], 'field-name-uppercase'],
    'more than fits': [[['x', 'y'.repeat(5000)]], 'trailer-too-large'],
  };
  for (const [name, [fields, reason]] of Object.entries(bad)) {
    it(`do not end with ${name} in the trailers`, () => {
      assert.deepEqual(trailed(fields), [`refused 1 ${reason}`]);
    });
  }

  it('do not go on behind trailers', () => {
    assert.deepEqual(trailed([['a', 'b']], false), ['refused 1 trailers-without-end']);
  });
});

describe('the same message in HTTP/1.1 and HTTP/2', () => {
  /** As both would carry it: the verdicts are compared, not the ways to say it. */
  const messages: readonly (readonly [host: string, target: string, fields: readonly Field[]])[] = [
    ['example.com', '/', []],
    ['example.com', '/a?b', [['x', 'y']]],
    ['exa mple.com', '/', []],
    ['example..com', '/', []],
    ['.example.com', '/', []],
    ['[::1]:80', '/', []],
    ['[::1', '/', []],
    ['[fe80::1%25eth0]', '/', []],
    ['example.com:99999', '/', []],
    ['a_b.example.com', '/', []],
    ['example.com%00', '/', []],
    ['example.com', '/\x7f', []],
    ['example.com', '/"<>', []],
    ['example.com', '/', [['a', 'b\x01']]],
    ['example.com', '/', [['a', '\xff']]],
    ['example.com', '/', [['a;b', 'c']]],
    ['example.com', '/', [['content-length', '+1']]],
    ['example.com', '/', [['content-length', '0x1']]],
    ['example.com', '/', [['content-length', '1, 1']]],
    ['example.com', '/', [['content-length', '99999999999999999999']]],
    ['example.com', '/', [['expect', '100-continued']]],
  ];
  for (const [host, target, fields] of messages) {
    it(`has one verdict: ${JSON.stringify([host, target, ...fields.map((f) => f.join('='))])}`, () => {
      const two = verdict(
        [[':method', 'POST'], [':scheme', 'http'], [':path', target], [':authority', host], ...fields],
        false,
      );
      const own = fields.filter(([name]) => name !== 'host');
      const lines = own.map(([name, value]) => `${name}: ${value}\r\n`).join('');
      const text = `POST ${target} HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`;
      assert.equal(two, readRequests(Buffer.from(text, 'latin1')).failure);
    });
  }
});
