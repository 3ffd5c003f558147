// Options of accepted sockets, set once on the socket that listens where the system hands them on.

import { platform } from 'node:os';
import type { SocketHandle } from './socket-handle.ts';

/** Linux makes an accepted socket as a copy of the one that listens: a system call less for each connection. */
const HANDED_ON = platform() === 'linux';
/** Silence after which the kernel asks whether the other side of an opaque connection is still there. */
export const KEEP_ALIVE_SECONDS = 30;

type Optioned = Pick<SocketHandle, 'setNoDelay' | 'setKeepAlive'>;

/** @param opaque all its connections are tunnels, which may be silent for as long as they like */
export function prepareListening(handle: Optioned, opaque: boolean): void {
  if (!HANDED_ON) return;
  handle.setNoDelay(true);
  if (opaque) handle.setKeepAlive(true, KEEP_ALIVE_SECONDS);
}

export function prepareAccepted(client: Optioned): void {
  if (!HANDED_ON) client.setNoDelay(true);
}

/** @param prepared the listener was, for tunnels */
export function prepareTunnel(client: Optioned, prepared: boolean): void {
  if (!HANDED_ON || !prepared) client.setKeepAlive(true, KEEP_ALIVE_SECONDS);
}
