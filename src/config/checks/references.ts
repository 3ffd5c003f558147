// Names: each given once, and each that is referred to exists and is of the right kind.

import type { ListenerConfig } from '../../model/listener-config.ts';
import type { PoolConfig } from '../../model/pool-config.ts';
import type { Path } from '../problem.ts';
import { quote } from '../refusal.ts';
import type { CheckContext } from './context.ts';
import { exists } from './exists.ts';
import { checkForwarding, checkMux, checkTlsRoutes } from './forwarding.ts';

export function checkReferences(context: CheckContext): void {
  checkNamesOnce(context);
  checkListeners(context);
  checkPools(context);
  checkRoutes(context);
}

function checkNamesOnce(context: CheckContext): void {
  const { config, places, problem } = context;
  for (const section of ['clusters', 'listeners', 'pools', 'routes'] as const) {
    const seen = new Set<string>();
    for (const [index, { name }] of config[section].entries()) {
      if (seen.has(name)) {
        const what = section.slice(0, -1);
        problem(
          [...places.at(section, index), 'name'],
          'name-duplicate',
          `there are two ${section} named ${quote(name)}`,
          `Rename or remove one ${what}.`,
        );
      }
      seen.add(name);
    }
  }
  for (const [route, { rules }] of config.routes.entries()) {
    const seen = new Set<string>();
    for (const [index, { name }] of rules.entries()) {
      if (name !== null && seen.has(name)) {
        problem(
          [...places.rule(route, index), 'name'],
          'name-duplicate',
          `there are two rules named ${quote(name)} in this route`,
          'Rename or remove one rule.',
        );
      }
      seen.add(name ?? '');
    }
  }
}

function checkListeners(context: CheckContext): void {
  const { config, places, hasListeners, problem } = context;
  if (!hasListeners) {
    problem(
      ['listeners'],
      'listener-missing',
      'there is no listener, so nothing could connect',
      'Add one: listeners: [{ name: web, bind: ":8080", protocol: http }].',
    );
  }
  for (const [index, listener] of config.listeners.entries()) {
    const place = places.at('listeners', index);
    checkTls(context, listener, place);
    checkForwarding(context, listener, place);
    checkTlsRoutes(context, listener, place);
    checkMux(context, listener, place);
  }
}

function checkTls(context: CheckContext, listener: ListenerConfig, place: Path): void {
  const { problem } = context;
  for (const [position, source] of (listener.tls?.certificates ?? []).entries()) {
    if (source.kind !== 'secret') continue;
    exists(context, 'clusters', source.cluster, [
      ...place,
      'tls',
      'certificates',
      position,
      'secret',
      'cluster',
    ]);
  }
  if (listener.redirectToHttps !== null && listener.protocol !== 'http') {
    const message = `the ${listener.protocol} listener ${quote(listener.name)} cannot redirect to https`;
    problem(
      [...place, 'redirectToHttps'],
      'redirect-unexpected',
      message,
      'Remove it, or use protocol: http.',
      'key',
    );
  }
  if (listener.hsts !== null && listener.protocol !== 'https') {
    const message = `the ${listener.protocol} listener ${quote(listener.name)} cannot send Strict-Transport-Security`;
    problem([...place, 'hsts'], 'hsts-unexpected', message, 'Set it on the https listener.', 'key');
  }
  if (listener.protocol === 'https' && listener.tls === null) {
    problem(
      place,
      'tls-missing',
      `the https listener ${quote(listener.name)} has no certificate`,
      'Add tls: { certificates: [{ cert: FILE, key: FILE }] }.',
    );
  }
  if (listener.protocol !== 'https' && listener.tls !== null) {
    problem(
      [...place, 'tls'],
      'tls-unexpected',
      `the ${listener.protocol} listener ${quote(listener.name)} has tls, but does not use it`,
      'Use protocol: https, or remove tls.',
      'key',
    );
  }
}

