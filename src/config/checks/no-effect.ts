// Warnings: options that are written and change nothing, since another one, or the kind of the whole, rules them out;
// and a ceiling that is reached before anything is served.

import type { Config } from '../../model/config.ts';
import type { ListenerConfig, ListenerLimits } from '../../model/listener-config.ts';
import type { PoolConfig } from '../../model/pool-config.ts';
import type { RuleConfig } from '../../model/route-config.ts';
import { networkOf } from '../network.ts';
import type { Path } from '../problem.ts';
import { quote } from '../refusal.ts';
import type { CheckContext } from './context.ts';

/** What a listener does with requests only. */
const OF_REQUESTS: readonly Path[] = [
  ['http2'],
  ['paths'],
  ['underscores'],
  ['forwarded'],
  ...(
    [
      'requests',
      'requestsPerClient',
      'requestRate',
      'requestBurst',
      'requestRatePerClient',
      'requestBurstPerClient',
      'headerCount',
      'headerBytes',
      'headerLineBytes',
      'pipelinedRequests',
      'pipelinedBytes',
      'requestsPerConnection',
    ] as const satisfies readonly (keyof ListenerLimits)[]
  ).map((key) => ['limits', key]),
];

const BURSTS = [
  ['connectionBurst', 'connectionRate'],
  ['connectionBurstPerClient', 'connectionRatePerClient'],
  ['requestBurst', 'requestRate'],
  ['requestBurstPerClient', 'requestRatePerClient'],
] as const satisfies readonly (readonly [keyof ListenerLimits, keyof ListenerLimits])[];

/** What a worker takes before its first client, and some room to serve any. */
const LEAST_WORKER_BYTES = 128 * 1024 ** 2;

/** Judged only where it is written: defaults may contradict each other without anybody having meant it. */
export function checkNoEffect(context: CheckContext): void {
  const { config, places } = context;
  for (const [index, listener] of config.listeners.entries()) {
    checkListener(context, listener, places.at('listeners', index));
  }
  checkBursts(context, config.defaults.limits, config);
  checkRanges(context, config.trustedProxies, ['trustedProxies']);
  checkMemory(context, config);
  for (const [index, pool] of config.pools.entries()) checkPool(context, pool, places.at('pools', index));
  for (const [route, { rules }] of config.routes.entries()) {
    for (const [index, rule] of rules.entries()) checkRule(context, rule, places.rule(route, index));
  }
}

function checkListener(context: CheckContext, listener: ListenerConfig, place: Path): void {
  const { protocol, name, limits, http2, redirectToHttps, port, proxyProtocol } = listener;
  checkRanges(context, proxyProtocol?.from ?? [], [...place, 'proxyProtocol', 'from']);
  if (protocol !== 'http' && protocol !== 'https') {
    const why = protocol === 'mux' ? 'set it on the listeners that take over' : 'it reads no requests';
    for (const path of OF_REQUESTS) {
      const what = `the ${protocol} listener ${quote(name)}`;
      noEffect(context, [...place, ...path], `${path.at(-1)} has no effect on ${what}: ${why}`);
    }
    return;
  }
  for (const [burst, rate] of BURSTS) {
    if (limits[rate] === 0) {
      noEffect(
        context,
        [...place, 'limits', burst],
        `${burst} has no effect without ${rate}`,
        `Set ${rate}.`,
      );
    }
  }
  if (http2.streamWindow > http2.connectionWindow) {
    noEffect(
      context,
      [...place, 'http2', 'streamWindow'],
      'streamWindow is larger than connectionWindow, which bounds it',
      'Raise connectionWindow, or lower streamWindow.',
    );
  }
  if (redirectToHttps?.port === port && port !== 0) {
    context.warning(
      [...place, 'redirectToHttps', 'port'],
      'redirect-loop',
      `the listener ${quote(name)} sends its clients to its own port`,
      'Name the port of the https listener.',
    );
  }
}

/** Bursts that all listeners take over, where none has the rate. */
function checkBursts(context: CheckContext, limits: ListenerLimits, { listeners }: Config): void {
  for (const [burst, rate] of BURSTS) {
    if (limits[rate] > 0 || listeners.some((listener) => listener.limits[rate] > 0)) continue;
    const message = `${burst} has no effect: no listener has a ${rate}`;
    noEffect(context, ['defaults', 'limits', burst], message, `Set ${rate}.`);
  }
}

/** Whoever writes 10.1.2.3/8 may have meant 10.1.2.3 alone. */
function checkRanges({ warning }: CheckContext, ranges: readonly string[], place: Path): void {
  for (const [index, range] of ranges.entries()) {
    const network = networkOf(range);
    if (network === range) continue;
    warning(
      [...place, index],
      'no-effect',
      `the range ${quote(range)} is ${network}: the other bits of its address have no effect`,
      `Write ${network}, or the address alone.`,
    );
  }
}

function checkMemory({ warning }: CheckContext, { memory }: Config): void {
  const { perWorkerBytes } = memory;
  if (perWorkerBytes === 0 || perWorkerBytes >= LEAST_WORKER_BYTES) return;
  warning(
    ['memory', 'perWorker'],
    'memory-too-small',
    'a worker takes about 80 MiB before its first client: at this ceiling it refuses nearly everything',
    'Write 128MiB at least, or 0 for no limit.',
  );
}

function checkPool(context: CheckContext, pool: PoolConfig, place: Path): void {
  const { connections, sources, tls } = pool;
  const at = (...path: readonly string[]): Path => [...place, ...path];
  if (sources.every(({ kind }) => kind === 'static')) {
    noEffect(context, at('subset'), 'subset has no effect on static addresses: it chooses among nodes');
  }
  if (connections.pending === 0) {
    noEffect(
      context,
      at('connections', 'pendingTimeout'),
      'pendingTimeout has no effect: with pending: 0 nothing waits',
    );
  }
  if (connections.startsPerSecond === 0) {
    const path = at('connections', 'startWait');
    noEffect(context, path, 'startWait has no effect without startsPerSecond', 'Set startsPerSecond.');
  }
  if (connections.perTarget > connections.perPool) {
    noEffect(
      context,
      at('connections', 'perTarget'),
      'perTarget is larger than perPool, which bounds it',
      'Raise perPool, or lower perTarget.',
    );
  }
  if (connections.idlePerTarget > connections.perTarget) {
    noEffect(
      context,
      at('connections', 'idlePerTarget'),
      'idlePerTarget is larger than perTarget, which bounds it',
      'Raise perTarget, or lower idlePerTarget.',
    );
  }
  if (tls !== null && !tls.verify) {
    noEffect(context, at('tls', 'ca'), 'ca has no effect: verify is off', 'Remove verify.');
  }
}

function checkRule(context: CheckContext, { action, retry }: RuleConfig, place: Path): void {
  if (action.kind === 'redirect' || action.kind === 'respond') {
    const message = `retry has no effect: the action ${action.kind} sends no request to a target`;
    noEffect(context, [...place, 'retry'], message);
  } else if (retry.attempts === 0) {
    const message = 'statuses has no effect: with attempts: 0 nothing is repeated';
    noEffect(context, [...place, 'retry', 'statuses'], message, 'Raise attempts, or remove it.');
  }
}

function noEffect(context: CheckContext, path: Path, message: string, fix = 'Remove it.'): void {
  if (context.isWritten(path)) context.warning(path, 'no-effect', message, fix, 'key');
}
