// HTTP/2 inputs: frames in a short form that mutations leave readable, what the codec makes of them, and what is sent on.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { FieldId } from '../../src/http1/field-id.ts';
import type { MessageHead } from '../../src/http1/message-head.ts';
import type { RequestHead } from '../../src/http1/request-head.ts';
import type { ResponseHead } from '../../src/http1/response-head.ts';
import { Framing } from '../../src/http1/step.ts';
import { CHUNK_SUFFIX, chunkPrefix, lastChunk } from '../../src/http1/write.ts';
import { BlockDecoder } from '../../src/http2/block-decoder.ts';
import { HeadEncoder } from '../../src/http2/head-encoder.ts';
import type { ConnectionOptions } from '../../src/http2/options.ts';
import type { Stream } from '../../src/http2/stream.ts';
import { Workspace } from '../../src/http2/workspace.ts';
import { driveClient, driveServer, type Recorder } from '../http2/drive.ts';
import { OPTIONS } from '../http2/endpoint.ts';
import { frame, OPENING, settings } from '../http2/frames.ts';
import { decodeBlock } from '../http2/hpack.ts';
import {
  type Forwarded,
  type ForwardedRequest,
  type ForwardedResponse,
  forwardHead,
  forwardResponseHead,
  LIMITS,
} from './forwarding.ts';

export type Http2Kind = 'http2-server' | 'http2-client';

/** What an input came to, however it was cut. */
export interface Http2Outcome {
  readonly events: readonly string[];
  readonly frames: readonly string[];
  readonly requests: readonly ForwardedRequest[];
  readonly responses: readonly ForwardedResponse[];
  /** The last reason of a refusal or of the end of the connection, or ''. */
  readonly failure: string;
}

/** Requests of ours that a client input answers. */
const METHODS = ['GET', 'HEAD', 'POST', 'CONNECT'] as const;
const FUZZ_OPTIONS: ConnectionOptions = {
  ...OPTIONS,
  head: LIMITS,
  maxStreams: 5,
  streamWindow: 2000,
  connectionWindow: 65535,
};
const RAW = 0xff;
const REPEATED = 0xfe;
const REPEATS = 80;

/**
 * The bytes of a script: records of type, flags, stream and length, each one byte, and the payload. Two types are none of
 * frames: bytes as they are, and a frame (its type in the flags) of the payload many times over.
 */
export function framesOf(script: Buffer): Buffer {
  const frames: Buffer[] = [];
  for (let p = 0; p + 4 <= script.length; ) {
    const [type, flags, id, length] = script.subarray(p, p + 4);
    const payload = script.subarray(p + 4, p + 4 + length!);
    if (type === RAW) frames.push(payload);
    else if (type === REPEATED)
      frames.push(frame(flags! & 15, 5, id!, Buffer.concat(Array.from({ length: REPEATS }, () => payload))));
    else frames.push(frame(type!, flags!, id!, payload));
    p += 4 + length!;
  }
  return Buffer.concat(frames);
}

export function readHttp2(
  kind: Http2Kind,
  bytes: Buffer,
  cuts: readonly number[],
  trusted: boolean,
): Http2Outcome {
  return kind === 'http2-server' ? readServer(bytes, cuts, trusted) : readClient(bytes, cuts);
}

function readServer(bytes: Buffer, cuts: readonly number[], trusted: boolean): Http2Outcome {
  const { recorder, connection, send } = driveServer(FUZZ_OPTIONS, OPENING);
  const requests: ForwardedRequest[] = [];
  follow(recorder, (head: RequestHead) => {
    const request = forwardHead(head, trusted);
    if (request !== null) requests.push(request);
    return request;
  });
  recorder.onRequest = (stream) => {
    connection.beginHead(stream).status(200);
    connection.endHead(false);
    connection.sendData(stream, BODY, 0, BODY.length, true);
  };
  inPieces(bytes, cuts, send);
  assert.ok(connection.streamCount <= FUZZ_OPTIONS.maxStreams, 'no more streams than allowed');
  return outcomeOf(recorder, requests, []);
}

const BODY = Buffer.from('an answer');

function readClient(bytes: Buffer, cuts: readonly number[]): Http2Outcome {
  const { recorder, connection, send } = driveClient(FUZZ_OPTIONS);
  send(settings());
  const responses: ForwardedResponse[] = [];
  for (const method of METHODS) {
    const stream = connection.open(method, null)!;
    connection.beginHead(stream).request(method, 'http', 'a:1', '/', '');
    connection.endHead(true);
  }
  follow(recorder, (head: ResponseHead, { method }) => {
    const response = forwardResponseHead(head, method);
    // In HTTP/1.1 it is over with its head, whatever its stream still does.
    if (head.framing === Framing.None) response.complete = true;
    responses.push(response);
    return response;
  });
  inPieces(bytes, cuts, send);
  return outcomeOf(recorder, [], responses);
}

