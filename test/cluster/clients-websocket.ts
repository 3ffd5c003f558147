// A WebSocket client that never stops: one connection, a message and its echo again and again.

import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { type Client, type Edge, LATE_MS, type Ledger } from './clients.ts';
import { PAUSES } from './pauses.ts';

/** Close codes by which a server says that it goes (RFC 6455, section 7.4.1): the client simply connects again. */
const GOING = new Set([1000, 1001, 1012]);

/**
 * Sends a message every `pauseMs` and waits for its echo. A pod that ends says so by its close code and the client
 * connects again, as any client must; a connection that just breaks is a failure, and so is an echo that is late.
 *
 * @param lastsMs after this long a conversation has said all that it had to say, and another begins
 */
export function webSocketClient(
  ledger: Ledger,
  name: string,
  edge: Edge,
  pauseMs: number,
  lastsMs = Number.POSITIVE_INFINITY,
): Client {
  let stopped = false;
  const converse = async (): Promise<void> => {
    const socket = await openWebSocket(edge);
    const closed = new Promise<number>((resolve) => socket.once('close', resolve));
    const endAtMs = performance.now() + lastsMs;
    try {
      while (!stopped && performance.now() < endAtMs) {
        const startedAt = performance.now();
        const end = await Promise.race([echo(socket), closed]);
        if (end !== 'echoed') {
          if (GOING.has(end)) {
            return;
          }
          throw new Error(`websocket broke with code ${end}`);
        }
        ledger.succeeded(name, performance.now() - startedAt);
        await delay(pauseMs);
      }
    } finally {
      socket.close(1000);
    }
  };
  const loop = async (): Promise<void> => {
    while (!stopped) {
      try {
        await converse();
      } catch (error) {
        ledger.failed(name, (error as Error).message);
        await delay(pauseMs);
      }
    }
  };
  const ended = loop();
  return {
    async stop() {
      stopped = true;
      await ended;
    },
  };
}

async function openWebSocket(edge: Edge): Promise<WebSocket> {
  const socket = new WebSocket(`ws://${edge.address}:${edge.port}/socket`, {
    headers: { host: edge.host },
  });
  const late = new Error(`late: no handshake for ${LATE_MS} ms`);
  return await new Promise((resolve, reject) => {
    const patience = PAUSES.patience(LATE_MS, () => {
      reject(late);
      socket.terminate();
    });
    socket.once('open', () => {
      patience.end();
      resolve(socket);
    });
    socket.on('error', (error) => {
      patience.end();
      reject(new Error(`websocket: ${error.message}`));
    });
  });
}

/** Resolves with the echo; never when the socket closes first, which the caller watches. */
async function echo(socket: WebSocket): Promise<'echoed'> {
  const text = String(performance.now());
  const { promise, resolve, reject } = Promise.withResolvers<'echoed'>();
  const onMessage = (data: unknown): void => {
    if (String(data) === text) {
      resolve('echoed');
    }
  };
  const patience = PAUSES.patience(LATE_MS, () => reject(new Error(`late: no echo for ${LATE_MS} ms`)));
  // A closed connection has no late echo: its close code says what it was.
  const onClose = (): void => patience.end();
  socket.on('message', onMessage);
  socket.once('close', onClose);
  try {
    if (socket.readyState === WebSocket.OPEN) {
      socket.send(text);
    } else {
      patience.end();
    }
    return await promise;
  } finally {
    patience.end();
    socket.off('message', onMessage);
    socket.off('close', onClose);
  }
}
