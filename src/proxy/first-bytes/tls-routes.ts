// Which pool a TLS connection goes to that is not opened: by server name and offered protocols, like Gateway API's TLSRoute.

import type { TlsRouteConfig } from '../../model/listener-config.ts';

type Route = TlsRouteConfig;

/** Exact names come before wildcards, longer wildcards before shorter ones, `*` last; then the order of the file. */
export class TlsRoutes {
  readonly #exact = new Map<string, Route[]>();
  /** By suffix, its dot included. */
  readonly #wildcards = new Map<string, Route[]>();
  readonly #any: Route[] = [];

  constructor(routes: readonly Route[]) {
    for (const route of routes) for (const host of route.hosts) this.#listFor(host).push(route);
  }

  /**
   * The name of a pool, each of the route's in proportion to its weight; null when no route takes the connection.
   * @param serverName lower case; '' when the client asked for none, which only `*` takes
   * @param alpn what the client offers
   * @param random in [0, 1)
   */
  choose(serverName: string, alpn: readonly string[], random: number): string | null {
    for (const routes of this.#candidates(serverName)) {
      const route = routes.find(
        (one) => one.alpn.length === 0 || one.alpn.some((name) => alpn.includes(name)),
      );
      if (route !== undefined) return weighted(route, random);
    }
    return null;
  }

  *#candidates(serverName: string): Generator<readonly Route[]> {
    if (serverName !== '') {
      yield this.#exact.get(serverName) ?? [];
      for (let dot = serverName.indexOf('.'); dot !== -1; dot = serverName.indexOf('.', dot + 1)) {
        if (dot > 0) yield this.#wildcards.get(serverName.slice(dot)) ?? [];
      }
    }
    yield this.#any;
  }

  #listFor(host: Route['hosts'][number]): Route[] {
    if (host.kind === 'any') return this.#any;
    const [lists, key] = host.kind === 'exact' ? [this.#exact, host.host] : [this.#wildcards, host.suffix];
    const list = lists.get(key) ?? [];
    lists.set(key, list);
    return list;
  }
}

function weighted({ pools }: Route, random: number): string | null {
  let left = random * pools.reduce((sum, { weight }) => sum + weight, 0);
  for (const { name, weight } of pools) {
    if (left < weight) return name;
    left -= weight;
  }
  return null;
}
