// Connections that are brought to a state and then left alone, from a process of its own.
// usage: forked by test/floods/idle-memory.ts with port, number and stage; opens and closes a few, and when it is told to opens all of them

import { once } from 'node:events';
import net from 'node:net';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from './idle-memory.ts';

const [port, count, stage] = process.argv.slice(2) as [string, string, Stage];
const FIELDS =
  'Host: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n' +
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n' +
  'Accept-Encoding: gzip, deflate, br, zstd\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\r\n';

/** Connections that only bring the code to be compiled. */
const WARM_UP = 300;

async function open(number: number): Promise<readonly net.Socket[]> {
  const sockets: net.Socket[] = [];
  for (let opened = 0; opened < number; opened += 1) {
    const socket = net.connect({ host: '127.0.0.1', port: Number(port) });
    sockets.push(socket);
    await once(socket, 'connect');
    if (stage === 'accepted') continue;
    socket.write(`GET ${stage === 'active' ? '/hold' : '/'} HTTP/1.1\r\n${FIELDS}`);
    if (stage === 'kept') await once(socket, 'data');
  }
  // The last requests are on their way to the target.
  await sleep(500);
  return sockets;
}

for (const socket of await open(WARM_UP)) socket.resetAndDestroy();
process.send!('closed');
await once(process, 'message');
const sockets = await open(Number(count));
process.send!('ready');
process.once('disconnect', () => {
  for (const socket of sockets) socket.destroy();
});
