// A socket that listens: accepts what waits, and hands it on with the name of its peer.

import type { ListeningHandle, SocketHandle, SocketName } from '../socket-handle.ts';
import { EpollHandle } from './epoll-handle.ts';
import type { Poller, Watched } from './poller.ts';

const EAGAIN = -11;
const ECONNABORTED = -103;

/** Over libuv's handle of the socket, which came from the supervisor and is not read. */
export class EpollListening implements ListeningHandle, Watched {
  onconnection: ListeningHandle['onconnection'] = null;
  readonly #handle: ListeningHandle;
  readonly #poller: Poller;
  readonly #state: Int32Array;
  #slot = -1;

  constructor(handle: ListeningHandle, poller: Poller, state: Int32Array) {
    this.#handle = handle;
    this.#poller = poller;
    this.#state = state;
  }

  get fd(): number {
    return this.#handle.fd;
  }

  listen(backlog: number): number {
    const status = this.#poller.sockets.listen(this.fd, backlog);
    if (status < 0) return status;
    this.#slot = this.#poller.watchListening(this.fd, this);
    return Math.min(this.#slot, 0);
  }

  /** One at a time, as libuv: another worker may wait for the next. */
  onReady(): void {
    const { sockets } = this.#poller;
    const fd = sockets.accept(this.fd);
    // Another was faster, or the client has left already.
    if (fd === EAGAIN || fd === ECONNABORTED) return;
    const client = fd < 0 ? null : new EpollHandle(this.#poller, this.#state, fd);
    if (client !== null) client.peerName = { address: sockets.address(), port: sockets.port() };
    this.onconnection?.(Math.min(fd, 0), client as unknown as SocketHandle);
  }

  close(callback?: () => void): void {
    if (this.#slot >= 0) {
      this.#poller.sockets.leave(this.fd);
      this.#poller.forget(this.#slot);
      this.#slot = -1;
    }
    this.#handle.close(callback);
  }

  getsockname(out: SocketName): number {
    return this.#handle.getsockname(out);
  }

  setNoDelay(on: boolean): number {
    return this.#handle.setNoDelay(on);
  }

  setKeepAlive(on: boolean, delaySeconds: number): number {
    return this.#handle.setKeepAlive(on, delaySeconds);
  }
}
