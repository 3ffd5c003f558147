// Connections through the tcp listener that stay silent after the greeting, or talk on, and when each of them ended.

import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { greet, type SshEdge } from '../clients-ssh.ts';

export interface Tunnel {
  readonly socket: net.Socket;
  /** `performance.now()`; null while it is open. */
  endedAtMs: number | null;
}

export interface Tunnels {
  /** By machine; throws when a client has come to another one since its tunnel was opened. */
  homes(): Promise<ReadonlyMap<string, readonly Tunnel[]>>;
  /** Milliseconds from `sinceMs` to the end of each; throws when one is open after the limit. */
  endOf(tunnels: readonly Tunnel[], sinceMs: number, limitMs: number): Promise<readonly number[]>;
  close(): void;
}

/** One character of an identification line that never ends, so that something is always under way. */
const TALK_EVERY_MS = 300;

/** Opens them one after another, each from an address of its own, and reads sshd's greeting; every second one talks. */
export async function openTunnels(edge: SshEdge, count: number): Promise<Tunnels> {
  const opened: { readonly tunnel: Tunnel; readonly source: string; readonly home: string }[] = [];
  for (let index = 0; index < count; index++) {
    const source = `127.0.2.${index + 1}`;
    const home = await homeOf(edge, source);
    const socket = net.connect({ host: edge.address, port: edge.port, localAddress: source });
    const tunnel: Tunnel = { socket, endedAtMs: null };
    const end = (): void => {
      tunnel.endedAtMs ??= performance.now();
    };
    socket.once('close', end);
    // A reset is what is waited for.
    socket.on('error', end);
    await once(socket, 'data');
    if (index % 2 === 1) {
      socket.write('SSH-2.0-');
      const talk = setInterval(() => socket.write('a'), TALK_EVERY_MS);
      socket.once('close', () => clearInterval(talk));
    }
    opened.push({ tunnel, source, home });
  }
  return {
    async homes() {
      const homes = new Map<string, Tunnel[]>();
      for (const { tunnel, source, home } of opened) {
        const now = await homeOf(edge, source);
        if (now !== home)
          throw new Error(`${source} was at ${home} and is at ${now}: the pool was not settled`);
        homes.set(home, [...(homes.get(home) ?? []), tunnel]);
      }
      return homes;
    },
    async endOf(tunnels, sinceMs, limitMs) {
      while (performance.now() < sinceMs + limitMs && tunnels.some(({ endedAtMs }) => endedAtMs === null)) {
        await delay(20);
      }
      const open = tunnels.filter(({ endedAtMs }) => endedAtMs === null);
      if (open.length > 0) throw new Error(`${open.length} of ${tunnels.length} are still open`);
      return tunnels.map(({ endedAtMs }) => endedAtMs! - sinceMs);
    },
    close() {
      for (const { tunnel } of opened) tunnel.socket.destroy();
    },
  };
}

/** The machine of the pod that this client comes to: the pool is hashed by its address, so another session tells. */
async function homeOf(edge: SshEdge, source: string): Promise<string> {
  const address = await greet(edge, source);
  return `node-${/^10\.244\.(\d+)\./.exec(address)?.[1]}`;
}
