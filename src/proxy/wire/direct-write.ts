// Writes text to a socket's libuv handle directly, past the writable stream, on Nodes whose `net` does it in this way.

import type net from 'node:net';

/** A write that the kernel could not take at once; libuv has copied what is left of it. */
interface PendingWrite {
  oncomplete: (status: number) => void;
  /** Set when it was done before `oncomplete` could be. */
  writeStatus?: number | null;
}

/** The part of a libuv stream handle that `net` itself writes latin1 text with (Node 26). */
interface TextHandle {
  /** Status of a write that was done (or failed) at once, or the pending write. */
  writeLatin1String(request: null, text: string): number | PendingWrite;
}

export class DirectWrites {
  /** What the first ordinary write has shown; before it, and on older Nodes, the stream is used. */
  #usable: boolean | null = null;

  /**
   * True when the text was handed over. It was not when this Node writes in another way, or before that is known:
   * then the caller uses the stream.
   * @param onDone called later for a write that could not be done at once, with a negative status for an error
   * @returns 'done', 'pending', or a negative status
   */
  write(
    socket: net.Socket,
    text: string,
    onDone: (status: number) => void,
  ): 'done' | 'pending' | 'unusable' | number {
    const handle = (socket as unknown as { readonly _handle: TextHandle | null })._handle;
    if (handle === null || this.#usable !== true) {
      if (handle !== null && this.#usable === null) this.#watch(handle);
      return 'unusable';
    }
    const result = handle.writeLatin1String(null, text);
    if (result === 0) return 'done';
    if (typeof result === 'number') return result;
    result.oncomplete = onDone;
    const status = result.writeStatus;
    if (typeof status !== 'number') return 'pending';
    return status === 0 ? 'done' : status;
  }

  /** The next write of `net` to this handle shows whether it makes a request object first (before Node 26) or not. */
  #watch(handle: TextHandle): void {
    if (Object.hasOwn(handle, 'writeLatin1String')) return;
    const original = handle.writeLatin1String;
    handle.writeLatin1String = (request, text) => {
      Reflect.deleteProperty(handle, 'writeLatin1String');
      this.#usable = request === null;
      return original.call(handle, request, text);
    };
  }
}
