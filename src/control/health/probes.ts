// Owns the single probe: one connection, one question, one verdict within a deadline, and nothing left open.

import http from 'node:http';
import https from 'node:https';
import net, { type LookupFunction } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import { Workspace } from '../../http2/workspace.ts';
import type { PoolTls } from '../../model/config.ts';
import { writeLocal } from '../../proxy-protocol/write-header.ts';
import type { Clock } from '../discovery/clock.ts';
import { type GrpcProbing, grpcProbe } from './grpc-probe.ts';
import type { ProbeHeader, ProbeResult, ProbeTarget } from './probe-result.ts';
import { identificationProbe } from './ssh-banner.ts';
import {
  answered,
  failed,
  fromError,
  type ProbeEnd,
  type ProbePlace,
  passed,
  type Verdict,
} from './verdict.ts';

/** Bytes of a body that are read (and, but for kube-proxy's answers, thrown away) before the connection is cut. */
export const BODY_LIMIT_BYTES = 64 * 1024;

export interface ProberOptions {
  readonly clock: Clock;
  /** Monotonic milliseconds, for durations. */
  readonly monotonic: () => number;
  /** In the place of `dns.lookup`. */
  readonly lookup: LookupFunction;
  /** TLS of a pool's connections; see `ProbeTls.options`. */
  readonly tlsOptions: TlsOptions;
}

export type TlsOptions = (tls: PoolTls, host: string, hostHeader: string | null) => ConnectionOptions;

/**
 * Runs one probe. `onResult` is called exactly once, as soon as the verdict is in; the promise never rejects and
 * settles when the socket is closed too (a server may be slow to close), at the deadline at the latest.
 * @param timeoutMs for everything: name, connect, answer, close
 * @param signal ends it early with the failure `cancelled`
 */
export type Prober = (
  target: ProbeTarget,
  timeoutMs: number,
  signal: AbortSignal,
  onResult: (result: ProbeResult) => void,
) => Promise<void>;

/** Builds the prober over real sockets: a new connection for each probe, so that kube-proxy chooses anew as for a client. */
export function createProber({ clock, monotonic, lookup, tlsOptions }: ProberOptions): Prober {
  const probing: GrpcProbing = { workspace: new Workspace(), monotonic };
  return (target, timeoutMs, signal, onResult) =>
    new Promise((resolve) => {
      const startedMs = monotonic();
      let settled = false;
      let isClosed = false;
      let cut: Cut = () => {};
      const settle = (verdict: Verdict): void => {
        if (settled) return;
        settled = true;
        onResult({ ...verdict, durationMs: monotonic() - startedMs });
      };
      const cancel = (): void => {
        settle(failed('cancelled', 'cancelled'));
        cut();
      };
      const stopTimer = clock.after(timeoutMs, () => {
        settle(failed('timeout', `nothing within ${timeoutMs} ms`));
        cut();
      });
      const closed = (): void => {
        if (isClosed) return;
        isClosed = true;
        stopTimer();
        signal.removeEventListener('abort', cancel);
        settle(failed('closed', 'closed before an answer'));
        resolve();
      };
      try {
        cut = start(target, lookup, { settle, closed }, tlsOptions, probing);
      } catch (error) {
        // A path or a host field that HTTP does not allow: reported as the result, as any other failure.
        settle(failed('nonsense', error instanceof Error ? error.message : 'not a request'));
        closed();
        return;
      }
      if (signal.aborted) cancel();
      else signal.addEventListener('abort', cancel, { once: true });
    });
}

/** Ends a probe's socket at once. */
type Cut = () => void;

function start(
  target: ProbeTarget,
  lookup: LookupFunction,
  end: ProbeEnd,
  tlsOptions: TlsOptions,
  probing: GrpcProbing,
): Cut {
  const version: ProbeHeader = ('proxyProtocol' in target ? target.proxyProtocol : null) ?? null;
  const header = version === null ? null : writeLocal(version);
  const tls = target.kind === 'http' ? (target.tls ?? null) : null;
  const place = { host: target.host, port: target.port, lookup, header, tls };
  switch (target.kind) {
    case 'tcp':
      return tcpProbe(place, end);
    case 'ssh':
      return identificationProbe(place, end);
    case 'http':
      return httpProbe(place, target.path, target.hostHeader, end, tlsOptions, (status) =>
        target.statuses.some(([low, high]) => status >= low && status <= high) ? passed() : answered(status),
      );
    case 'grpc': {
      const { service, hostHeader, host } = target;
      const secure = target.tls === null ? null : tlsOptions(target.tls, host, hostHeader);
      return grpcProbe(place, { service, hostHeader, tls: secure }, probing, end);
    }
    case 'kube-proxy':
      return httpProbe(place, '/healthz', null, end, tlsOptions, (status) =>
        status === 200 ? passed() : answered(status),
      );
    case 'health-check-node-port':
      return httpProbe(place, '/', null, end, tlsOptions, judgeHealthCheckNodePort);
  }
}

