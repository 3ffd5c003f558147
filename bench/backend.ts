// The backend of the benchmark: answers every request head with the same bytes, as cheaply as Node can.
// It reads heads and no bodies: `node bench/backend.ts PORT BODY_BYTES`.

import net from 'node:net';
import process from 'node:process';
import { fixedBody } from './measure/fixed-body.ts';
import { countHeads } from './measure/head-count.ts';

const [port = 0, bodyBytes = 66] = process.argv.slice(2).map(Number);
const body = fixedBody(bodyBytes);
const answer = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

net
  .createServer({ noDelay: true }, (socket) => {
    // How much of the empty line that ends a head has come: a head may arrive in pieces.
    let matched = 0;
    socket.on('data', (chunk: Buffer) => {
      const counted = countHeads(chunk, matched);
      matched = counted.matched;
      if (counted.heads > 0) socket.write(answer.repeat(counted.heads), 'latin1');
    });
    // A proxy that is stopped resets its idle connections; what that breaks for a request, the driver counts.
    socket.on('error', () => socket.destroy());
  })
  .listen(port, '127.0.0.1');
