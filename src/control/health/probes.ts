// Owns the single probe: one connection, one question, one verdict within a deadline, and nothing left open.

import net, { type LookupFunction } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { ResponseHead } from '../../http1/response-head.ts';
import { Workspace } from '../../http2/workspace.ts';
import type { PoolTls } from '../../model/pool-config.ts';
import { writeLocal } from '../../proxy-protocol/write-header.ts';
import type { Clock } from '../discovery/clock.ts';
import { type GrpcProbing, grpcProbe } from './grpc-probe.ts';
import { type HttpQuestion, httpProbe } from './http-probe.ts';
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
        // A path or a host field that HTTP does not allow: reported as the result, as every other failure is.
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
  const place = { host: target.host, port: target.port, lookup, header };
  switch (target.kind) {
    case 'tcp':
      return tcpProbe(place, end);
    case 'ssh':
      return identificationProbe(place, end);
    case 'http': {
      const { path, hostHeader, host, statuses } = target;
      const secure = target.tls ? tlsOptions(target.tls, host, hostHeader) : null;
      const judge = ({ status }: ResponseHead): Verdict =>
        statuses.some(([low, high]) => status >= low && status <= high) ? passed() : answered(status);
      return httpProbe(place, { path, hostHeader, tls: secure, needsBody: false, judge }, end);
    }
    case 'grpc': {
      const { service, hostHeader, host } = target;
      const secure = target.tls === null ? null : tlsOptions(target.tls, host, hostHeader);
      return grpcProbe(place, { service, hostHeader, tls: secure }, probing, end);
    }
    case 'kube-proxy':
      return httpProbe(place, KUBE_PROXY, end);
    case 'health-check-node-port':
      return httpProbe(place, HEALTH_CHECK_NODE_PORT, end);
  }
}

function tcpProbe({ header, ...at }: ProbePlace, end: ProbeEnd): Cut {
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

const KUBE_PROXY: HttpQuestion = {
  path: '/healthz',
  hostHeader: null,
  tls: null,
  needsBody: false,
  judge: ({ status }) => (status === 200 ? passed() : answered(status)),
};

const HEALTH_CHECK_NODE_PORT: HttpQuestion = {
  path: '/',
  hostHeader: null,
  tls: null,
  needsBody: true,
  judge: judgeHealthCheckNodePort,
};

/** kube-proxy answers 200 or 503 with `{"localEndpoints": n, ...}` and the header `X-Load-Balancing-Endpoint-Weight` (kubernetes pkg/proxy/healthcheck). */
function judgeHealthCheckNodePort(head: ResponseHead, body: string): Verdict {
  if (head.status !== 200) return answered(head.status);
  const index = head.findName('x-load-balancing-endpoint-weight');
  const weight = toCount(index === -1 ? localEndpoints(body) : Number(head.value(index)));
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