function tcpProbe({ header, tls: _, ...at }: ProbePlace, end: ProbeEnd): Cut {
  const socket = net.connect({ ...at, noDelay: true });
  socket.once('connect', () => {
    end.settle(passed());
    if (header === null) socket.end();
    else socket.end(header);
    // What the other side says (a banner) is read away, so that the close is a FIN and not a reset.
    socket.resume();
  });
  socket.once('error', (error) => end.settle(fromError(error)));
  socket.once('close', end.closed);
  return () => socket.destroy();
}

/** Connects and sends these bytes before the request, and before the TLS handshake where there is one. */
function after(
  header: Buffer,
  secure: ConnectionOptions | null,
): (options: http.ClientRequestArgs) => net.Socket {
  return (options) => {
    const socket = net.connect(options as net.TcpNetConnectOpts);
    socket.write(header);
    if (secure === null) return socket;
    // A connect that fails is told by the TLS socket.
    socket.once('error', () => {});
    return connect({ ...secure, host: options.host!, socket });
  };
}

type Judge = (status: number, headers: http.IncomingHttpHeaders, body: string) => Verdict;

function httpProbe(
  { header, tls, ...at }: ProbePlace,
  path: string,
  hostHeader: string | null,
  end: ProbeEnd,
  tlsOptions: TlsOptions,
  judge: Judge,
): Cut {
  const needsBody = judge === judgeHealthCheckNodePort;
  const headers: Record<string, string> = { 'user-agent': 'portico-probe', connection: 'close' };
  if (hostHeader !== null) headers['host'] = hostHeader;
  const options = { ...at, path, headers, maxHeaderSize: 16 * 1024 } as const;
  const secure = tls === null ? null : tlsOptions(tls, at.host, hostHeader);
  // An agent would make the connection itself, past the header.
  const through = header === null ? { agent: false as const } : { createConnection: after(header, secure) };
  const request =
    secure === null
      ? http.request({ ...options, ...through })
      : https.request({ ...secure, ...options, ...through });
  request.once('error', (error) => {
    end.settle(fromError(error));
  });
  // A 101 hands the socket over: nobody asked for it.
  request.once('upgrade', (_response, socket) => {
    end.settle(failed('nonsense', 'status 101'));
    socket.destroy();
  });
  request.once('close', end.closed);
  request.once('response', (response) => {
    const status = response.statusCode ?? 0;
    if (!needsBody) end.settle(judge(status, response.headers, ''));
    let body = '';
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (needsBody) body += chunk.toString('latin1');
      if (bytes > BODY_LIMIT_BYTES) {
        end.settle(failed('nonsense', `a body of more than ${BODY_LIMIT_BYTES} bytes`));
        request.destroy();
      }
    });
    response.once('end', () => end.settle(judge(status, response.headers, body)));
    // A body cut short: the verdict may be in already, and the first wins.
    response.once('error', (error) => end.settle(fromError(error)));
  });
  request.end();
  return () => request.destroy();
}

/** kube-proxy answers 200 or 503 with `{"localEndpoints": n, ...}` and the header `X-Load-Balancing-Endpoint-Weight` (kubernetes pkg/proxy/healthcheck). */
function judgeHealthCheckNodePort(status: number, headers: http.IncomingHttpHeaders, body: string): Verdict {
  if (status !== 200) return answered(status);
  const header = headers['x-load-balancing-endpoint-weight'];
  const weight = toCount(typeof header === 'string' ? Number(header) : localEndpoints(body));
  return { failure: null, detail: '', weight };
}

function localEndpoints(body: string): unknown {
  try {
    const parsed: unknown = JSON.parse(body);
    return parsed instanceof Object && 'localEndpoints' in parsed ? parsed.localEndpoints : null;
  } catch {
    // Other proxies (Cilium, kube-router) answer 200 with another body: the status counts, the weight is unknown.
    return null;
  }
}

function toCount(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 65535 ? value : null;
}
