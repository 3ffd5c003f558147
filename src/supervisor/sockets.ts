// Listening sockets that outlive the workers: one for each worker slot, bound here and accepted from by none of us.

import net from 'node:net';
import { getSystemErrorMap } from 'node:util';
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

/** libuv's UV_TCP_REUSEPORT. */
const REUSE_PORT = 2;
const EADDRINUSE = 98;
const ENOTSUP = new Set([-95, -45, -22]);

/** Thrown by `Sockets.bind`; `listener` names the first address that could not be bound. */
export class BindError extends Error {
  readonly listener: string;

  constructor(address: ListenAddress, reason: string) {
    super(`${address.host}:${address.port}: ${reason}`);
    this.listener = address.name;
  }
}

/** By listener name: the socket of each worker slot. */
export type SlotSockets = ReadonlyMap<string, readonly BoundHandle[]>;

export class Sockets {
  /** By address as configured; several listeners never share one. */
  readonly #bound = new Map<string, BoundHandle[]>();

  /**
   * Binds what is new among `addresses` and returns what each is bound to, for slots 0 to `slots` - 1. Throws
   * BindError, and then has bound nothing new, so that the configuration before can go on.
   */
  bind(addresses: readonly ListenAddress[], slots: number): SlotSockets {
    const fresh = new Map<string, BoundHandle[]>();
    const leaving = this.#leavingPorts(addresses);
    try {
      for (const address of addresses) {
        const key = keyOf(address);
        if (!this.#bound.has(key)) fresh.set(key, openFirst(address, leaving.has(address.port)));
      }
      for (const [key, handles] of fresh) this.#bound.set(key, handles);
      return new Map(addresses.map((address) => [address.name, this.#forSlots(address, slots)]));
    } catch (error) {
      for (const [key, handles] of fresh) {
        for (const handle of handles) handle.close();
        this.#bound.delete(key);
      }
      throw error;
    }
  }

  /**
   * Closes what is not among `addresses`, and the sockets of slots that are no more: one that nobody accepts from
   * would still be given its share of the connections. Workers that are on their way out hold copies.
   */
  closeOthers(addresses: readonly ListenAddress[], slots: number): void {
    const wanted = new Set(addresses.map(keyOf));
    for (const [key, handles] of this.#bound) {
      for (const handle of handles.splice(wanted.has(key) ? slots : 0)) handle.close();
      if (handles.length === 0) this.#bound.delete(key);
    }
  }

  close(): void {
    this.closeOthers([], 0);
  }

  /** Of addresses that are bound and wanted no more. */
  #leavingPorts(addresses: readonly ListenAddress[]): ReadonlySet<number> {
    const wanted = new Set(addresses.map(keyOf));
    const leaving = [...this.#bound].filter(([key]) => !wanted.has(key));
    return new Set(leaving.map(([, [first]]) => boundPort(first!)));
  }

  /** Slots beyond the first join its address; where the system cannot share an address, all take the first socket. */
  #forSlots(address: ListenAddress, slots: number): readonly BoundHandle[] {
    const handles = this.#bound.get(keyOf(address))!;
    const [first] = handles;
    const port = boundPort(first!);
    while (handles.length < slots) {
      const handle = open(address.host, port, REUSE_PORT);
      if (typeof handle === 'number') {
        if (ENOTSUP.has(handle)) return Array.from({ length: slots }, () => first!);
        throw new BindError(address, errorName(handle));
      }
      handles.push(handle);
    }
    return handles.slice(0, slots);
  }
}

/** Any port is a different one for each listener that asks for it. */
const keyOf = ({ name, host, port }: ListenAddress): string =>
  port === 0 ? `${host} ${port} ${name}` : `${host} ${port}`;

/**
 * An address that is shared by our own slots must not be shared with a stranger of the same user, who would get a
 * part of the connections: a bind without sharing tells whether somebody listens there.
 * @param besideOurs an address of ours on this port is being left (127.0.0.1 for all, IPv4 for both families), and may
 * be who listens there: it is shared with, so that nobody is refused before the new one serves
 */
function openFirst(address: ListenAddress, besideOurs: boolean): BoundHandle[] {
  const alone = open(address.host, address.port, 0);
  if (typeof alone === 'number') {
    const shared = besideOurs && -alone === EADDRINUSE ? open(address.host, address.port, REUSE_PORT) : alone;
    if (typeof shared === 'number') throw new BindError(address, errorName(shared));
    return [shared];
  }
  if (address.port !== 0) alone.close();
  const shared = open(address.host, address.port, REUSE_PORT);
  if (address.port === 0) alone.close();
  if (typeof shared !== 'number') return [shared];
  const fallback = open(address.host, address.port, 0);
  if (typeof fallback === 'number') throw new BindError(address, errorName(fallback));
  return [fallback];
}

/** The handle, or the negative status of libuv. */
function open(host: string, port: number, flags: number): BoundHandle | number {
  const create = (net as unknown as { _createServerHandle: CreateServerHandle })._createServerHandle;
  const handle = create(host, port, net.isIPv6(host) ? 6 : 4, null, flags);
  if (typeof handle === 'number') return handle;
  // libuv reports an address in use only when the socket is looked at.
  const status = handle.getsockname({});
  if (status === 0) return handle;
  handle.close();
  return status;
}

function errorName(status: number): string {
  switch (-status) {
    case 13:
      return 'EACCES: a port below 1024 needs the capability CAP_NET_BIND_SERVICE';
    case EADDRINUSE:
      return 'EADDRINUSE: another process listens there';
    case 99:
      return 'EADDRNOTAVAIL: this machine has no such address';
    case 24:
      return 'EMFILE: no descriptor is left, and each worker takes one for each address; raise the limit of open files';
    default:
      return getSystemErrorMap().get(status)?.join(': ') ?? `bind failed with status ${status}`;
  }
}

/** The port that a handle was given where port 0 was asked for. */
export function boundPort(handle: BoundHandle): number {
  const out: { port?: number } = {};
  handle.getsockname(out);
  return out.port ?? 0;
}
