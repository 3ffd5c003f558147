// A call of gRPC-Web at a target that speaks gRPC: the same frames both ways, in base64 where the client asks for it, trailers last.

import { Buffer } from 'node:buffer';
import type { RequestHead } from '../../http1/request-head.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import type { FailureCode } from '../../model/failures.ts';
import { Base64Decoder } from '../http/base64-decoder.ts';
import { withoutEdited } from '../http/field-lines.ts';
import { type GrpcWebCall, grpcTypeOf, toWebHead, trailersFrame } from '../http/grpc-web.ts';
import { MessageBoundary } from '../http/message-boundary.ts';
import type { RequestHeadParts } from '../http/request-head.ts';
import type { HeaderEdits } from '../router/header-edits.ts';
import type { StreamDial, StreamUser, UpstreamSide, UpstreamStream } from './upstream-stream.ts';

/** What a user of the translation is told beside what any stream tells. */
export interface GrpcWebUser extends StreamUser {
  /** What came of the request is not base64: nothing more of it is sent. */
  onUndecodable(): void;
}

export class GrpcWebStream implements UpstreamStream, StreamUser {
  /** Only connections of HTTP/2 carry it. */
  readonly own = null;
  readonly #call: GrpcWebCall;
  readonly #user: GrpcWebUser;
  readonly #inner: UpstreamStream;
  readonly #decoder: Base64Decoder | null;
  /** Of the answer, by the rule. */
  readonly #edits: HeaderEdits | null;
  readonly #boundary = new MessageBoundary();
  /** The answer is gRPC, and its head has passed. */
  #translates = false;

  constructor(dial: StreamDial, user: GrpcWebUser, call: GrpcWebCall, edits: HeaderEdits | null) {
    this.#user = user;
    this.#call = call;
    this.#edits = edits;
    this.#decoder = call.isText ? new Base64Decoder() : null;
    this.#inner = dial.open(this);
  }

  get socket(): UpstreamStream['socket'] {
    return this.#inner.socket;
  }

  get leaves(): boolean {
    return this.#inner.leaves;
  }

  get congested(): boolean {
    return this.#inner.congested;
  }

  /** An answer that has begun can still be ended with a status: no message is cut by it. */
  get takesTrailers(): boolean {
    return this.#translates && this.#boundary.reached;
  }

  // What goes to the target ------------------------------------------------------------------------------------------

  sendHead(head: RequestHead, parts: RequestHeadParts): void {
    this.#inner.sendHead(head, { ...parts, grpcType: grpcTypeOf(this.#call) });
  }

  sendBody(buffer: Buffer, start: number, end: number): void {
    if (this.#decoder === null) return this.#inner.sendBody(buffer, start, end);
    const bytes = this.#decoder.decode(buffer, start, end);
    if (bytes === null) this.#user.onUndecodable();
    else if (bytes.length > 0) this.#inner.sendBody(bytes, 0, bytes.length);
  }

  sendEnd(trailers: string): void {
    if (this.#decoder?.complete === false) this.#user.onUndecodable();
    else this.#inner.sendEnd(trailers);
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  close(): void {
    this.#inner.close();
  }

  // What comes from the target ---------------------------------------------------------------------------------------

  onUpstreamInterim(head: ResponseHead): void {
    this.#user.onUpstreamInterim(head);
  }

  onUpstreamHead(head: ResponseHead): void {
    this.#translates = toWebHead(head, this.#call);
    this.#user.onUpstreamHead(head);
  }

  onUpstreamBody(buffer: Buffer, start: number, end: number): void {
    if (!this.#translates) return this.#user.onUpstreamBody(buffer, start, end);
    this.#boundary.pass(buffer, start, end);
    this.#pass(buffer, start, end);
  }

  onUpstreamEnd(trailers: string): void {
    if (this.#translates && !this.#boundary.reached)
      return this.#user.onUpstreamFailure('upstream-incomplete', true);
    if (this.#translates) this.passTrailers(withoutEdited(trailers, this.#edits));
    this.#user.onUpstreamEnd(this.#translates ? '' : trailers);
  }

  /** Ends the frames of the answer with these trailer lines. */
  passTrailers(lines: string): void {
    const frame = trailersFrame(lines);
    this.#pass(frame, 0, frame.length);
  }

  /** Each piece is padded for itself, so that none waits for the next. */
  #pass(buffer: Buffer, start: number, end: number): void {
    if (!this.#call.wantsText) return this.#user.onUpstreamBody(buffer, start, end);
    const text = Buffer.from(buffer.toString('base64', start, end), 'latin1');
    this.#user.onUpstreamBody(text, 0, text.length);
  }

  onUpstreamFailure(code: FailureCode, spoke: boolean): void {
    this.#user.onUpstreamFailure(code, spoke);
  }

  onUpstreamSwitch(side: UpstreamSide, head: ResponseHead, buffer: Buffer, start: number, end: number): void {
    this.#user.onUpstreamSwitch(side, head, buffer, start, end);
  }

  onUpstreamDrain(): void {
    this.#user.onUpstreamDrain();
  }
}
