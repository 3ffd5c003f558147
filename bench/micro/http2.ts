// Micro-benchmark of the HTTP/2 codec: nanoseconds for each message or frame, with a check of what came out.

import { Buffer } from 'node:buffer';
import { RequestHead } from '../../src/http1/request-head.ts';
import { BlockDecoder } from '../../src/http2/block-decoder.ts';
import { FrameType, HEADER_BYTES } from '../../src/http2/frames.ts';
import type { ConnectionHandler } from '../../src/http2/handler.ts';
import { HeadEncoder } from '../../src/http2/head-encoder.ts';
import { decodeHuffman, encodeHuffman } from '../../src/http2/huffman.ts';
import type { ConnectionOptions } from '../../src/http2/options.ts';
import { PREFACE } from '../../src/http2/preface.ts';
import { ServerConnection } from '../../src/http2/server-connection.ts';
import type { Stream } from '../../src/http2/stream.ts';
import { Workspace } from '../../src/http2/workspace.ts';
import { type Case, measureCases } from './cases.ts';

const OPTIONS: ConnectionOptions = {
  head: {
    headerBytes: 32768,
    lineBytes: 32768,
    headerCount: 100,
    chunkExtensionBytes: 4096,
    trailerBytes: 8192,
  },
  underscores: 'drop',
  maxStreams: 100,
  streamWindow: 1024 * 1024,
  connectionWindow: 16 * 1024 * 1024,
  extendedConnect: false,
};

const workspace = new Workspace();
workspace.reserve(OPTIONS.head.headerBytes, 64 * 1024);

const BROWSER =
  'user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n' +
  'accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8\r\n' +
  'accept-language: en-GB,en;q=0.7,de;q=0.3\r\naccept-encoding: gzip, deflate, br, zstd\r\n' +
  'referer: https://github.example.com/organisations/portico\r\nupgrade-insecure-requests: 1\r\n' +
  'cache-control: max-age=0\r\n';
const RESPONSE =
  'Server: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 07:23:28 GMT\r\nContent-Type: text/html; charset=utf-8\r\n' +
  'Content-Length: 66\r\nLast-Modified: Sun, 22 Nov 2026 01:02:03 GMT\r\nETag: "6562f0a0-42"\r\nAccept-Ranges: bytes\r\n';
const PATH = '/organisations/portico/repositories?page=2&sort=updated';

/** The blocks of one request again and again: the third and later ones come from the table but for the path. */
function requestBlocks(count: number, lines: string): Buffer[] {
  const encoder = new HeadEncoder(workspace);
  return Array.from({ length: count }, (_, i) => {
    encoder.begin();
    encoder.request('GET', 'https', 'github.example.com', `${PATH}&n=${i}`, '');
    encoder.lines(lines);
    return Buffer.from(encoder.block.subarray(0, encoder.length));
  });
}

function decodeCase(name: string, lines: string, block: number, fresh: boolean, perMessage: number): Case {
  const blocks = requestBlocks(block + 1, lines);
  const head = new RequestHead();
  let decoder = new BlockDecoder();
  const reader = workspace.request;
  const decode = (bytes: Buffer): number => {
    reader.beginRequest(head, OPTIONS.head, 'drop', false);
    if (!decoder.decode(bytes, 0, bytes.length, reader)) throw new Error('not valid');
    reader.finish(true);
    if (reader.failure !== '') throw new Error(reader.failure);
    return head.count + head.host.length;
  };
  for (const bytes of blocks) decode(bytes);
  return {
    name,
    run: (count) => {
      let work = 0;
      for (let i = 0; i < count; i++) {
        if (fresh) decoder = new BlockDecoder();
        work += decode(blocks[block]!);
      }
      return work;
    },
    expected: (count) => count * perMessage,
  };
}

function encodeCase(name: string, lines: string, unique: boolean): Case {
  const encoder = new HeadEncoder(workspace);
  const encode = (text: string): number => {
    encoder.begin();
    encoder.status(200);
    encoder.lines(text);
    return encoder.length;
  };
  for (let i = 0; i < 3; i++) encode(lines);
  const length = encode(lines);
  const etags = Array.from({ length: 8192 }, (_, i) => lines.replace('6562f0a0-42', `${100000 + i}-42`));
  return {
    name,
    run: (count) => {
      let work = 0;
      for (let i = 0; i < count; i++) {
        const n = encode(unique ? etags[i & 8191]! : lines);
        work += unique ? (n >= length ? 1 : 0) : n;
      }
      return work;
    },
    expected: (count) => (unique ? count : count * length),
  };
}

/** Counts what comes, answers every request. */
class Counter implements ConnectionHandler<RequestHead, null> {
  connection!: ServerConnection<null>;
  work = 0;
  readonly #buffer = Buffer.alloc(64 * 1024);
  readonly #body = Buffer.alloc(66, 98);
  readonly #answers: boolean;

  constructor(answers: boolean) {
    this.#answers = answers;
  }

