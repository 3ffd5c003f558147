// Feeds bytes to the parsers in any pieces and writes down what came out, so that two ways of cutting can be compared.

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { FieldId } from '../../src/http1/field-id.ts';
import type { UnderscorePolicy } from '../../src/http1/field-scanner.ts';
import type { HeadLimits } from '../../src/http1/limits.ts';
import type { MessageHead } from '../../src/http1/message-head.ts';
import type { MessageParser } from '../../src/http1/message-parser.ts';
import { RequestParser } from '../../src/http1/request-parser.ts';
import { ResponseParser } from '../../src/http1/response-parser.ts';
import { type Framing, Step } from '../../src/http1/step.ts';

export const LIMITS: HeadLimits = {
  headerBytes: 8192,
  lineBytes: 8192,
  headerCount: 32,
  chunkExtensionBytes: 64,
  trailerBytes: 256,
};

export interface Message {
  readonly start: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly dropped: readonly string[];
  readonly host: string;
  readonly keepAlive: boolean;
  readonly framing: Framing;
  body: string;
  trailers: string;
  ended: boolean;
}

export interface Outcome {
  readonly messages: readonly Message[];
  /** The reason of a refusal, or ''. */
  readonly failure: string;
  readonly failureCode: string;
  /** Nothing is held and no message is open. */
  readonly idle: boolean;
}

/** Latin-1 text as bytes, so that any byte can be written as an escape. */
export const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');

function fieldsOf(head: MessageHead): { fields: [string, string][]; dropped: string[] } {
  const fields: [string, string][] = [];
  const dropped: string[] = [];
  for (let i = 0; i < head.count; i++) {
    if (head.ids[i] === FieldId.Dropped) dropped.push(head.name(i));
    else fields.push([head.name(i), head.value(i)]);
  }
  return { fields, dropped };
}

/** Calls `next` until the piece is consumed; true when the parser failed. */
function feed(parser: MessageParser, piece: Buffer, record: (step: Step) => void): boolean {
  let position = 0;
  // Each call consumes a byte or closes a message, so this bound cannot be met by a parser that goes on.
  for (let calls = 0; calls < 4 * piece.length + 16; calls++) {
    const step = parser.next(piece, position, piece.length);
    record(step);
    if (step === Step.Failed) return true;
    assert.ok(parser.position >= position && parser.position <= piece.length, 'position moves forward');
    position = parser.position;
    if (step === Step.NeedMore) {
      assert.equal(position, piece.length, 'NeedMore has consumed everything');
      return false;
    }
  }
  assert.fail('the parser stands still');
}

/** What a request parser makes of `bytes`, given in pieces that end at `cuts` (and at the end). */
export function readRequests(
  bytes: Buffer,
  cuts: readonly number[] = [],
  limits: HeadLimits = LIMITS,
  underscores: UnderscorePolicy = 'drop',
): Outcome {
  const parser = new RequestParser(limits, underscores);
  const messages: Message[] = [];
  for (const piece of piecesOf(bytes, cuts)) {
    const failed = feed(parser, piece, (step) => {
      const open = messages.at(-1);
      if (step === Step.Head) {
        const { head } = parser;
        messages.push({
          start: `${head.method} ${head.target} 1.${head.minor}`,
          ...fieldsOf(head),
          host: head.host,
          keepAlive: head.keepAlive,
          framing: head.framing,
          body: '',
          trailers: '',
          ended: false,
        });
      } else if (step === Step.Body) open!.body += piece.latin1Slice(parser.dataStart, parser.dataEnd);
      else if (step === Step.End) {
        open!.ended = true;
        open!.trailers = parser.trailers;
      } else assert.notEqual(step, Step.Interim);
    });
    if (failed) return { messages, failure: parser.failure, failureCode: parser.failureCode, idle: false };
  }
  return { messages, failure: '', failureCode: '', idle: parser.idle };
}

/** What a response parser makes of `bytes` as the answers to `methods`; `close` ends the connection after them. */
export function readResponses(
  bytes: Buffer,
  cuts: readonly number[] = [],
  methods: readonly string[] = ['GET'],
  close = false,
  limits: HeadLimits = LIMITS,
): Outcome {
  const parser = new ResponseParser(limits);
  const messages: Message[] = [];
  const announced = [...methods];
  const announce = () => {
    const method = announced.shift();
    if (method !== undefined) parser.begin(method);
  };
  announce();
  const failed = () => ({ messages, failure: parser.failure, failureCode: parser.failureCode, idle: false });
  for (const piece of piecesOf(bytes, cuts)) {
    const stopped = feed(parser, piece, (step) => {
      const open = messages.at(-1);
      if (step === Step.Head || step === Step.Interim) {
        const { head } = parser;
        messages.push({
          start: `1.${head.minor} ${head.status} ${head.reason}`,
          ...fieldsOf(head),
          host: '',
          keepAlive: head.keepAlive,
          framing: head.framing,
          body: '',
          trailers: '',
          ended: step === Step.Interim,
        });
      } else if (step === Step.Body) open!.body += piece.latin1Slice(parser.dataStart, parser.dataEnd);
      else if (step === Step.End) {
        open!.ended = true;
        open!.trailers = parser.trailers;
        announce();
      }
    });
    if (stopped) return failed();
  }
  if (close && !parser.idle) {
    if (parser.eof() === Step.Failed) return failed();
    messages.at(-1)!.ended = true;
  }
  return { messages, failure: '', failureCode: '', idle: parser.idle };
}

function* piecesOf(bytes: Buffer, cuts: readonly number[]): Generator<Buffer> {
  let start = 0;
  for (const cut of [...cuts, bytes.length]) {
    // A copy of its own at an odd offset: a parser that keeps a reference to a piece is found out below.
    const piece = Buffer.alloc(cut - start + 3, 0x21).subarray(3);
    bytes.copy(piece, 0, start, cut);
    yield piece;
    piece.fill(0x3f);
    start = cut;
  }
}

/**
 * Reads the bytes whole, byte by byte and cut in two at every place, and demands the same outcome each time.
 * @returns that outcome
 */
export function atEverySplit(
  bytes: Buffer,
  read: (bytes: Buffer, cuts: readonly number[]) => Outcome,
): Outcome {
  const whole = read(bytes, []);
  assert.deepEqual(
    read(
      bytes,
      Array.from({ length: bytes.length }, (_, i) => i),
    ),
    whole,
    'byte by byte',
  );
  for (let cut = 0; cut <= bytes.length; cut++) {
    const split = read(bytes, [cut]);
    if (JSON.stringify(split) !== JSON.stringify(whole)) assert.deepEqual(split, whole, `cut at ${cut}`);
  }
  return whole;
}
