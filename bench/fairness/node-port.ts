// A node port as kube-proxy serves it: every connection goes to one pod, drawn at random, and stays there. The pods are
// in this process; what matters is who gets which request. `node node-port.ts PODS http1|http2 [DIRECTORY]`: with a
// directory that holds tls.crt and tls.key they speak TLS.

import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import process from 'node:process';
import tls from 'node:tls';
import { countHeads } from '../measure/head-count.ts';

export type NodePortCommand = { readonly kind: 'report' } | { readonly kind: 'add-pod' };

export interface NodePortReport {
  /** Requests of each pod since the last report. */
  readonly requests: readonly number[];
  readonly connections: number;
}

const [pods, protocol, directory] = process.argv.slice(2);
const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
const requests: number[] = new Array<number>(Number(pods)).fill(0);
let connections = 0;

function onConnection(socket: net.Socket): void {
  const pod = Math.floor(Math.random() * requests.length);
  connections += 1;
  socket.setNoDelay(true);
  // What Portico breaks off for its own reasons is no failure here.
  socket.on('error', () => {});
  if (protocol === 'http2') answerHttp2(socket, pod);
  else answerHttp1(socket, pod);
}

const server =
  directory === undefined
    ? net.createServer(onConnection)
    : tls.createServer(
        {
          cert: readFileSync(`${directory}/tls.crt`),
          key: readFileSync(`${directory}/tls.key`),
          ALPNProtocols: [protocol === 'http2' ? 'h2' : 'http/1.1'],
        },
        onConnection,
      );

function answerHttp1(socket: net.Socket, pod: number): void {
  let matched = 0;
  socket.on('data', (chunk: Buffer) => {
    const count = countHeads(chunk, matched);
    matched = count.matched;
    requests[pod]! += count.heads;
    for (let head = 0; head < count.heads; head += 1) socket.write(ANSWER);
  });
}

function answerHttp2(socket: net.Socket, pod: number): void {
  const session = http2.performServerHandshake(socket);
  session.on('error', () => {});
  session.on('stream', (stream: http2.ServerHttp2Stream) => {
    requests[pod]! += 1;
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'content-length': 2 });
    stream.end('ok');
  });
}

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
