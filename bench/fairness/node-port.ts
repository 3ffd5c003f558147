// A node port as kube-proxy serves it: every connection goes to one pod, drawn at random, and stays there. The pods are
// in this process; what matters is who gets which request.

import net from 'node:net';
import process from 'node:process';
import { countHeads } from '../measure/head-count.ts';

export type NodePortCommand = { readonly kind: 'report' } | { readonly kind: 'add-pod' };

export interface NodePortReport {
  /** Requests of each pod since the last report. */
  readonly requests: readonly number[];
  readonly connections: number;
}

const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
const requests: number[] = new Array<number>(Number(process.argv[2])).fill(0);
let connections = 0;

const server = net.createServer((socket) => {
  const pod = Math.floor(Math.random() * requests.length);
  connections += 1;
  let matched = 0;
  socket.setNoDelay(true);
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    const count = countHeads(chunk, matched);
    matched = count.matched;
    requests[pod]! += count.heads;
    for (let head = 0; head < count.heads; head += 1) socket.write(ANSWER);
  });
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as net.AddressInfo).port));
process.on('message', ({ kind }: NodePortCommand) => {
  if (kind === 'add-pod') {
    requests.push(0);
    return;
  }
  process.send?.({ requests: [...requests], connections } satisfies NodePortReport);
  requests.fill(0);
  connections = 0;
});
process.on('disconnect', () => process.exit(0));
