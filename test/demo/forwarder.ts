// A stand-in for Portico: plain TCP from the demo's listeners to a node port of the first node.

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface Forwarder {
  close(): Promise<void>;
}

export async function forward(port: number, address: string, targetPort: number): Promise<Forwarder> {
  const sockets = new Set<Socket>();
  const server = createServer((downstream) => {
    const upstream = connect(targetPort, address);
    for (const socket of [downstream, upstream]) {
      sockets.add(socket);
      socket.on('error', () => downstream.destroy());
      socket.once('close', () => {
        sockets.delete(socket);
        (socket === downstream ? upstream : downstream).destroySoon();
      });
    }
    downstream.pipe(upstream);
    upstream.pipe(downstream);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
