// Listening sockets that outlive the workers: bound here once, handed to every worker, accepted from by none of us.

import net from 'node:net';
import type { ListenAddress } from '../model/messages.ts';

/** A libuv TCP handle, bound and not listening: the first worker's `listen` makes it accept. */
export interface BoundHandle {
  getsockname(out: { address?: string; port?: number }): number;
  close(callback?: () => void): void;
}

/** `net` exports this for `node:cluster`; there is no public way to bind without also accepting. */
type CreateServerHandle = (
  address: string,
  port: number,
  addressType: 4 | 6,
  fd: null,
  flags: number,
) => BoundHandle | number;

/** Thrown by `Sockets.bind`; `listener` names the first address that could not be bound. */
export class BindError extends Error {
  readonly listener: string;

  constructor(address: ListenAddress, reason: string) {
    super(`${address.host}:${address.port}: ${reason}`);
    this.listener = address.name;
  }
}

export class Sockets {
  /** By `host port` as configured; several listeners never share one. */
  readonly #bound = new Map<string, BoundHandle>();

  /**
   * Binds what is new among `addresses` and returns what each is bound to. Throws BindError, and then has bound
   * nothing new, so that the configuration before can go on.
   */
  bind(addresses: readonly ListenAddress[]): ReadonlyMap<string, BoundHandle> {
    const fresh = new Map<string, BoundHandle>();
    const result = new Map<string, BoundHandle>();
    try {
      for (const address of addresses) {
        const key = `${address.host} ${address.port}`;
        const handle = this.#bound.get(key) ?? open(address);
        if (!this.#bound.has(key)) fresh.set(key, handle);
        result.set(address.name, handle);
      }
    } catch (error) {
      for (const handle of fresh.values()) handle.close();
      throw error;
    }
    for (const [key, handle] of fresh) this.#bound.set(key, handle);
    return result;
  }

  /** Closes what is not among `addresses`: the workers have stopped accepting there. */
  closeOthers(addresses: readonly ListenAddress[]): void {
    const wanted = new Set(addresses.map(({ host, port }) => `${host} ${port}`));
    for (const [key, handle] of this.#bound) {
      if (wanted.has(key)) continue;
      handle.close();
      this.#bound.delete(key);
    }
  }

  close(): void {
    this.closeOthers([]);
  }
}

function open(address: ListenAddress): BoundHandle {
  const create = (net as unknown as { _createServerHandle: CreateServerHandle })._createServerHandle;
  const handle = create(address.host, address.port, net.isIPv6(address.host) ? 6 : 4, null, 0);
  if (typeof handle === 'number') throw new BindError(address, errorName(handle));
  // libuv reports an address in use only when the socket is looked at.
  const status = handle.getsockname({});
  if (status !== 0) {
    handle.close();
    throw new BindError(address, errorName(status));
  }
  return handle;
}

function errorName(status: number): string {
  switch (-status) {
    case 13:
      return 'EACCES: a port below 1024 needs the capability CAP_NET_BIND_SERVICE';
    case 98:
      return 'EADDRINUSE: another process listens there';
    case 99:
      return 'EADDRNOTAVAIL: this machine has no such address';
    default:
      return `bind failed with status ${status}`;
  }
}

/** The port that a handle was given where port 0 was asked for. */
export function boundPort(handle: BoundHandle): number {
  const out: { port?: number } = {};
  handle.getsockname(out);
  return out.port ?? 0;
}
