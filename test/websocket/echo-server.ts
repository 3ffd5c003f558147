// A process of its own: a WebSocket server that sends back what it gets, over HTTP/1.1 and behind HTTP/2; tells its ports.

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { WebSocketServer } from 'ws';
import { extendedConnectTarget } from '../support/extended-connect.ts';

/** The largest message of the suite has 16 MiB, and one of 4 MiB comes in 65,536 fragments. */
const LARGEST = 64 * 1024 * 1024;
const MOST_FRAGMENTS = 1_000_000;

const server = new WebSocketServer({
  port: 0,
  host: '127.0.0.1',
  // Short messages too: kosoku cannot judge a text that comes uncompressed where compression was agreed on.
  perMessageDeflate: { threshold: 0 },
  maxPayload: LARGEST,
  maxFragments: MOST_FRAGMENTS,
  maxBufferedChunks: MOST_FRAGMENTS,
} as object);
server.on('connection', (socket) => {
  // What a case breaks on purpose ends its connection, as it should.
  socket.on('error', () => {});
  socket.on('message', (data, binary) => socket.send(data, { binary }));
});
await once(server, 'listening');
const { port } = server.address() as AddressInfo;
const front = await extendedConnectTarget(port);
process.send!({ http1: port, http2: front.port });
// Whoever started it has gone, however that ended.
process.once('disconnect', () => process.exit());
