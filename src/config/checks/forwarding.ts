// Where a listener sends what it does not read itself: the pool of a tcp listener, TLS routes, and listeners that take over.

import type { ListenerConfig, ListenerProtocol } from '../../model/listener-config.ts';
import type { Path } from '../problem.ts';
import { quote } from '../refusal.ts';
import type { CheckContext } from './context.ts';
import { exists } from './exists.ts';

export function checkForwarding(context: CheckContext, listener: ListenerConfig, place: Path): void {
  const { problem } = context;
  if (listener.protocol === 'tcp') {
    if (listener.pool === null) {
      problem(
        place,
        'pool-missing',
        `the tcp listener ${quote(listener.name)} has no pool`,
        'Add pool: NAME.',
      );
    } else {
      checkOpaquePool(context, listener.pool, [...place, 'pool']);
    }
  } else if (listener.pool !== null) {
    problem(
      [...place, 'pool'],
      'pool-unexpected',
      `the ${listener.protocol} listener ${quote(listener.name)} names a pool, but routes choose the pool there`,
      'Remove pool and add a route, or use protocol: tcp.',
      'key',
    );
  }
}

/** A pool for connections whose bytes are not read. */
function checkOpaquePool(context: CheckContext, name: string, place: Path): void {
  if (!exists(context, 'pools', name, place)) return;
  const kind = context.config.pools.find((candidate) => candidate.name === name)?.policy.key?.kind;
  if (kind === undefined || kind === 'source-ip') return;
  context.problem(
    place,
    'key-without-request',
    `the pool ${quote(name)} hashes by ${kind}, which a tcp connection does not have`,
    'Use key: source-ip in that pool, or another pool.',
  );
}

export function checkTlsRoutes(context: CheckContext, listener: ListenerConfig, place: Path): void {
  const { problem } = context;
  const { name, protocol, tlsRoutes } = listener;
  if (protocol === 'tls-passthrough' && tlsRoutes.length === 0) {
    problem(
      place,
      'tls-routes-missing',
      `the tls-passthrough listener ${quote(name)} has no tlsRoutes`,
      'Add tlsRoutes: [{ hosts: [NAME], pools: [{ name: POOL }] }].',
    );
  }
  if (protocol !== 'tls-passthrough' && tlsRoutes.length > 0) {
    problem(
      [...place, 'tlsRoutes'],
      'tls-routes-unexpected',
      `the ${protocol} listener ${quote(name)} has tlsRoutes, but does not use them`,
      'Use protocol: tls-passthrough, or remove tlsRoutes.',
      'key',
    );
  }
  for (const [index, { pools }] of tlsRoutes.entries()) {
    const routePlace = [...place, 'tlsRoutes', index, 'pools'];
    for (const [position, pool] of pools.entries()) {
      checkOpaquePool(context, pool.name, [...routePlace, position, 'name']);
    }
    if (pools.every(({ weight }) => weight === 0)) {
      problem(
        routePlace,
        'weight-zero',
        'every pool of this route has weight 0, so it could take nothing',
        'Give one of them a weight.',
      );
    }
  }
}

/** Which protocols the listener may have that takes over. */
const TAKES_OVER: Readonly<Record<'tls' | 'http' | 'ssh' | 'default', readonly ListenerProtocol[]>> = {
  tls: ['https', 'tls-passthrough'],
  http: ['http'],
  ssh: ['tcp'],
  default: ['http', 'https', 'tcp', 'tls-passthrough'],
};

const KINDS = Object.keys(TAKES_OVER) as readonly (keyof typeof TAKES_OVER)[];

export function checkMux(context: CheckContext, listener: ListenerConfig, place: Path): void {
  const { problem, config } = context;
  const { name, protocol, mux } = listener;
  const namesNone = mux === null || KINDS.every((key) => mux[key] === null);
  if (protocol === 'mux' && namesNone) {
    problem(
      place,
      'mux-missing',
      `the mux listener ${quote(name)} names no listener that takes over`,
      'Add mux: { tls: NAME, http: NAME, ssh: NAME }.',
    );
  }
  if (mux === null) return;
  if (protocol !== 'mux') {
    problem(
      [...place, 'mux'],
      'mux-unexpected',
      `the ${protocol} listener ${quote(name)} has mux, but does not use it`,
      'Use protocol: mux, or remove mux.',
      'key',
    );
    return;
  }
  for (const key of KINDS) {
    const fits = TAKES_OVER[key];
    const other = mux[key];
    const otherPlace = [...place, 'mux', key];
    if (other === null || !exists(context, 'listeners', other, otherPlace)) continue;
    const found = config.listeners.find((candidate) => candidate.name === other)!;
    if (fits.includes(found.protocol)) continue;
    problem(
      otherPlace,
      'listener-kind',
      `the listener ${quote(other)} is ${found.protocol}, which cannot take over ${key}`,
      `Name a listener that is ${fits.join(' or ')}.`,
    );
  }
}
