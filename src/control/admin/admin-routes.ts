// The table of admin calls: method, path, whether it changes anything, and how it is answered.

import type { HeaderValue } from '../../model/route-config.ts';
import { REASON_CODES, TARGET_STATES } from '../../model/targets.ts';
import { METRICS_CONTENT_TYPE } from '../../telemetry/metrics-text.ts';
import type { AdminSource, DrainOutcome, DrainSubject, ExplainQuery } from './admin-source.ts';
import { redactSnapshot } from './redact.ts';

export interface AdminAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface AdminCall {
  readonly query: URLSearchParams;
  /** The parsed JSON body of a changing call; null when there was none. */
  readonly body: unknown;
  /** Aborted when the client has left, or has its answer. */
  readonly left: AbortSignal;
}

export interface AdminRoute {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Changing calls need the token unless they are local. */
  readonly changes: boolean;
  /** One sentence for the list at `/`. */
  readonly about: string;
  answer(source: AdminSource, call: AdminCall): AdminAnswer | Promise<AdminAnswer>;
}

const json = (status: number, value: unknown): AdminAnswer => ({
  status,
  contentType: 'application/json; charset=utf-8',
  body: `${JSON.stringify(value)}\n`,
});

/** An error answer: `{"error":{"code","text"}}`. */
export const errorAnswer = (status: number, code: string, text: string): AdminAnswer =>
  json(status, { error: { code, text } });

/** Rows in one answer of `/targets`; some 6 MB. */
const TARGETS_LIMIT = 10_000;

const isOneOf = (known: readonly string[], value: string): boolean => known.includes(value);

const badQuery = (text: string): AdminAnswer => errorAnswer(400, 'bad-query', text);

const isServiceName = (text: string): boolean => /^[^/]+\/[^/]+$/.test(text);
const SERVICE_WANTED = 'A service is named namespace/name.';

/** The query parameters when all are known and none comes twice, otherwise the refusal: a misspelt filter must not pass as none. */
function parameters<const N extends readonly string[]>(
  query: URLSearchParams,
  names: N,
): { readonly values: Readonly<Record<N[number], string | null>> } | { readonly refused: AdminAnswer } {
  const values = Object.fromEntries(names.map((name) => [name, null])) as Record<string, string | null>;
  for (const [name, value] of query) {
    if (!Object.hasOwn(values, name)) {
      return { refused: badQuery(`Unknown parameter ${name}; known: ${names.join(', ') || 'none'}.`) };
    }
    if (values[name] !== null) return { refused: badQuery(`Parameter ${name} comes twice.`) };
    values[name] = value;
  }
  return { values: values as Readonly<Record<N[number], string | null>> };
}

/** Names of a cluster and, unless the whole of it is meant, a node; null when they are not given rightly. */
function drainSubject(value: unknown): DrainSubject | null {
  if (typeof value !== 'object' || value === null) return null;
  const { cluster, node = null, ...others } = value as Readonly<Record<string, unknown>>;
  // A misspelt node must not become the drain of a cluster.
  if (Object.keys(others).length > 0 || typeof cluster !== 'string' || cluster === '') return null;
  if (node === null) return { cluster, node };
  return typeof node === 'string' && node !== '' ? { cluster, node } : null;
}

const SUBJECT_WANTED =
  'Give the names of a cluster and a node, {"cluster":"iad","node":"worker-1"}, or of a whole cluster, {"cluster":"iad"}.';

async function change(
  call: AdminCall,
  make: (subject: DrainSubject) => Promise<DrainOutcome>,
): Promise<AdminAnswer> {
  const subject = drainSubject(call.body);
  if (subject === null) return errorAnswer(400, 'bad-body', SUBJECT_WANTED);
  const outcome = await make(subject);
  return outcome.found ? json(200, { ...subject, ...outcome, found: undefined }) : unknownSubject(subject);
}

const unknownSubject = ({ cluster, node }: DrainSubject): AdminAnswer =>
  node === null
    ? errorAnswer(404, 'unknown-cluster', `There is no cluster ${cluster}.`)
    : errorAnswer(404, 'unknown-node', `Cluster ${cluster} has no node ${node}.`);

/** Seconds that a barrier may hold its answer back. */
const MAX_WAIT_S = 300;

function headerValues(texts: readonly string[]): readonly HeaderValue[] | null {
  const headers: HeaderValue[] = [];
  for (const text of texts) {
    const colon = text.indexOf(':');
    if (colon < 1) return null;
    headers.push({ name: text.slice(0, colon).trim().toLowerCase(), value: text.slice(colon + 1).trim() });
  }
  return headers;
}

function explainQuery(query: URLSearchParams): ExplainQuery | AdminAnswer {
  const single = new URLSearchParams(query);
  single.delete('header');
  const read = parameters(single, ['node', 'service', 'url', 'cluster', 'method']);
  if ('refused' in read) return read.refused;
  const { node, service, url, cluster, method } = read.values;
  const asked = [node, service, url].filter((value) => value !== null);
  if (asked.length !== 1 || asked[0] === '') {
    return badQuery('Give exactly one of node, service and url.');
  }
  if (url === null && (method !== null || query.has('header'))) {
    return badQuery('The parameters method and header belong to url.');
  }
  if (node !== null) return { kind: 'node', node, cluster };
  if (service !== null) {
    if (!isServiceName(service)) return badQuery(SERVICE_WANTED);
    return { kind: 'service', service, cluster };
  }
  if (cluster !== null) return badQuery('The parameter cluster belongs to node and service.');
  if (url === null || !URL.canParse(url) || !/^https?:/i.test(url)) {
    return badQuery('The url must be absolute, with http or https.');
  }
  const headers = headerValues(query.getAll('header'));
  if (headers === null) return badQuery('A header is given as name:value.');
  return { kind: 'url', url, method: method ?? 'GET', headers };
}

