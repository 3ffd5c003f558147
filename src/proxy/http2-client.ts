// The client's HTTP/2 connection, as its requests see it.

import type { ServerConnection } from '../http2/server-connection.ts';
import type { ListenerLimits, ListenerTimeouts, PathPolicy } from '../model/listener-config.ts';
import type { ClientLoad } from './admission/client-table.ts';
import type { ForwardedClient } from './http/forwarded.ts';
import type { Http2Request, RequestStream } from './http2-request.ts';
import type { ListenerMeters } from './meters.ts';
import type { Runtime } from './runtime.ts';
import type { TlsFacts } from './tls/tls-facts.ts';
import type { Tunnel } from './tunnel.ts';

export interface Http2Client {
  readonly client: ForwardedClient;
  readonly scheme: 'http' | 'https';
  readonly tls: TlsFacts | null;
  readonly listenerName: string;
  readonly listenerPort: number;
  readonly lastRuntime: Runtime | null;
  readonly meters: ListenerMeters;
  readonly paths: PathPolicy;
  readonly hsts: string | null;
  readonly limits: ListenerLimits;
  readonly timeouts: ListenerTimeouts;
  readonly load: ClientLoad;
  readonly codec: ServerConnection<Http2Request>;
  /** The socket takes less than it is sent. */
  readonly congested: boolean;
  /** A request has become a tunnel. */
  onTunnel(tunnel: Pick<Tunnel, 'drain'>): void;
  /** An exchange or tunnel has ended: its bytes are counted. */
  onRequestDone(): void;
  /** The request's stream is closed, and nothing of it is needed any more. */
  onRequestClosed(request: Http2Request, stream: RequestStream): void;
}
