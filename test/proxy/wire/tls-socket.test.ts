// TLS sockets on every kind of handle: what holds them while nobody else does.

import { once } from 'node:events';
import type net from 'node:net';
import process from 'node:process';
import { Duplex } from 'node:stream';
import { after, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import tls from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { NodeTlsContexts } from '../../../src/proxy/tls/node-tls-contexts.ts';
import { loadPoller } from '../../../src/proxy/wire/epoll/load-poller.ts';
import { loadTls } from '../../../src/proxy/wire/epoll/tls.ts';
import type { SocketHandle } from '../../../src/proxy/wire/socket-handle.ts';
import { loadTcpBinding, type TcpBinding } from '../../../src/proxy/wire/tcp-binding.ts';
import { TlsSocket } from '../../../src/proxy/wire/tls-socket.ts';
import { certificateFor } from '../../support/certificates.ts';
import { assertNoSocketLeft } from '../../support/data-plane.ts';
import { tlsContextOptions } from '../../support/tls.ts';
import { HandleStage } from './epoll/handle-stage.ts';

const KINDS: readonly (readonly [string, TcpBinding | null])[] = [
  ['our own TLS', loadTls() === null ? null : loadTcpBinding(process, loadPoller(), loadTls())],
  ["Node's TLS", loadTcpBinding(process, loadPoller(), null)],
  ["Node's TLS on libuv's sockets", loadTcpBinding(process, null, null)],
];

describe('a TLS socket', () => {
  after(() => assertNoSocketLeft());

  for (const [kind, binding] of KINDS) {
    if (binding === null) continue;
    it(`lives through a collection of garbage during its handshake (${kind})`, async () => {
      setFlagsFromString('--expose-gc');
      const collectGarbage = runInNewContext('gc') as () => void;
      const { cert, key } = await certificateFor('tls.example.com');
      const contexts = binding.createTlsContexts?.() ?? new NodeTlsContexts();
      const context = contexts.create(tlsContextOptions({ cert: [cert], key: [key] }));
      const { stage, peer, serve } = await accept(binding);
      const secure = Promise.withResolvers<void>();
      const answered = once(peer, 'data');
      const client = clientOver(peer, (hello) =>
        serve((handle) => {
          const socket = new TlsSocket(
            handle,
            context,
            owner(secure, () => socket.destroy()),
            reads(),
            binding,
          );
          socket.handshake(hello);
        }),
      );
      const [flight] = (await answered) as [Buffer];
      for (let times = 0; times < 3; times += 1) {
        collectGarbage();
        await turn();
      }
      client.below.push(flight);
      peer.on('data', (chunk: Buffer) => client.below.push(chunk));
      await secure.promise;
      client.socket.destroy();
      await stage.clear();
    });
  }
});

const reads = (): Buffer => Buffer.alloc(64 * 1024);

/** Lets go of the handle with its use: the test must not hold it. */
async function accept(binding: TcpBinding): Promise<{
  stage: HandleStage;
  peer: net.Socket;
  serve: (use: (handle: SocketHandle) => void) => void;
}> {
  const stage = new HandleStage(binding);
  const { handle, peer } = await stage.accept();
  stage.handles.clear();
  let kept: SocketHandle | null = handle;
  const serve = (use: (handle: SocketHandle) => void): void => {
    use(kept!);
    kept = null;
  };
  return { stage, peer, serve };
}

function owner(secure: PromiseWithResolvers<void>, end: () => void) {
  return {
    onSecure: () => {
      end();
      secure.resolve();
    },
    onTlsError: secure.reject,
    onGone: () => {},
  };
}

/** @param onHello gets the first bytes, which have been read of the connection */
function clientOver(
  peer: net.Socket,
  onHello: (hello: Buffer) => void,
): { socket: tls.TLSSocket; below: Duplex } {
  let isFirst = true;
  const below = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => {
      if (isFirst) onHello(Buffer.from(chunk));
      else peer.write(chunk);
      isFirst = false;
      done();
    },
  });
  const socket = tls.connect({ socket: below, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
  socket.on('error', () => {});
  return { socket, below };
}
