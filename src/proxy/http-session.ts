// What the sessions of both HTTP versions have of the listener and the client that they are between.

import type { ListenerLimits, ListenerTimeouts, PathPolicy } from '../model/listener-config.ts';
import type { ClientLoad } from './admission/client-table.ts';
import type { ForwardedClient } from './http/forwarded.ts';
import type { Listener } from './listener.ts';
import type { ListenerMeters } from './meters.ts';
import type { Placed } from './roster.ts';
import type { Runtime } from './runtime.ts';
import type { TlsFacts } from './tls/tls-facts.ts';
import type { Tunnel } from './tunnel.ts';

/** An idle connection keeps its parser and exchange for so long: clients that come back within it cost nothing. */
export const KEPT_READY_MS = 2000;

export abstract class HttpSession implements Placed {
  /** Among the listener's sessions. */
  place = -1;
  readonly client: ForwardedClient;
  readonly load: ClientLoad;
  /** Null without TLS. */
  readonly tls: TlsFacts | null;
  protected readonly listener: Listener;

  constructor(listener: Listener, client: ForwardedClient, load: ClientLoad, tls: TlsFacts | null) {
    this.listener = listener;
    this.client = client;
    this.load = load;
    this.tls = tls;
  }

  get scheme(): 'http' | 'https' {
    return this.tls === null ? 'http' : 'https';
  }

  get listenerName(): string {
    return this.listener.config.name;
  }

  get lastRuntime(): Runtime | null {
    return this.listener.lastRuntime;
  }

  get listenerPort(): number {
    return this.listener.port;
  }

  get meters(): ListenerMeters {
    return this.listener.meters;
  }

  get paths(): PathPolicy {
    return this.listener.config.paths;
  }

  get limits(): ListenerLimits {
    return this.listener.config.limits;
  }

  get hsts(): string | null {
    return this.listener.config.hsts;
  }

  get timeouts(): ListenerTimeouts {
    return this.listener.config.timeouts;
  }

  onTunnel(tunnel: Pick<Tunnel, 'drain'>): void {
    this.listener.onTunnel(tunnel);
  }
}
