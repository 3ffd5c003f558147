// The floods that no tool makes: many raw connections in a process of its own, each kind a few lines.
// usage: node test/floods/flooder.ts KIND PORT CONNECTIONS   (until it is ended; prints "ready" when all were tried; over IPC: a message asks what was seen)

import net from 'node:net';
import process from 'node:process';
import { CONNECTIONS_PER_ADDRESS, type FloodKind } from './scenarios.ts';

const [kind, portText, countText] = process.argv.slice(2) as [FloodKind, string, string];
const port = Number(portText);
const count = Number(countText);
const OPENED_AT_ONCE = 200;
const PAUSE_MS = 2;

/** Floods come from many addresses, so that the limit of one of them is not all that is measured. */
const addressOf = (index: number): string => {
  const number = Math.floor(index / CONNECTIONS_PER_ADDRESS);
  return `127.1.${number >> 8}.${(number & 255) + 1}`;
};

const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: flood\r\n${fields}\r\n`;
const CHUNKED = 'POST /upload HTTP/1.1\r\nHost: flood\r\nTransfer-Encoding: chunked\r\n\r\n';
const TINY = Buffer.from('1\r\nx\r\n'.repeat(10_000));
const HUGE = Buffer.alloc(64 * 1024, 'h');
const PIPELINED = Buffer.from(get('/steady').repeat(1500));
const MANY_FIELDS = get('/steady', Array.from({ length: 5000 }, (_, index) => `x-${index}: y\r\n`).join(''));
const LONG_FIELD = get('/steady', `x-long: ${'y'.repeat(60_000)}\r\n`);

/** Writes as fast as the other side takes it. */
function pour(socket: net.Socket, bytes: Buffer): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(bytes));
  };
  socket.on('drain', more);
  more();
}

/** What a connection does once it stands. */
const BEHAVIOUR: Readonly<Record<FloodKind, (socket: net.Socket, index: number) => void>> = {
  idle: () => {},
  headers: (socket, index) => socket.write(index % 2 === 0 ? MANY_FIELDS : LONG_FIELD),
  'huge-chunks': (socket) => {
    socket.write(`${CHUNKED}FFFFFFFF\r\n`);
    pour(socket, HUGE);
  },
  'tiny-chunks': (socket) => {
    socket.write(CHUNKED);
    pour(socket, TINY);
  },
  pipelined: (socket) => pour(socket, PIPELINED),
  churn: (socket) => socket.write(get('/steady', 'Connection: close\r\n')),
  'never-read': (socket) => {
    socket.pause();
    socket.write(get('/bulk'));
  },
  'never-answer': (socket) => socket.write(get('/never')),
  drip: (socket) => socket.write(get('/drip')),
};
/** Kinds whose connections are opened anew when they end. */
const AGAIN: ReadonlySet<FloodKind> = new Set([
  'headers',
  'churn',
  'pipelined',
  'tiny-chunks',
  'huge-chunks',
]);

/** Answers by status, and connections that ended without any. */
const seen: Record<string, number> = {};
const saw = (what: string, times = 1): void => {
  seen[what] = (seen[what] ?? 0) + times;
};
let standing = 0;

function open(index: number): void {
  const socket = net.connect({ host: '127.0.0.1', port, localAddress: addressOf(index), noDelay: true });
  socket.on('error', () => {});
  let answered = false;
  if (kind !== 'never-read') {
    socket.setEncoding('latin1').on('data', (text: string) => {
      for (const [, status] of text.matchAll(/HTTP\/1\.1 (\d{3}) /g)) saw(status!);
      answered = true;
    });
  }
  socket.once('connect', () => {
    standing += 1;
    BEHAVIOUR[kind](socket, index);
    socket.once('close', () => {
      standing -= 1;
      if (!answered) saw('closed without an answer');
    });
  });
  socket.once('close', () => {
    // Not in the same turn: a connection that is refused at once would leave no time for others.
    if (AGAIN.has(kind)) setTimeout(() => open(index), PAUSE_MS);
  });
}

let opened = 0;
const opener = setInterval(() => {
  const end = Math.min(count, opened + OPENED_AT_ONCE);
  for (; opened < end; opened += 1) open(opened);
  if (opened < count) return;
  clearInterval(opener);
  process.stdout.write('ready\n');
}, 20);
process.on('message', () => process.send!({ ...seen, open: standing }));
// Holds the process while nothing happens on its connections, and ends it with its parent.
process.stdin.resume().once('end', () => process.exit(0));
