// The times of one request: what its rule says, and where that is silent its pool.

import type { ResponseHead } from '../http1/response-head.ts';
import type { ExchangeFacts } from './exchange-facts.ts';
import type { TunnelLimits } from './tunnel.ts';

/** 0 for no limit. */
export function totalMsOf({ match, pool }: ExchangeFacts): number {
  return match.rule!.rule.timeouts.totalMs ?? pool!.config.timeouts.totalMs;
}

/** @param longLived the answer of a gRPC call begins with its first message, which may be the last thing that happens */
export function responseHeaderMsOf(facts: ExchangeFacts, longLived: boolean): number {
  const { match, pool } = facts;
  const usualMs = longLived ? tunnelIdleMsOf(facts) : pool!.config.timeouts.responseHeaderMs;
  return match.rule!.rule.timeouts.responseHeaderMs ?? usualMs;
}

/** @param longLived silent by nature, like a tunnel */
export function streamIdleMsOf(facts: ExchangeFacts, longLived: boolean): number {
  if (longLived) return tunnelIdleMsOf(facts);
  return facts.match.rule!.rule.timeouts.streamIdleMs ?? facts.pool!.config.timeouts.streamIdleMs;
}

function tunnelIdleMsOf({ match, pool }: ExchangeFacts): number {
  return match.rule!.rule.timeouts.tunnelIdleMs ?? pool!.config.timeouts.tunnelIdleMs;
}

/** @param head the answer that agrees to the tunnel */
export function tunnelLimitsOf(facts: ExchangeFacts, head: ResponseHead): TunnelLimits {
  const { match, pool } = facts;
  const lifetimeMs = match.rule!.rule.timeouts.tunnelLifetimeMs ?? pool!.config.timeouts.tunnelLifetimeMs;
  return {
    idleMs: tunnelIdleMsOf(facts),
    lifetimeMs: lifetimeMs === 0 ? Number.POSITIVE_INFINITY : lifetimeMs,
    webSocket: head.upgrade.toLowerCase() === 'websocket',
  };
}
