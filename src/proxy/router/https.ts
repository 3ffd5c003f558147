// What `redirectToHttps` and `hsts` make of the routes of one listener.

import type { HttpsRedirect, ListenerConfig } from '../../model/listener-config.ts';
import type { FilterConfig } from '../../model/route-config.ts';
import type { SnapshotRoute, SnapshotRule } from '../../model/snapshot.ts';

const NAME = 'redirect-to-https';
export const TRANSPORT_SECURITY = 'strict-transport-security';

/** Of answers that no rule is known for, on a listener with this value of `hsts`. */
export const securityLine = (value: string | null): string =>
  value === null ? '' : `${TRANSPORT_SECURITY}: ${value}\r\n`;

/** The routes as they are where the listener changes nothing about them. */
export function routesOn(
  listener: ListenerConfig,
  routes: readonly SnapshotRoute[],
): readonly SnapshotRoute[] {
  if (listener.protocol === 'http') return redirected(listener.redirectToHttps, routes);
  return transportSecured(listener.hsts, routes);
}

function redirected(all: HttpsRedirect | null, routes: readonly SnapshotRoute[]): readonly SnapshotRoute[] {
  if (all !== null) {
    const everything: SnapshotRoute = {
      name: NAME,
      listeners: [],
      hosts: [{ kind: 'any', text: '*' }],
      rules: [redirectRule(all)],
      redirectToHttps: null,
      hsts: null,
    };
    return [everything];
  }
  if (routes.every(({ redirectToHttps }) => redirectToHttps === null)) return routes;
  return routes.map((route) =>
    route.redirectToHttps === null ? route : { ...route, rules: [redirectRule(route.redirectToHttps)] },
  );
}

function redirectRule({ port, status }: HttpsRedirect): SnapshotRule {
  return {
    name: NAME,
    matches: [],
    filters: [],
    action: { kind: 'redirect', scheme: 'https', host: null, port, path: null, status },
    timeouts: {
      responseHeaderMs: null,
      streamIdleMs: null,
      totalMs: null,
      tunnelIdleMs: null,
      tunnelLifetimeMs: null,
    },
    retry: { attempts: 0, statuses: [], budget: 0 },
  };
}

/** Only answers over TLS say it (RFC 6797, section 7.2). A route's own word counts before the listener's, a rule's filter before both. */
function transportSecured(all: string | null, routes: readonly SnapshotRoute[]): readonly SnapshotRoute[] {
  if (all === null && routes.every(({ hsts }) => hsts === null)) return routes;
  return routes.map((route) => {
    const value = route.hsts ?? all;
    if (value === null) return route;
    const filter: FilterConfig = {
      kind: 'response-headers',
      set: [{ name: TRANSPORT_SECURITY, value }],
      add: [],
      remove: [],
    };
    return { ...route, rules: route.rules.map((rule) => ({ ...rule, filters: [filter, ...rule.filters] })) };
  });
}