function checkPools(context: CheckContext): void {
  const { config, places, problem } = context;
  for (const [index, pool] of config.pools.entries()) {
    const place = places.at('pools', index);
    const addresses = new Set<string>();
    for (const [position, source] of pool.sources.entries()) {
      const sourcePlace = [...place, 'sources', position];
      if (source.cluster !== null) {
        exists(context, 'clusters', source.cluster, [...sourcePlace, 'cluster']);
      }
      for (const [item, address] of source.addresses.entries()) {
        if (addresses.has(address)) {
          problem(
            [...sourcePlace, 'static', item],
            'address-duplicate',
            `the address ${address} stands twice in this pool`,
            'Remove one, or give its source a larger weight.',
          );
        }
        addresses.add(address);
      }
    }
    checkSourceWeights(context, pool, place);
    checkUpstreamTls(context, pool, place);
    checkProxyOverHttp2(context, pool, place);
  }
}

/** A connection of HTTP/2 carries the requests of many clients, and a PROXY header names one. */
function checkProxyOverHttp2({ problem }: CheckContext, pool: PoolConfig, place: Path): void {
  if (pool.protocol !== 'http2' || pool.proxyProtocol === null) {
    return;
  }
  problem(
    [...place, 'protocol'],
    'http2-proxy-protocol',
    `the pool ${quote(pool.name)} has protocol http2 and proxyProtocol: its connections carry many clients`,
    'Keep one of them.',
    'key',
  );
}

function checkUpstreamTls({ warning }: CheckContext, { name, tls, sources }: PoolConfig, place: Path): void {
  if (tls === null) {
    return;
  }
  if (!tls.verify) {
    warning(
      [...place, 'tls', 'verify'],
      'tls-unverified',
      `the targets of the pool ${quote(name)} are not verified: anybody in between can read and answer`,
      'Remove verify, and name their authority with ca.',
    );
  } else if (
    tls.serverName === null &&
    !tls.serverNameFromHost &&
    sources.some(({ kind }) => kind === 'service')
  ) {
    warning(
      [...place, 'tls'],
      'tls-address',
      `the certificates of the pool ${quote(name)} must be good for the addresses of nodes`,
      'Set serverName to a name that they have, or serverNameFromHost.',
      'key',
    );
  }
}

function checkSourceWeights({ problem }: CheckContext, pool: PoolConfig, place: Path): void {
  if (pool.sources.every((source) => source.weight === 0)) {
    problem(
      [...place, 'sources'],
      'weight-zero',
      `every source of the pool ${quote(pool.name)} has weight 0, so it has no target`,
      'Give one of them a weight of at least 1.',
      'key',
    );
  }
}

function checkRoutes(context: CheckContext): void {
  const { config, places, problem } = context;
  for (const [index, route] of config.routes.entries()) {
    const place = places.at('routes', index);
    for (const [position, name] of route.listeners.entries()) {
      const listenerPlace = [...place, 'listeners', position];
      if (route.listeners.indexOf(name) < position) {
        problem(listenerPlace, 'duplicate', `the listener ${quote(name)} stands twice`, 'Remove one.');
      } else if (exists(context, 'listeners', name, listenerPlace)) {
        const listener = config.listeners.find((candidate) => candidate.name === name);
        if (listener !== undefined && listener.protocol !== 'http' && listener.protocol !== 'https') {
          problem(
            listenerPlace,
            'listener-kind',
            `the listener ${quote(name)} is ${listener.protocol} and takes no routes`,
            'Name an http or https listener.',
          );
        }
      }
    }
    for (const [ruleIndex, { action }] of route.rules.entries()) {
      const rulePlace = places.rule(index, ruleIndex);
      if (action.kind === 'service') {
        exists(context, 'clusters', action.cluster, [...rulePlace, 'service', 'cluster']);
      } else if (action.kind === 'pools') {
        for (const [position, { name }] of action.pools.entries()) {
          exists(context, 'pools', name, [...rulePlace, 'pools', position, 'name']);
        }
      }
    }
  }
}