  take = (): Buffer => this.#buffer;
  send = (_buffer: Buffer, used: number): void => {
    this.work += used > 0 ? 1 : 0;
  };
  pending = (): void => {};
  onHead(): void {
    this.work++;
  }
  onData(stream: Stream<RequestHead, null>, _buffer: Buffer, start: number, end: number): void {
    this.work += end - start;
    this.connection.consume(stream, end - start);
  }
  onEnd(stream: Stream<RequestHead, null>): void {
    if (!this.#answers) return;
    const { connection } = this;
    const encoder = connection.beginHead(stream);
    encoder.status(200);
    encoder.lines(RESPONSE);
    connection.endHead(false);
    connection.sendData(stream, this.#body, 0, 66, true);
  }
  onClosed(stream: Stream<RequestHead, null>): void {
    this.connection.release(stream);
  }
  onReset(): void {}
  onRefused(_stream: Stream<RequestHead, null>, reason: string): void {
    throw new Error(reason);
  }
  onWindow(): void {}
  onGoaway(): void {}
  onSettings(): void {}
  onPong(): void {}
  onFailure(failure: string): void {
    throw new Error(failure);
  }
}

function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  payload.copy(bytes, HEADER_BYTES);
  return bytes;
}

/** A connection whose peer has a send window without end. */
function connect(counter: Counter): ServerConnection<null> {
  const connection = new ServerConnection<null>(counter, counter, OPTIONS, workspace);
  counter.connection = connection;
  connection.start();
  const settings = Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff]);
  const bytes = Buffer.concat([PREFACE, frame(FrameType.Settings, 0, 0, settings)]);
  connection.receive(bytes, 0, bytes.length, 0);
  connection.flush();
  return connection;
}

/** HEADERS in, HEADERS and DATA out; many requests in one read when `together` is more than one. */
function exchangeCase(name: string, together: number): Case {
  const blocks = requestBlocks(8, BROWSER);
  const opening = blocks.slice(0, 7).map((block, i) => frame(FrameType.Headers, 5, 2 * i + 1, block));
  const bytes = Buffer.concat(
    Array.from({ length: together }, () => frame(FrameType.Headers, 5, 1, blocks[7]!)),
  );
  const each = bytes.length / together;
  const windowUpdate = frame(FrameType.WindowUpdate, 0, 0, Buffer.from([0, 16, 0, 0]));
  return {
    name,
    run: (count) => {
      const counter = new Counter(true);
      const connection = connect(counter);
      for (const first of opening) connection.receive(first, 0, first.length, 0);
      counter.work = 0;
      let id = 2 * opening.length + 1;
      for (let i = 0; i < count; i += together) {
        for (let k = 0; k < together; k++, id += 2) bytes.writeUInt32BE(id, k * each + 5);
        connection.receive(bytes, 0, bytes.length, i);
        if (i % 1000 === 0) connection.receive(windowUpdate, 0, windowUpdate.length, i);
        connection.flush();
      }
      return counter.work;
    },
    expected: (count) => count + count / together,
  };
}

function dataCase(name: string, payload: number): Case {
  const bytes = frame(FrameType.Data, 0, 1, Buffer.alloc(payload, 97));
  const counter = new Counter(false);
  const connection = connect(counter);
  const first = frame(FrameType.Headers, 4, 1, requestBlocks(1, BROWSER)[0]!);
  connection.receive(first, 0, first.length, 0);
  return {
    name,
    run: (count) => {
      counter.work = 0;
      for (let i = 0; i < count; i++) connection.receive(bytes, 0, bytes.length, i);
      const { work } = counter;
      connection.flush();
      return work;
    },
    expected: (count) => count * payload,
  };
}

const TEXT = Buffer.from(BROWSER.slice(12, 90));
const CODED = Buffer.alloc(256);
const CODED_LENGTH = encodeHuffman(TEXT, 0, TEXT.length, CODED, 0);
const huffmanCase = (name: string, run: (out: Buffer) => number, each: number): Case => {
  const out = Buffer.alloc(256);
  return {
    name,
    run: (count) => {
      let work = 0;
      for (let i = 0; i < count; i++) work += run(out);
      return work;
    },
    expected: (count) => count * each,
  };
};

measureCases([
  huffmanCase(
    'Huffman, decode 78 bytes',
    (out) => decodeHuffman(CODED, 0, CODED_LENGTH, out, 0),
    TEXT.length,
  ),
  huffmanCase('Huffman, encode 78 bytes', (out) => encodeHuffman(TEXT, 0, TEXT.length, out, 0), CODED_LENGTH),
  decodeCase('request block, all literals', BROWSER, 0, true, 8 + 18),
  decodeCase('request block, from the table', BROWSER, 7, false, 8 + 18),
  encodeCase('response block, from the table', RESPONSE, false),
  encodeCase('response block, one new value', RESPONSE, true),
  exchangeCase('request and answer, one a read', 1),
  exchangeCase('request and answer, 10 a read', 10),
  dataCase('DATA received, 16 KiB', 16384),
  dataCase('DATA received, 100 bytes', 100),
]);
