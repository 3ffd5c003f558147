// Owns the HTTP probe: one connection, one GET, an answer that is read as strictly as the data plane reads it.

import net from 'node:net';
import tls from 'node:tls';
import { ANSWER_LIMITS } from '../../http1/limits.ts';
import type { ResponseHead } from '../../http1/response-head.ts';
import { ResponseParser } from '../../http1/response-parser.ts';
import { Step } from '../../http1/step.ts';
import { failed, fromError, type ProbeEnd, type ProbePlace, type Verdict } from './verdict.ts';

/** Bytes of a body that are read before the connection is cut; kept only when the verdict needs them. */
export const BODY_LIMIT_BYTES = 64 * 1024;

/** Visible ASCII: what a request line or a host field may hold (RFC 9112, section 3.2). */
const PLAIN = /^[!-~]+$/;

export interface HttpQuestion {
  readonly path: string;
  /** Null sends the address and port. */
  readonly hostHeader: string | null;
  /** Of the socket; null is cleartext. */
  readonly tls: tls.ConnectionOptions | null;
  /** Whether the verdict needs the body. */
  readonly needsBody: boolean;
  readonly judge: (head: ResponseHead, body: string) => Verdict;
}

/**
 * Starts the probe; returns what cuts it off.
 * @throws for a path or a host field that HTTP does not allow
 */
export function httpProbe(place: ProbePlace, question: HttpQuestion, end: ProbeEnd): () => void {
  const { path, hostHeader } = question;
  if (!path.startsWith('/') || !PLAIN.test(path)) throw new Error('a path that HTTP does not allow');
  if (hostHeader !== null && !PLAIN.test(hostHeader)) throw new Error('a host that HTTP does not allow');
  const { socket } = new Check(place, question, end);
  return () => socket.destroy();
}

class Check {
  readonly socket: net.Socket;
  readonly #question: HttpQuestion;
  readonly #end: ProbeEnd;
  readonly #parser = new ResponseParser(ANSWER_LIMITS);
  #bodyBytes = 0;
  #body = '';

  constructor(place: ProbePlace, question: HttpQuestion, end: ProbeEnd) {
    this.#question = question;
    this.#end = end;
    this.#parser.begin('GET');
    const socket = this.#connect(place);
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.once('end', () => this.#ended());
    socket.once('error', (error) => end.settle(fromError(error)));
    socket.once('close', end.closed);
    socket.write(requestOf(place, question), 'latin1');
  }

  #connect({ host, port, lookup, header }: ProbePlace): net.Socket {
    const plain = net.connect({ host, port, lookup, noDelay: true });
    if (header !== null) plain.write(header);
    if (this.#question.tls === null) return plain;
    // A connect that fails is told by it alone.
    plain.once('error', (error) => this.#end.settle(fromError(error)));
    return tls.connect({ ...this.#question.tls, host, socket: plain });
  }

  #receive(bytes: Buffer): void {
    const parser = this.#parser;
    for (let position = 0; ; position = parser.position) {
      const step = parser.next(bytes, position, bytes.length);
      if (step === Step.NeedMore) return;
      if (step === Step.Failed) return this.#refuse(parser.failure);
      if (step === Step.Head) {
        // It hands the connection over: nobody asked for that.
        if (parser.head.status === 101) return this.#refuse('status 101');
        if (!this.#question.needsBody) this.#settle();
      } else if (step === Step.Body) {
        this.#bodyBytes += parser.dataEnd - parser.dataStart;
        if (this.#bodyBytes > BODY_LIMIT_BYTES)
          return this.#refuse(`a body of more than ${BODY_LIMIT_BYTES} bytes`);
        if (this.#question.needsBody)
          this.#body += bytes.toString('latin1', parser.dataStart, parser.dataEnd);
      } else if (step === Step.End) return this.#leave();
    }
  }

  #settle(): void {
    this.#end.settle(this.#question.judge(this.#parser.head, this.#body));
  }

  /** The first verdict stands: a body that goes wrong behind a good status changes nothing. */
  #refuse(detail: string): void {
    this.#end.settle(failed('nonsense', detail));
    this.socket.destroy();
  }

  #leave(): void {
    this.#settle();
    // What may follow is read away, so that the close is a FIN and not a reset.
    this.socket.removeAllListeners('data');
    this.socket.resume();
    this.socket.end();
  }

  #ended(): void {
    if (this.#parser.idle) return;
    if (this.#parser.eof() === Step.End) this.#leave();
    else {
      this.#end.settle(failed('closed', this.#parser.failure));
      this.socket.destroy();
    }
  }
}

function requestOf({ host, port }: ProbePlace, { path, hostHeader, tls: secure }: HttpQuestion): string {
  const own = net.isIPv6(host) ? `[${host}]` : host;
  const name = hostHeader ?? (port === (secure === null ? 80 : 443) ? own : `${own}:${port}`);
  return `GET ${path} HTTP/1.1\r\nHost: ${name}\r\nUser-Agent: portico-probe\r\nConnection: close\r\n\r\n`;
}
