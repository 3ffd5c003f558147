// Clients that keep their connections and send the next GET when the last is answered: `node steady-clients.ts PORT HOST
// COUNT`. Asked over its channel, the process tells how many were answered, and what failed.

import net from 'node:net';
import process from 'node:process';

export interface SteadyCounts {
  readonly answered: number;
  readonly failures: readonly string[];
}

const [port = '0', host = '', count = '0'] = process.argv.slice(2);
const REQUEST = `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const HEAD_END = '\r\n\r\n';
const failures: string[] = [];
let answered = 0;

for (let client = 0; client < Number(count); client += 1) {
  const socket = net.connect({ port: Number(port), host: '127.0.0.1', noDelay: true });
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
    const end = text.indexOf(HEAD_END);
    if (end < 0) return;
    const bytes = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(text)?.[1] ?? Number.NaN);
    if (text.length < end + HEAD_END.length + bytes) return;
    if (text.startsWith('HTTP/1.1 200 ')) answered += 1;
    else failures.push(text.slice(0, 200));
    text = '';
    socket.write(REQUEST);
  });
  socket.on('error', ({ message }) => failures.push(message));
  socket.on('end', () => failures.push('the connection was closed'));
  socket.on('connect', () => socket.write(REQUEST));
}
process.on('message', () => process.send?.({ answered, failures } satisfies SteadyCounts));
process.on('disconnect', () => process.exit(0));
