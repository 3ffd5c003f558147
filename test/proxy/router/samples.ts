// Short ways to write routes and requests for the router's tests and benchmark.

import type { HostPattern, MatchConfig, PathMatch, ValueMatch } from '../../../src/model/route-config.ts';
import type { SnapshotAction, SnapshotRoute, SnapshotRule } from '../../../src/model/snapshot.ts';
import type { RouteRequest } from '../../../src/proxy/router/request.ts';

export const host = (text: string): HostPattern => {
  if (text === '*') return { kind: 'any', text };
  if (text.startsWith('*.')) return { kind: 'wildcard', text, suffix: text.slice(2) };
  if (!text.includes('{')) return { kind: 'exact', text, host: text };
  const names = [...text.matchAll(/\{(\w+)\}/g)].map((place) => place[1] as string);
  const regex = text.replaceAll('.', '\\.').replace(/\{\w+\}/g, '([^.]+)');
  return { kind: 'capture', text, names, regex };
};

export const path = (text: string): PathMatch => {
  if (text.startsWith('=')) return { kind: 'exact', value: text.slice(1) };
  if (text.startsWith('~')) return { kind: 'regex', value: text.slice(1) };
  return { kind: 'prefix', value: text };
};

/** `name=value`, `name~regex` or `name` for presence. */
export const value = (text: string): ValueMatch => {
  const sign = /[=~]/.exec(text);
  if (sign === null) return { name: text, kind: 'present', value: '' };
  return {
    name: text.slice(0, sign.index),
    kind: sign[0] === '=' ? 'exact' : 'regex',
    value: text.slice(sign.index + 1),
  };
};

export interface MatchSample {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: readonly string[];
  readonly query?: readonly string[];
}

export const match = (sample: MatchSample): MatchConfig => ({
  path: sample.path === undefined ? null : path(sample.path),
  method: sample.method ?? null,
  headers: (sample.headers ?? []).map(value),
  query: (sample.query ?? []).map(value),
});

export interface RuleSample {
  readonly name?: string;
  readonly matches?: readonly MatchSample[];
  readonly action?: SnapshotAction;
  readonly filters?: SnapshotRule['filters'];
}

export const rule = (sample: RuleSample): SnapshotRule => ({
  name: sample.name ?? null,
  matches: (sample.matches ?? []).map(match),
  filters: sample.filters ?? [],
  action: sample.action ?? { kind: 'pools', pools: [{ pool: 0, weight: 1 }] },
  timeouts: {
    responseHeaderMs: null,
    streamIdleMs: null,
    tunnelIdleMs: null,
    tunnelLifetimeMs: null,
    totalMs: null,
  },
  retry: { attempts: 2, statuses: [], budget: 0.2 },
});

export const route = (
  hosts: readonly string[],
  rules: readonly RuleSample[],
  listeners: readonly string[] = [],
): SnapshotRoute => ({
  name: hosts.join(),
  listeners,
  hosts: hosts.map(host),
  redirectToHttps: null,
  hsts: null,
  rules: rules.map(rule),
});

export interface RequestSample {
  readonly method?: string;
  readonly path?: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const request = (hostName: string, sample: RequestSample = {}): RouteRequest => ({
  method: sample.method ?? 'GET',
  host: hostName,
  path: sample.path ?? '/',
  query: sample.query ?? '',
  header: (name) => sample.headers?.[name],
});