export const ADMIN_ROUTES: readonly AdminRoute[] = [
  {
    method: 'GET',
    path: '/live',
    changes: false,
    about: 'Whether the controller answers.',
    answer: () => json(200, { live: true }),
  },
  {
    method: 'GET',
    path: '/ready',
    changes: false,
    about: 'Whether traffic may be sent here: 200, or 503 with the reasons.',
    answer: (source) => {
      const { ready, reasons } = source.readiness();
      return json(ready ? 200 : 503, { ready, reasons });
    },
  },
  {
    method: 'GET',
    path: '/metrics',
    changes: false,
    about: 'Metrics for Prometheus.',
    answer: async (source) => ({
      status: 200,
      contentType: METRICS_CONTENT_TYPE,
      body: await source.metrics(),
    }),
  },
  {
    method: 'GET',
    path: '/status',
    changes: false,
    about: 'Versions, configuration, clusters and workers.',
    answer: (source) => json(200, source.status()),
  },
  {
    method: 'GET',
    path: '/snapshot',
    changes: false,
    about: 'The snapshot that the workers serve, without secrets.',
    answer: (source) => {
      const snapshot = source.snapshot();
      return snapshot === null
        ? errorAnswer(503, 'no-snapshot', 'No snapshot has been made yet.')
        : json(200, redactSnapshot(snapshot));
    },
  },
  {
    method: 'GET',
    path: '/targets',
    changes: false,
    about:
      'Every target with state and reasons; filters: pool, cluster, node, service, state, reason; limit.',
    answer: (source, { query }) => {
      const read = parameters(query, ['pool', 'cluster', 'node', 'service', 'state', 'reason', 'limit']);
      if ('refused' in read) return read.refused;
      const { limit: limitText, ...filter } = read.values;
      const { pool, cluster, service, state, reason } = filter;
      const limit = limitText === null ? TARGETS_LIMIT : Number(limitText);
      if (!Number.isInteger(limit) || limit < 1 || limit > TARGETS_LIMIT) {
        return badQuery(`The limit is a whole number from 1 to ${TARGETS_LIMIT}.`);
      }
      if (state !== null && !isOneOf(TARGET_STATES, state)) {
        return badQuery(`Unknown state ${state}; known: ${TARGET_STATES.join(', ')}.`);
      }
      if (reason !== null && !isOneOf(REASON_CODES, reason)) {
        return badQuery(`Unknown reason ${reason}; docs/targets.md lists them.`);
      }
      if (pool !== null && !source.hasPool(pool)) {
        return errorAnswer(404, 'unknown-pool', `There is no pool ${pool}.`);
      }
      if (cluster !== null && !source.status().clusters.some(({ name }) => name === cluster)) {
        return unknownSubject({ cluster, node: null });
      }
      if (service !== null && !isServiceName(service)) return badQuery(SERVICE_WANTED);
      const targets = source.targets(filter, limit + 1);
      return json(200, { targets: targets.slice(0, limit), truncated: targets.length > limit });
    },
  },
  {
    method: 'GET',
    path: '/tables',
    changes: false,
    about: 'The checksum of the hash table of every pool that has one, to compare between several Porticos.',
    answer: async (source) => json(200, { tables: await source.tables() }),
  },
  {
    method: 'GET',
    path: '/explain',
    changes: false,
    about:
      'Why a node or service is in or out, or which way a request takes: node, service or url (method, header).',
    answer: async (source, { query }) => {
      const asked = explainQuery(query);
      if ('status' in asked) return asked;
      const explanation = await source.explain(asked);
      return explanation === null
        ? errorAnswer(404, 'unknown', `Nothing is known of this ${asked.kind}.`)
        : json(200, explanation);
    },
  },
  {
    method: 'GET',
    path: '/drained',
    changes: false,
    about:
      'Whether nothing is left on a node or cluster: 200, or 409; parameters cluster, node, and wait (seconds to wait for it).',
    answer: async (source, { query, left }) => {
      const read = parameters(query, ['cluster', 'node', 'wait']);
      if ('refused' in read) return read.refused;
      const { cluster, node, wait } = read.values;
      const subject = drainSubject({ cluster, node });
      if (subject === null)
        return badQuery('Give the parameter cluster, and node unless the whole cluster is meant.');
      if (wait !== null && !(/^\d{1,3}$/.test(wait) && Number(wait) <= MAX_WAIT_S)) {
        return badQuery(`The parameter wait is a number of seconds, at most ${MAX_WAIT_S}.`);
      }
      const outcome = await source.drained(subject, Number(wait ?? 0) * 1000, left);
      if (!outcome.found) return unknownSubject(subject);
      return json(outcome.drained ? 200 : 409, { ...subject, ...outcome, found: undefined });
    },
  },
  {
    method: 'GET',
    path: '/drains',
    changes: false,
    about: 'The nodes and clusters that operators drain.',
    answer: (source) => json(200, { drains: source.drains() }),
  },
  {
    method: 'POST',
    path: '/reload',
    changes: true,
    about: 'Reads the configuration anew; 422 with the problems when it is refused.',
    answer: async (source) => {
      const outcome = await source.reload();
      return json(outcome.ok ? 200 : 422, outcome);
    },
  },
  {
    method: 'POST',
    path: '/drain',
    changes: true,
    about: 'Starts no new flow on a node, {"cluster","node"}, or on a whole cluster, {"cluster"}.',
    answer: (source, call) => change(call, (subject) => source.drain(subject)),
  },
  {
    method: 'POST',
    path: '/undrain',
    changes: true,
    about: 'Ends the drain of a node or cluster, named as it was drained.',
    answer: (source, call) => change(call, (subject) => source.undrain(subject)),
  },
];
