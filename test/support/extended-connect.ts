// WebSockets over HTTP/2 (RFC 8441) with Node's own HTTP/2 on our side: as a target before a server, as a client behind a client.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type net from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** RFC 6455, section 1.3. */
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** What a handshake says of its own in HTTP/1.1 and HTTP/2 alike (RFC 8441, section 5). */
const PASSED = ['sec-websocket-version', 'sec-websocket-protocol', 'sec-websocket-extensions'] as const;
const { NGHTTP2_CANCEL } = http2.constants;

export const acceptOf = (key: string): string =>
  createHash('sha1')
    .update(key + ACCEPT_GUID)
    .digest('base64');

/** Bytes both ways, each direction ended for itself; a side that breaks breaks the other. */
function join(stream: http2.Http2Stream, socket: Socket): void {
  stream.on('error', () => {});
  socket.on('error', () => {});
  stream.pipe(socket);
  socket.pipe(stream as Duplex);
  stream.on('close', () => {
    if (stream.rstCode !== 0) socket.destroy();
    else socket.destroySoon();
  });
  socket.on('close', (broken) => {
    if (broken || !socket.readableEnded) stream.close(NGHTTP2_CANCEL);
  });
}

export interface Front {
  readonly port: number;
  /** What came as `:protocol`, the newest last. */
  readonly protocols: string[];
  /** The heads of the requests, the newest last. */
  readonly requests: http2.IncomingHttpHeaders[];
  readonly sessions: Set<http2.Http2Session>;
  readonly streams: Set<http2.ServerHttp2Stream>;
  close(): Promise<void>;
}

/** A request that asks for no WebSocket. */
function passOn(port: number, stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
  const fields = Object.entries(headers).filter(([name]) => !name.startsWith(':'));
  const request = http.request({
    port,
    host: '127.0.0.1',
    agent: false,
    method: headers[':method'],
    path: headers[':path']!,
    headers: Object.fromEntries(fields) as http.OutgoingHttpHeaders,
  });
  request.on('error', () => stream.close(NGHTTP2_CANCEL));
  request.on('response', (response) => {
    const {
      connection: _,
      'keep-alive': __,
      'transfer-encoding': ___,
      upgrade: ____,
      ...passed
    } = response.headers;
    stream.respond({ ':status': response.statusCode, ...passed });
    response.pipe(stream);
  });
  stream.on('close', () => request.destroy());
  stream.pipe(request);
}

/**
 * A target that speaks HTTP/2 and takes extended CONNECT: its requests and WebSockets go to the server at `port`, which
 * speaks HTTP/1.1.
 */
export async function extendedConnectTarget(port: number, enableConnectProtocol = true): Promise<Front> {
  const server = http2.createServer({ settings: { enableConnectProtocol } });
  const protocols: string[] = [];
  const requests: http2.IncomingHttpHeaders[] = [];
  const sessions = new Set<http2.Http2Session>();
  const streams = new Set<http2.ServerHttp2Stream>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    requests.push(headers);
    protocols.push(String(headers[':protocol'] ?? ''));
    streams.add(stream);
    stream.on('close', () => streams.delete(stream));
    if (headers[':protocol'] !== 'websocket') return passOn(port, stream, headers);
    const request = http.request({
      port,
      host: '127.0.0.1',
      agent: false,
      path: headers[':path']!,
      headers: {
        connection: 'upgrade',
        upgrade: 'websocket',
        'sec-websocket-key': Buffer.alloc(16, 7).toString('base64'),
        ...Object.fromEntries(PASSED.flatMap((name) => (headers[name] ? [[name, headers[name]]] : []))),
      },
    });
    request.on('error', () => stream.close(NGHTTP2_CANCEL));
    request.on('response', (response) => {
      stream.respond({ ':status': response.statusCode });
      response.pipe(stream);
    });
    request.on('upgrade', (response, socket: Socket, head) => {
      const answer: http2.OutgoingHttpHeaders = { ':status': 200 };
      for (const name of PASSED) {
        if (response.headers[name] !== undefined) answer[name] = response.headers[name];
      }
      stream.respond(answer);
      if (head.length > 0) socket.unshift(head);
      join(stream, socket);
    });
    request.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    protocols,
    requests,
    sessions,
    streams,
    close: async () => {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

export interface Bridge {
  readonly port: number;
  close(): Promise<void>;
}

/** Takes WebSockets over HTTP/1.1 and asks for each over HTTP/2 at `port`, all on one connection. */
export async function extendedConnectClient(port: number): Promise<Bridge> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  await once(session, 'remoteSettings');
  const sockets = new Set<Duplex>();
  const server = http.createServer((_request, response) => response.writeHead(426).end());
  server.on('upgrade', (request, socket: Socket, head) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    const asked: http2.OutgoingHttpHeaders = {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': request.url,
    };
    for (const name of PASSED) {
      if (request.headers[name] !== undefined) asked[name] = request.headers[name];
    }
    const stream = session.request(asked, { endStream: false });
    stream.on('error', () => socket.destroy());
    stream.on('response', (headers) => {
      if (headers[':status'] !== 200) {
        socket.end(`HTTP/1.1 ${headers[':status']} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
        return;
      }
      const lines = PASSED.flatMap((name) =>
        headers[name] === undefined ? [] : [`${name}: ${headers[name]}\r\n`],
      );
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n' +
          `Sec-WebSocket-Accept: ${acceptOf(request.headers['sec-websocket-key']!)}\r\n${lines.join('')}\r\n`,
      );
      if (head.length > 0) socket.unshift(head);
      join(stream, socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as net.AddressInfo).port,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      session.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