function inPieces(bytes: Buffer, cuts: readonly number[], send: (piece: Buffer) => void): void {
  let start = 0;
  for (const end of [...cuts, bytes.length]) {
    const piece = Buffer.from(bytes.subarray(start, end));
    send(piece);
    piece.fill(0xee);
    start = end;
  }
}

/** Sends on what comes, as the exchange would in HTTP/1.1. */
function follow<H extends MessageHead>(
  recorder: Recorder<H>,
  begin: (head: H, stream: Stream<H, unknown>) => Forwarded | null,
): void {
  const open = new Map<number, Forwarded>();
  const onHead = recorder.onHead.bind(recorder);
  const onData = recorder.onData.bind(recorder);
  const onEnd = recorder.onEnd.bind(recorder);
  const isChunked = (stream: Stream<H, unknown>): boolean => stream.head.framing === Framing.Chunked;
  recorder.onHead = (stream) => {
    onHead(stream);
    checkEncoding(stream.head);
    const forwarded = begin(stream.head, stream);
    if (forwarded === null) open.delete(stream.id);
    else open.set(stream.id, forwarded);
  };
  recorder.onData = (stream, buffer, start, end) => {
    assert.ok(end > start, 'content is not empty');
    onData(stream, buffer, start, end);
    const forwarded = open.get(stream.id);
    if (forwarded === undefined) return;
    const data = buffer.latin1Slice(start, end);
    forwarded.body += data;
    // Chunks are as the bytes came: only the whole body is the same for every way of cutting.
    forwarded.text += isChunked(stream) ? chunkPrefix(data.length) + data + CHUNK_SUFFIX : data;
  };
  recorder.onEnd = (stream, trailers) => {
    const forwarded = open.get(stream.id);
    if (forwarded !== undefined) {
      const chunked = isChunked(stream);
      forwarded.complete = true;
      forwarded.trailers = chunked ? trailers : '';
      if (chunked) forwarded.text += lastChunk(trailers);
    }
    onEnd(stream, trailers);
  };
}

const workspace = new Workspace();
const NOTHING = new Uint8Array(256);
NOTHING[FieldId.Dropped] = 1;
/** What a header block never says again. */
const LEFT_OUT = new Set(['host', 'te', 'http2-settings']);

/** A head that was taken can be written as a header block and read again. */
function checkEncoding(head: MessageHead): void {
  const encoder = new HeadEncoder(workspace);
  const fields: [string, string][] = [];
  for (let i = 0; i < head.count; i++) {
    if (head.ids[i] !== FieldId.Dropped && !LEFT_OUT.has(head.name(i)))
      fields.push([head.name(i), head.value(i)]);
  }
  const decoder = new BlockDecoder();
  // Written three times: as literals, into the table, from the table.
  for (let round = 0; round < 3; round++) {
    encoder.begin();
    encoder.copy(head, NOTHING, null);
    const decoded = decodeBlock(decoder, Buffer.from(encoder.block.subarray(0, encoder.length)));
    assert.deepEqual(
      decoded?.filter(([name]) => !LEFT_OUT.has(name)),
      fields,
      'what is encoded can be decoded',
    );
  }
}

function outcomeOf(
  recorder: Recorder<RequestHead> | Recorder<ResponseHead>,
  requests: readonly ForwardedRequest[],
  responses: readonly ForwardedResponse[],
): Http2Outcome {
  const { events } = recorder;
  const frames = recorder.log.lines;
  checkEvents(events);
  for (const line of frames) assert.doesNotMatch(line, / broken/, 'our own header blocks are valid');
  const end = frames.findIndex((line) => line.startsWith('GOAWAY'));
  assert.ok(end < 0 || end === frames.length - 1, 'nothing behind GOAWAY');
  const failure =
    events
      .findLast((event) => /^(?:refused|failure)/.test(event))
      ?.split(' ')
      .at(-1) ?? '';
  return { events, frames, requests, responses, failure };
}

/** For each stream: heads, then content, then one end, refusal or reset, and nothing more. */
function checkEvents(events: readonly string[]): void {
  const ended = new Set<string>();
  const begun = new Set<string>();
  for (const event of events) {
    const [kind = '', id = ''] = event.split(' ', 2);
    if (kind === 'goaway' || kind === 'failure' || kind === 'pong') continue;
    if (kind !== 'reset') assert.ok(!ended.has(id), `${event} behind the end of its stream`);
    if (kind === 'head') begun.add(id);
    else if (kind === 'data' || kind === 'end') assert.ok(begun.has(id), `${event} before its head`);
    if (kind === 'end' || kind === 'refused') ended.add(id);
  }
}
