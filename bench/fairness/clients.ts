// Clients that keep their connection and send the next request when the last is answered.

import net from 'node:net';
import process from 'node:process';

const [port = '0', count = '0'] = process.argv.slice(2);
const REQUEST = 'GET / HTTP/1.1\r\nHost: app\r\n\r\n';
const END = '\r\n\r\nok';

for (let client = 0; client < Number(count); client += 1) {
  const socket = net.connect(Number(port), '127.0.0.1');
  let tail = '';
  socket.setNoDelay(true);
  socket.setEncoding('latin1').on('data', (text: string) => {
    tail = (tail + text).slice(-END.length);
    if (tail !== END) return;
    tail = '';
    socket.write(REQUEST);
  });
  socket.on('error', (error) => {
    throw error;
  });
  socket.on('connect', () => socket.write(REQUEST));
}
process.on('disconnect', () => process.exit(0));
