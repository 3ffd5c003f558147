// The one answer that a TLS connection gets which is not opened and has nowhere to go.

import net from 'node:net';
import type { SocketHandle } from '../wire/socket-handle.ts';

/** Fatal alert `unrecognized_name` (RFC 8446, section 6.2) in a record: nothing is encrypted before the ServerHello. */
const ALERT = '\x15\x03\x03\x00\x02\x02\x70';

/**
 * Says so, and closes.
 * @param handle libuv's
 */
export function sayUnrecognizedName(handle: SocketHandle): void {
  const options: unknown = { handle };
  const socket = new net.Socket(options as net.SocketConstructorOpts);
  socket.on('error', () => {});
  socket.end(ALERT, 'latin1');
  socket.destroySoon();
}
