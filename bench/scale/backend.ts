// What stands behind the node ports of the scale benchmark: one process that answers on every loopback address, for
// the services that take traffic and for kube-proxy's `/healthz` of every node.

import net from 'node:net';
import process from 'node:process';
import { countHeads } from '../measure/head-count.ts';

const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');

function listen(port: number): Promise<void> {
  const server = net.createServer((socket) => {
    // Nodes are loopback addresses; nobody else has business here.
    if (socket.localAddress?.startsWith('127.') !== true) {
      socket.destroy();
      return;
    }
    let matched = 0;
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      const count = countHeads(chunk, matched);
      matched = count.matched;
      for (let head = 0; head < count.heads; head += 1) socket.write(ANSWER);
    });
  });
  return new Promise((resolve) => server.listen(port, '0.0.0.0', resolve));
}

await Promise.all(process.argv.slice(2).map((port) => listen(Number(port))));
process.on('disconnect', () => process.exit(0));
process.send?.('listening');
