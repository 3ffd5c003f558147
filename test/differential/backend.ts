// The recording backend behind one proxy: keeps every byte of every connection, and answers each request it can make out.

import { once } from 'node:events';
import net from 'node:net';
import { type Message, messageAt } from './messages.ts';

/** A request as it arrived, and how the connection went on. */
export interface Recorded {
  readonly message: Message;
  /** The bytes from its first to its last. */
  readonly raw: string;
}

/** What the backend does for a request: bytes to send, then whether to end or reset. */
export interface Answer {
  readonly text: string;
  readonly then?: 'end' | 'reset';
}

const PLAIN: Answer = { text: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok' };
/** A head whose body does not come is recorded after this. */
const STUCK_MS = 200;

export class Backend {
  readonly recorded: Recorded[] = [];
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #answer: (message: Message) => Answer;

  constructor(answer: (message: Message) => Answer = () => PLAIN) {
    this.#answer = answer;
    this.#server = net.createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as net.AddressInfo).port;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #serve(socket: net.Socket): void {
    this.#sockets.add(socket);
    let text = '';
    let timer: NodeJS.Timeout | undefined;
    const record = (message: Message): void => {
      this.recorded.push({ message, raw: text.slice(0, message.end) });
      text = text.slice(message.end);
    };
    const read = (): void => {
      clearTimeout(timer);
      for (;;) {
        const message = messageAt(text, 0);
        if (message === null || !message.complete) break;
        record(message);
        const { text: answer, then } = this.#answer(message);
        socket.write(answer, 'latin1');
        if (then === 'end') socket.end();
        if (then === 'reset') socket.resetAndDestroy();
      }
      if (text !== '') timer = setTimeout(settle, STUCK_MS);
    };
    /** What is left is no complete request: it is recorded as far as it goes. */
    const settle = (): void => {
      clearTimeout(timer);
      if (text === '') return;
      const message = messageAt(text, 0);
      record(
        message ?? {
          line: text.slice(0, 200),
          fields: [],
          body: '',
          trailers: '',
          framing: 'none',
          complete: false,
          end: text.length,
        },
      );
    };
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      read();
    });
    socket.on('end', () => {
      settle();
      socket.end();
    });
    // Proxies reset connections that they give up: what was recorded stands.
    socket.on('error', settle);
    socket.on('close', () => {
      settle();
      this.#sockets.delete(socket);
    });
  }
}
