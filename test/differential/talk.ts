// One client connection: sends bytes as they are and collects what comes until the other side is done or silent.

import net from 'node:net';

export interface Conversation {
  /** Latin-1. */
  readonly received: string;
  readonly ended: 'open' | 'end' | 'reset';
}

/** Resolves when the connection ends, or after `quietMs` without a byte. */
export function talk(port: number, text: string, quietMs: number): Promise<Conversation> {
  return new Promise((resolve) => {
    let received = '';
    let ended: Conversation['ended'] = 'open';
    const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    const done = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ received, ended });
    };
    let timer = setTimeout(done, quietMs);
    socket.on('connect', () => socket.write(text, 'latin1'));
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      clearTimeout(timer);
      timer = setTimeout(done, quietMs);
    });
    socket.on('end', () => {
      ended = 'end';
      done();
    });
    socket.on('error', () => {
      ended = 'reset';
      done();
    });
  });
}
