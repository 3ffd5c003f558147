// Bytes in the clear on a connection to a target, before its TLS handshake begins.

import type { TLSSocket } from 'node:tls';
import type { SocketHandle } from '../wire/socket-handle.ts';

/** The native side: TLS, and the TCP handle below it. */
interface TlsHandle {
  readonly _parent: {
    writeBuffer(request: object | null, bytes: Uint8Array): ReturnType<SocketHandle['writeBuffer']>;
  };
}

/**
 * Sends bytes once the socket is connected and before `tls.connect` starts its handshake, which it does in a listener of
 * the same event. A stream of its own for them would have to be exchanged for the TLS socket afterwards, and that one
 * reads into a given buffer only when it makes its TCP handle itself.
 * @param bytes asked for when they are sent
 * @param takesNull whether this Node writes without a request (26 and later)
 */
export function sendBeforeHandshake(socket: TLSSocket, bytes: () => Buffer, takesNull: boolean): void {
  socket.prependOnceListener('connect', () => {
    const { _parent } = (socket as TLSSocket & { readonly _handle: TlsHandle })._handle;
    // The buffer of a new connection takes a header whole; where the kernel has no memory even for that, nothing else fits.
    const status = _parent.writeBuffer(takesNull ? null : {}, bytes());
    if (status !== 0)
      socket.destroy(Object.assign(new Error('no room for the first bytes'), { code: 'ENOBUFS' }));
  });
}
