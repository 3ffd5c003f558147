// Properties of the codec: what one end says in any order, cut anywhere, is what the other end hears.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import type { RequestHead } from '../../src/http1/request-head.ts';
import type { ResponseHead } from '../../src/http1/response-head.ts';
import { BlockDecoder } from '../../src/http2/block-decoder.ts';
import { HeadEncoder } from '../../src/http2/head-encoder.ts';
import { decodeHuffman, encodeHuffman, huffmanLength } from '../../src/http2/huffman.ts';
import { Workspace } from '../../src/http2/workspace.ts';
import { fc } from '../support/properties.ts';
import { fieldsOf } from './drive.ts';
import { ClientEnd, type Endpoint, type Message, OPTIONS, ServerEnd, type TestStream } from './endpoint.ts';
import { decodeBlock, type Field, isClean } from './hpack.ts';

const NAME = fc
  .string({ unit: fc.constantFrom(...'abcxyz-0'), minLength: 1, maxLength: 12 })
  .map((text) => `x-${text}`);
const VALUE = fc
  .string({ unit: fc.constantFrom(...'ab ;=,"\t\xe9\xff~'), maxLength: 30 })
  .map((text) => text.replace(/^[ \t]+|[ \t]+$/g, ''));
const FIELD: fc.Arbitrary<Field> = fc.oneof(
  fc.tuple(NAME, VALUE),
  // Known names, long values, and what is never indexed.
  fc.tuple(
    fc.constantFrom('accept', 'etag', 'authorization', 'set-cookie', 'strict-transport-security'),
    VALUE,
  ),
  fc.tuple(
    fc.constant('x-long'),
    fc.nat(3000).map((length) => 'v'.repeat(length)),
  ),
);
const LINES = fc.array(FIELD, { maxLength: 8 });
const linesOf = (fields: readonly Field[]): string => fields.map(([n, v]) => `${n}: ${v}\r\n`).join('');

describe('Huffman code', () => {
  it('gives back whatever it was given, in the length that it says', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const coded = Buffer.alloc(1000);
        const end = encodeHuffman(bytes, 0, bytes.length, coded, 0);
        assert.equal(end, huffmanLength(bytes, 0, bytes.length));
        const decoded = Buffer.alloc(400);
        const length = decodeHuffman(coded, 0, end, decoded, 0);
        assert.deepEqual(new Uint8Array(decoded.subarray(0, length)), bytes);
        // One byte less is never the same text.
        if (end > 0) assert.notEqual(decodeHuffman(coded, 0, end - 1, Buffer.alloc(400), 0), length);
      }),
    );
  });
});

describe('header blocks', () => {
  it('come out as they went in, block after block, whatever size the peer gives the table', () => {
    const workspace = new Workspace();
    const block = fc.record({ fields: LINES, size: fc.option(fc.constantFrom(0, 64, 200, 4096, 1_000_000)) });
    fc.assert(
      fc.property(fc.array(block, { maxLength: 12 }), (blocks) => {
        const encoder = new HeadEncoder(workspace);
        const decoder = new BlockDecoder();
        for (const { fields, size } of blocks) {
          if (size !== null) encoder.resize(size);
          encoder.begin();
          encoder.status(200);
          encoder.lines(linesOf(fields));
          const bytes = Buffer.from(encoder.block.subarray(0, encoder.length));
          assert.deepEqual(decodeBlock(decoder, bytes), [[':status', '200'], ...fields]);
        }
      }),
    );
  });

  it('never make the decoder fail or read on, whatever they are', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), (blocks) => {
        const decoder = new BlockDecoder();
        for (const block of blocks) if (decodeBlock(decoder, Buffer.from(block)) === null) return;
      }),
      { numRuns: 500 },
    );
  });

  it('of valid fields are clean', () => {
    const encoder = new HeadEncoder(new Workspace());
    encoder.begin();
    encoder.lines('Accept: text/html\r\nX-A:  spaced \t\r\n');
    assert.ok(isClean(Buffer.from(encoder.block.subarray(0, encoder.length))));
  });
});

/** Two ends whose bytes are handed over in pieces of chosen sizes, in turns. */
class Pair {
  readonly client: ClientEnd;
  readonly server: ServerEnd;
  readonly #toServer: Buffer[] = [];
  readonly #toClient: Buffer[] = [];
  readonly #sizes: readonly number[];
  #turn = 0;

