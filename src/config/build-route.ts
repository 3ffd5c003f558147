// What was written for routes becomes the model's routes, with `defaults` merged in.

import type { DefaultsConfig } from '../model/config.ts';
import type { ActionConfig, RouteConfig, RuleConfig } from '../model/route-config.ts';
import { type Absolute, buildPoolOptions } from './build-pool.ts';
import type { Written } from './schema/root.ts';

type WrittenRoute = Written['routes'][number];
type WrittenRule = WrittenRoute['rules'][number];

export function buildRoute(route: WrittenRoute, defaults: DefaultsConfig, absolute: Absolute): RouteConfig {
  return {
    name: route.name,
    listeners: route.listeners,
    hosts: route.hosts,
    redirectToHttps: route.redirectToHttps ?? null,
    hsts: route.hsts ?? null,
    rules: route.rules.map((rule, index) => buildRule(rule, `${route.name}/${index}`, defaults, absolute)),
  };
}

function buildRule(
  rule: WrittenRule,
  place: string,
  defaults: DefaultsConfig,
  absolute: Absolute,
): RuleConfig {
  return {
    name: rule.name ?? null,
    matches: rule.matches,
    filters: rule.filters,
    action: buildAction(rule, place, defaults, absolute),
    timeouts: {
      responseHeaderMs: rule.timeouts?.responseHeader ?? null,
      streamIdleMs: rule.timeouts?.streamIdle ?? null,
      tunnelIdleMs: rule.timeouts?.tunnelIdle ?? null,
      tunnelLifetimeMs: rule.timeouts?.tunnelLifetime ?? null,
      totalMs: rule.timeouts?.total ?? null,
    },
    retry: {
      attempts: rule.retry?.attempts ?? defaults.retry.attempts,
      statuses: rule.retry?.statuses ?? defaults.retry.statuses,
      budget: rule.retry?.budget ?? defaults.retry.budget,
    },
  };
}

function buildAction(
  rule: WrittenRule,
  place: string,
  defaults: DefaultsConfig,
  absolute: Absolute,
): ActionConfig {
  const { service, redirect, respond } = rule;
  if (service !== undefined) {
    const template = buildPoolOptions(place, [], service, defaults, absolute);
    return { kind: 'service', cluster: service.cluster, service: service.name, port: service.port, template };
  }
  if (redirect !== undefined) {
    return {
      kind: 'redirect',
      scheme: redirect.scheme ?? null,
      host: redirect.host ?? null,
      port: redirect.port ?? null,
      path: redirect.path ?? null,
      status: redirect.status,
    };
  }
  if (respond !== undefined) {
    return { kind: 'respond', status: respond.status, body: respond.body, headers: respond.headers };
  }
  return { kind: 'pools', pools: rule.pools ?? [] };
}
