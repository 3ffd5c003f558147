// Where a request would go now, asked of a worker: the router and pickers that serve, without sending anything.

import { normalisePath } from '../http1/normalise.ts';
import type { FailureCode } from '../model/failures.ts';
import type { PathPolicy } from '../model/listener-config.ts';
import type { RoutedRequest, WorkerQuestion } from '../model/messages.ts';
import type { CompiledAction } from './router/actions.ts';
import { createRouteMatch, type RouteMatch } from './router/router.ts';
import { NO_POOL, serviceEnvironment } from './router/weighted.ts';
import type { Runtime } from './runtime.ts';
import type { FlowFacts } from './upstream/hash-key.ts';

type RouteQuestion = Extract<WorkerQuestion, { kind: 'route' }>;

const NOWHERE = { route: null, rule: null, captures: {}, action: 'none', pools: [] } as const;

/** @param ports the bound port of each listener: the URL's port chooses the listener */
export function explainRoute(
  question: RouteQuestion,
  runtime: Runtime,
  ports: ReadonlyMap<string, number>,
): RoutedRequest {
  if (!URL.canParse(question.url)) return { listener: null, ...NOWHERE, failure: 'bad-request' };
  const url = new URL(question.url);
  const listener = listenerFor(url, runtime, ports);
  if (listener === null) return { listener: null, ...NOWHERE, failure: 'no-route' };
  const path = normalisePath(pathOf(question.url), policyOf(listener, runtime));
  if (path === null) return { listener, ...NOWHERE, failure: 'bad-request' };
  const flow = new AskedRequest(question, url, path);
  const match = createRouteMatch();
  if (runtime.routers.get(listener)?.match(flow, match) !== true) {
    return { listener, ...NOWHERE, failure: match.refusal ?? 'no-route' };
  }
  return { listener, ...describe(match, flow, runtime) };
}

/** The listener whose port the URL names; a URL without a port belongs to the first listener of its scheme. */
function listenerFor(url: URL, runtime: Runtime, ports: ReadonlyMap<string, number>): string | null {
  const speaking = runtime.snapshot.listeners.filter(
    ({ protocol }) => protocol === 'http' || protocol === 'https',
  );
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  const byPort = speaking.find(({ name }) => ports.get(name) === port);
  if (byPort !== undefined) return byPort.name;
  return url.port === ''
    ? (speaking.find(({ protocol }) => `${protocol}:` === url.protocol)?.name ?? null)
    : null;
}

/** The path as it was written: `URL` would resolve the dot segments that the policy has to judge. */
function pathOf(url: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*([^?#]*)/i.exec(url)?.[1] || '/';
}

function policyOf(listener: string, runtime: Runtime): PathPolicy {
  return runtime.snapshot.listeners.find(({ name }) => name === listener)!.paths;
}

function describe(match: RouteMatch, flow: AskedRequest, runtime: Runtime): Omit<RoutedRequest, 'listener'> {
  const rule = match.rule!;
  flow.captures = Object.fromEntries(
    rule.captureNames.map((name, index) => [name, match.captures[index] ?? '']),
  );
  const pools = poolsOf(rule.action, match.captures).map(({ pool: index, weight }) => {
    const pool = runtime.pools[index]!;
    const pick = pool.picker.pick(pool.hashOf(flow), []);
    return { name: pool.name, weight, pick: pick === undefined ? null : pick.identity };
  });
  return {
    route: rule.route.name,
    rule: rule.label,
    captures: flow.captures,
    action: rule.action.kind,
    pools,
    failure: failureOf(rule.action, pools),
  };
}

function poolsOf(
  action: CompiledAction,
  captures: readonly string[],
): readonly { readonly pool: number; readonly weight: number }[] {
  if (action.kind === 'pools') {
    const { pools, upTo } = action.weighted;
    return pools.map((pool, index) => ({ pool, weight: upTo[index]! - (upTo[index - 1] ?? 0) }));
  }
  if (action.kind !== 'service') return [];
  const pool = serviceEnvironment(action.service, captures);
  return pool === NO_POOL ? [] : [{ pool, weight: 1 }];
}

function failureOf(action: CompiledAction, pools: RoutedRequest['pools']): FailureCode | null {
  if (action.kind === 'redirect' || action.kind === 'respond') return null;
  if (pools.length === 0) return action.kind === 'service' ? 'no-environment' : 'no-target';
  return pools.every(({ pick }) => pick === null) ? 'no-target' : null;
}

/** A request that nobody sent. */
class AskedRequest implements FlowFacts {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;
  readonly clientAddress = '127.0.0.1';
  captures: Readonly<Record<string, string>> = {};
  readonly #headers: ReadonlyMap<string, string>;

  constructor(question: RouteQuestion, url: URL, path: string) {
    this.method = question.method;
    this.#headers = new Map(question.headers.map(({ name, value }) => [name.toLowerCase(), value]));
    const host = this.#headers.get('host') ?? url.hostname;
    this.host = host.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '');
    this.path = path;
    this.query = url.search.slice(1);
  }

  header(name: string): string | undefined {
    return this.#headers.get(name);
  }

  capture(name: string): string | undefined {
    return Object.hasOwn(this.captures, name) ? this.captures[name] : undefined;
  }
}