  constructor(sizes: readonly number[], window: number) {
    this.#sizes = sizes;
    const options = { ...OPTIONS, streamWindow: window };
    this.client = new ClientEnd((bytes) => this.#toServer.push(Buffer.from(bytes)), options);
    this.server = new ServerEnd((bytes) => this.#toClient.push(Buffer.from(bytes)), options);
  }

  /** Until nothing is on its way. */
  run(): void {
    for (let steps = 0; this.#toServer.length + this.#toClient.length > 0; steps++) {
      assert.ok(steps < 100_000, 'it comes to rest');
      this.#hand(this.#toServer, this.server);
      this.#hand(this.#toClient, this.client);
      assert.equal(this.client.failure + this.server.failure, '');
    }
  }

  #hand(waiting: Buffer[], to: Endpoint<RequestHead> | Endpoint<ResponseHead>): void {
    const size = this.#sizes[this.#turn++ % this.#sizes.length]!;
    const bytes = Buffer.concat(waiting.splice(0));
    if (bytes.length === 0) return;
    if (bytes.length > size) waiting.push(bytes.subarray(size));
    to.receive(Buffer.from(bytes.subarray(0, size)));
  }
}

interface Asked {
  readonly method: string;
  readonly fields: readonly Field[];
  readonly body: string | null;
  readonly trailers: readonly Field[];
  readonly answer: { status: number; fields: readonly Field[]; body: string; trailers: readonly Field[] };
}

const BODY = fc.nat(4000).map((length) => 'some text, '.repeat(400).slice(0, length));
const TRAILERS = fc.array(fc.tuple(NAME, VALUE), { maxLength: 2 });
const ASKED: fc.Arbitrary<Asked> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT'),
  fields: LINES,
  body: fc.option(BODY),
  trailers: TRAILERS,
  answer: fc.record({
    status: fc.constantFrom(200, 201, 404, 503),
    fields: LINES,
    body: BODY,
    trailers: TRAILERS,
  }),
});

describe('two ends', () => {
  it('exchange any messages, many at once, however their bytes are cut and whatever the windows are', () => {
    const run = fc.record({
      asked: fc.array(ASKED, { minLength: 1, maxLength: 6 }),
      sizes: fc.array(fc.constantFrom(1, 7, 50, 9000, 100_000), { minLength: 1, maxLength: 4 }),
      window: fc.constantFrom(300, 5000, 65535),
    });
    fc.assert(
      fc.property(run, ({ asked, sizes, window }) => {
        // Pieces of one byte alone would take long for large bodies.
        const pair = new Pair([...sizes, 2000], window);
        const heard: string[] = [];
        const answered: string[] = [];
        pair.server.onMessage = (stream, message) => {
          const one = asked[(stream.id - 1) / 2]!;
          heard[(stream.id - 1) / 2] = `${stream.head.method} ${fieldsOf(stream.head)} ${said(message)}`;
          const { status, fields, body, trailers } = one.answer;
          pair.server.answer(stream, status, linesOf(fields), Buffer.from(body), linesOf(trailers));
        };
        pair.client.onGone = (stream: TestStream<ResponseHead>, message) => {
          answered[(stream.id - 1) / 2] = `${stream.head.status} ${fieldsOf(stream.head)} ${said(message)}`;
        };
        for (const { method, fields, body, trailers } of asked) {
          const content = body === null ? null : Buffer.from(body);
          pair.client.request(method, '/', linesOf(fields), content, linesOf(trailers));
        }
        pair.run();
        const listed = (fields: readonly Field[]) => fields.map(([n, v]) => `${n}=${v}`);
        assert.deepEqual(
          heard,
          asked.map(({ method, fields, body, trailers }) => {
            const own = listed([['host', 'www.example.com'], ...fields]).join('|');
            return `${method} ${own} end ${body ?? ''} ${body === null ? '' : linesOf(trailers)}`;
          }),
        );
        assert.deepEqual(
          answered,
          asked.map(({ answer: { status, fields, body, trailers } }) => {
            return `${status} ${listed(fields).join('|')} end ${body} ${linesOf(trailers)}`;
          }),
        );
        assert.equal(pair.client.connection.streamCount + pair.server.connection.streamCount, 0);
      }),
      { numRuns: 60 },
    );
  });
});

const said = ({ end, body, trailers }: Message): string => `${end} ${body} ${trailers}`;
