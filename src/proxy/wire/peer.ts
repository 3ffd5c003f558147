// Whether a socket that is not read, or whose peer has ended its side, still has that peer: no event tells of a reset.

import type { WireSocket } from './wire.ts';

/** What `net` and we keep in `_handle`: libuv's socket, which asks getpeername(2). */
interface WithHandle {
  readonly _handle?: { getpeername?: (out: object) => number } | null;
}

/** After the end of a stream nobody polls it, and reading says "end" again; a socket that was reset has no peer (ENOTCONN). */
export function hasPeer(socket: WireSocket): boolean {
  const { _handle: handle } = socket as unknown as WithHandle;
  // Where it cannot be asked, the timeouts of the answer stand.
  return typeof handle?.getpeername !== 'function' || handle.getpeername({}) === 0;
}
