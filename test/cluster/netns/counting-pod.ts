// A pod's program that answers GETs with its name and tells how many it has answered, at a cost that leaves the machine to
// those in front of it.

import net from 'node:net';
import process from 'node:process';
import { countHeads } from '../../../bench/measure/head-count.ts';

const [pod = '', port = '80'] = process.argv.slice(2);
const ANSWER = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${pod.length}\r\n\r\n${pod}`);
const TELL_MS = 100;

let requests = 0;
let told = -1;

const server = net.createServer({ noDelay: true }, (socket) => {
  let matched = 0;
  // A balancer that breaks off has its own reasons, and its clients tell of them.
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    const count = countHeads(chunk, matched);
    matched = count.matched;
    requests += count.heads;
    for (let head = 0; head < count.heads; head += 1) socket.write(ANSWER);
  });
});

server.listen(Number(port), '0.0.0.0', () => {
  process.stdout.write('"listening"\n');
  setInterval(() => {
    if (requests === told) return;
    told = requests;
    process.stdout.write(`${requests}\n`);
  }, TELL_MS);
});
