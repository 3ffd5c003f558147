// The configuration of routes after defaults: what a rule matches, changes and does.

import type { HttpsRedirect } from './listener-config.ts';
import type { PoolConfig } from './pool-config.ts';

export interface RouteConfig {
  readonly name: string;
  /** Listener names; empty means every http and https listener. */
  readonly listeners: readonly string[];
  readonly hosts: readonly HostPattern[];
  /** On http listeners its requests are redirected; null routes them. */
  readonly redirectToHttps: HttpsRedirect | null;
  /** Value of Strict-Transport-Security on https listeners; null takes the listener's. */
  readonly hsts: string | null;
  readonly rules: readonly RuleConfig[];
}

/** `*` alone is kind `any`; `*.example.com` is `wildcard` (one or more labels); `{x}.example.com` captures one label. */
export type HostPattern =
  | { readonly kind: 'any'; readonly text: string }
  | { readonly kind: 'exact'; readonly text: string; readonly host: string }
  | { readonly kind: 'wildcard'; readonly text: string; readonly suffix: string }
  | {
      readonly kind: 'capture';
      readonly text: string;
      readonly names: readonly string[];
      readonly regex: string;
    };

export interface RuleConfig {
  readonly name: string | null;
  /** Any one that fits is enough; empty matches everything. */
  readonly matches: readonly MatchConfig[];
  readonly filters: readonly FilterConfig[];
  readonly action: ActionConfig;
  readonly timeouts: RuleTimeouts;
  readonly retry: RetryConfig;
}

export type PathMatch =
  | { readonly kind: 'exact'; readonly value: string }
  | { readonly kind: 'prefix'; readonly value: string }
  | { readonly kind: 'regex'; readonly value: string };

export type ValueMatch = {
  readonly name: string;
  readonly kind: 'exact' | 'regex' | 'present';
  readonly value: string;
};

export interface MatchConfig {
  readonly path: PathMatch | null;
  readonly method: string | null;
  readonly headers: readonly ValueMatch[];
  readonly query: readonly ValueMatch[];
}

export type ActionConfig =
  | { readonly kind: 'pools'; readonly pools: readonly { readonly name: string; readonly weight: number }[] }
  /** `service` is `namespace/name` with `{capture}`s; every match in the cluster becomes a pool of its own. */
  | {
      readonly kind: 'service';
      readonly cluster: string;
      readonly service: string;
      readonly port: string | number;
      readonly template: PoolConfig;
    }
  | {
      readonly kind: 'redirect';
      readonly scheme: string | null;
      readonly host: string | null;
      readonly port: number | null;
      readonly path: PathRewrite | null;
      readonly status: 301 | 302 | 303 | 307 | 308;
    }
  | {
      readonly kind: 'respond';
      readonly status: number;
      readonly body: string;
      readonly headers: readonly HeaderValue[];
    };

export interface HeaderValue {
  readonly name: string;
  readonly value: string;
}

export type PathRewrite =
  | { readonly kind: 'full'; readonly value: string }
  | { readonly kind: 'prefix'; readonly value: string };

export type FilterConfig =
  | {
      readonly kind: 'request-headers' | 'response-headers';
      readonly set: readonly HeaderValue[];
      readonly add: readonly HeaderValue[];
      readonly remove: readonly string[];
    }
  | { readonly kind: 'rewrite'; readonly host: string | null; readonly path: PathRewrite | null };

/** Null leaves the pool's value in force. */
export interface RuleTimeouts {
  readonly responseHeaderMs: number | null;
  readonly streamIdleMs: number | null;
  readonly tunnelIdleMs: number | null;
  readonly tunnelLifetimeMs: number | null;
  readonly totalMs: number | null;
}

export interface RetryConfig {
  /** Attempts after the first. 0 to 10. Default 2. */
  readonly attempts: number;
  /** Answers that are retried when the request is idempotent and has come whole, and no byte went downstream. Default none. */
  readonly statuses: readonly number[];
  /** Retries per request allowed by the budget, as a share of recent requests, 0 to 1. Default 0.2. */
  readonly budget: number;
}
