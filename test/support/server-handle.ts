// A socket that is bound and does not listen yet, as the supervisor makes it for its workers.

import net from 'node:net';
import type { ListeningHandle } from '../../src/proxy/wire/socket-handle.ts';

interface Internals {
  _createServerHandle(address: string, port: number, type: 4 | 6, fd: null, flags: number): ListeningHandle;
}

/** @param port 0 takes one that is free */
export function serverHandle(address: string, port = 0): ListeningHandle {
  const { _createServerHandle: create } = net as unknown as Internals;
  return create(address, port, net.isIPv6(address) ? 6 : 4, null, 0);
}
