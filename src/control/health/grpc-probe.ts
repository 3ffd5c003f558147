// Owns the gRPC probe: one connection of HTTP/2, one `Check` of `grpc.health.v1`, and a GOAWAY when the answer is in.

import { Buffer } from 'node:buffer';
import net from 'node:net';
import tls from 'node:tls';
import type { ResponseHead } from '../../http1/response-head.ts';
import { ClientConnection } from '../../http2/client-connection.ts';
import { ErrorCode } from '../../http2/error-code.ts';
import type { ConnectionFailure, MessageFailure } from '../../http2/failures.ts';
import type { ConnectionHandler } from '../../http2/handler.ts';
import type { ConnectionOptions } from '../../http2/options.ts';
import { OUTPUT_BUFFER_BYTES, type OutputSink } from '../../http2/output.ts';
import type { Stream } from '../../http2/stream.ts';
import type { Workspace } from '../../http2/workspace.ts';
import {
  ANSWER_LIMIT_BYTES,
  CHECK_PATH,
  CONTENT_TYPE,
  checkRequest,
  judgeAnswer,
  judgeHead,
  statusOf,
} from './grpc-health.ts';
import { failed, fromError, type ProbeEnd, type ProbePlace, type Verdict } from './verdict.ts';

const OPTIONS: ConnectionOptions = {
  head: {
    headerBytes: 16 * 1024,
    lineBytes: 16 * 1024,
    headerCount: 100,
    chunkExtensionBytes: 0,
    trailerBytes: 4096,
  },
  underscores: 'pass',
  maxStreams: 1,
  streamWindow: 65_535,
  connectionWindow: 65_535,
  extendedConnect: false,
};

export interface GrpcQuestion {
  /** '' asks for the server as a whole. */
  readonly service: string;
  /** Sent as `:authority`; null sends the address and port. */
  readonly hostHeader: string | null;
  /** Of the socket; null is cleartext, with HTTP/2 known before. */
  readonly tls: tls.ConnectionOptions | null;
}

type CheckStream = Stream<ResponseHead, never>;

/** What all probes share. */
export interface GrpcProbing {
  readonly workspace: Workspace;
  /** Monotonic milliseconds. */
  readonly monotonic: () => number;
}

/** Starts the probe; returns what cuts it off. */
export function grpcProbe(
  place: ProbePlace,
  question: GrpcQuestion,
  probing: GrpcProbing,
  end: ProbeEnd,
): () => void {
  const { socket } = new Check(place, question, probing, end);
  return () => socket.destroy();
}

class Check implements ConnectionHandler<ResponseHead, never>, OutputSink {
  readonly socket: net.Socket;
  readonly #codec: ClientConnection<never>;
  readonly #question: GrpcQuestion;
  readonly #authority: string;
  readonly #end: ProbeEnd;
  readonly #parts: Buffer[] = [];
  #bytes = 0;
  /** `grpc-status` of an answer that is a head alone. */
  #status: string | null = null;
  #done = false;

  constructor(place: ProbePlace, question: GrpcQuestion, probing: GrpcProbing, end: ProbeEnd) {
    const { host, port, lookup, header } = place;
    this.#question = question;
    this.#authority = question.hostHeader ?? `${net.isIPv6(host) ? `[${host}]` : host}:${port}`;
    this.#end = end;
    this.#codec = new ClientConnection<never>(this, this, OPTIONS, probing.workspace);
    const plain = net.connect({ host, port, lookup, noDelay: true });
    if (header !== null) plain.write(header);
    let socket = plain;
    if (question.tls === null) {
      plain.once('connect', () => this.#ask());
    } else {
      // A connect that fails is told by the socket below.
      plain.once('error', (error) => this.#settle(fromError(error)));
      const secure = tls.connect({ ...question.tls, host, socket: plain, ALPNProtocols: ['h2'] });
      secure.once('secureConnect', () => {
        if (secure.alpnProtocol === 'h2') this.#ask();
        else this.#settle(failed('nonsense', 'HTTP/2 was not agreed on'));
      });
      socket = secure;
    }
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      if (this.#done) return;
      this.#codec.receive(bytes, 0, bytes.length, probing.monotonic());
      this.#codec.flush();
    });
    socket.once('end', () => this.#settle(failed('closed', 'closed before an answer')));
    socket.once('error', (error) => this.#settle(fromError(error)));
    socket.once('close', () => {
      this.#codec.close();
      end.closed();
    });
  }

  #ask(): void {
    const codec = this.#codec;
    const request = checkRequest(this.#question.service);
    codec.start();
    const stream = codec.open('POST', null as never)!;
    const encoder = codec.beginHead(stream);
    encoder.request('POST', this.#question.tls === null ? 'http' : 'https', this.#authority, CHECK_PATH, '');
    encoder.lines(
      `content-type: ${CONTENT_TYPE}\r\nte: trailers\r\nuser-agent: portico-probe\r\ncontent-length: ${request.length}\r\n`,
    );
    codec.endHead(false);
    codec.sendData(stream, request, 0, request.length, true);
    codec.flush();
  }

  /** The first verdict stands. A target that has answered is told that nothing follows, and read until it closes. */
  #settle(verdict: Verdict): void {
    if (this.#done) return;
    this.#done = true;
    this.#end.settle(verdict);
    if (verdict.failure !== null && verdict.failure !== 'answered') {
      this.socket.destroy();
      return;
    }
    this.#codec.goaway(ErrorCode.NoError);
    this.#codec.flush();
    this.socket.end();
  }

  onHead(stream: CheckStream): void {
    const { head } = stream;
    if (head.status < 200) return;
    const fault = judgeHead(head);
    if (fault !== null) return this.#settle(fault);
    const index = head.findName('grpc-status');
    if (index !== -1) this.#status = head.value(index);
  }

  onData(stream: CheckStream, buffer: Buffer, start: number, end: number): void {
    this.#bytes += end - start;
    if (this.#bytes > ANSWER_LIMIT_BYTES)
      return this.#settle(failed('nonsense', `an answer of more than ${ANSWER_LIMIT_BYTES} bytes`));
    this.#parts.push(Buffer.from(buffer.subarray(start, end)));
    this.#codec.consume(stream, end - start);
  }

  onEnd(_stream: CheckStream, trailers: string): void {
    this.#settle(judgeAnswer(statusOf(trailers) ?? this.#status, Buffer.concat(this.#parts)));
  }

  onReset(_stream: CheckStream, code: ErrorCode): void {
    this.#settle(failed('closed', `reset with code ${code}`));
  }

  onRefused(_stream: CheckStream, reason: MessageFailure): void {
    this.#settle(failed('nonsense', reason));
  }

  onFailure(failure: ConnectionFailure): void {
    this.#settle(failed('nonsense', failure));
  }

  onClosed(stream: CheckStream): void {
    this.#codec.release(stream);
  }

  onWindow(): void {}

  /** A stream that it leaves out has been given to `onReset`; ours is answered otherwise. */
  onGoaway(): void {}

  onSettings(): void {}

  onPong(): void {}

  take(): Buffer {
    return Buffer.allocUnsafe(OUTPUT_BUFFER_BYTES);
  }

  send(buffer: Buffer, used: number): void {
    if (used > 0 && this.socket.writable) this.socket.write(buffer.subarray(0, used));
  }

  pending(): void {}
}
