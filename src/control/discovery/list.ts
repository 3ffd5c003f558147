// A consistent, paged list of one kind and scope, taken whole or not at all.

import { type ApiClient, readAll } from './api-client.ts';
import { type Clock, Deadline } from './clock.ts';
import { DiscoveryFailure } from './failure.ts';
import { isExpired, isJsonObject, parseJsonObject, readApiStatus } from './json.ts';
import { type AnyFact, collectionPath, isOfKind, type Kind } from './kinds.ts';
import { objectKey, type Projection } from './project.ts';

export interface ListOptions {
  readonly api: ApiClient;
  readonly clock: Clock;
  readonly kind: Kind<AnyFact>;
  /** Null lists the whole cluster. */
  readonly namespace: string | null;
  /** Null selects every object. */
  readonly fieldSelector: string | null;
  /** Objects asked for in one page. */
  readonly pageSize: number;
  /** For one page, from request to last byte. */
  readonly pageTimeoutMs: number;
  readonly pageLimitBytes: number;
  /** Of all pages together: those without end must not fill the memory. */
  readonly objectLimit: number;
  readonly signal: AbortSignal;
}

export interface ObjectList {
  /** Where a watch goes on from. */
  readonly resourceVersion: string;
  /**
   * What each object comes to, by key, in the server's order. Projected page by page: thousands of whole nodes at once
   * would be a hundred times what is kept of them.
   */
  readonly objects: ReadonlyMap<string, Projection<AnyFact>>;
}

interface Page {
  readonly items: readonly unknown[];
  readonly resourceVersion: string;
  readonly continueToken: string;
}

/**
 * Lists without a resourceVersion, hence the most recent state, and follows `continue` tokens, which pin all pages to
 * that state (https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks).
 * When a token expires the list is begun again in one piece: a list that outlived its token once would do it again.
 */
export async function listObjects(options: ListOptions): Promise<ObjectList> {
  const objects = new Map<string, Projection<AnyFact>>();
  const tokens = new Set<string>();
  let pageSize = options.pageSize;
  let resourceVersion = '';
  let continueToken = '';
  for (;;) {
    let page: Page;
    try {
      page = await fetchPage(options, pageSize, continueToken);
    } catch (error) {
      const expiredToken =
        continueToken !== '' && error instanceof DiscoveryFailure && error.reason === 'expired';
      if (!expiredToken) throw error;
      objects.clear();
      tokens.clear();
      pageSize = 0;
      resourceVersion = '';
      continueToken = '';
      continue;
    }
    if (resourceVersion !== '' && page.resourceVersion !== resourceVersion) {
      throw badList('its pages are of different resourceVersions');
    }
    resourceVersion = page.resourceVersion;
    for (const item of page.items) collect(options, item, objects);
    if (objects.size > options.objectLimit)
      throw badList(`it holds more than ${options.objectLimit} objects`);
    continueToken = page.continueToken;
    if (continueToken === '') return { resourceVersion, objects };
    // A token that comes back would make the list endless.
    if (tokens.has(continueToken)) throw badList('it repeats a continue token');
    tokens.add(continueToken);
  }
}

async function fetchPage(options: ListOptions, pageSize: number, continueToken: string): Promise<Page> {
  const { api, clock, kind, namespace, fieldSelector } = options;
  const query = new URLSearchParams();
  if (fieldSelector !== null) query.set('fieldSelector', fieldSelector);
  if (pageSize > 0) query.set('limit', String(pageSize));
  if (continueToken !== '') query.set('continue', continueToken);
  const text = query.toString();
  const path = collectionPath(kind, namespace) + (text === '' ? '' : `?${text}`);
  const deadline = new Deadline(clock, options.signal);
  deadline.restart(options.pageTimeoutMs);
  try {
    const body = await api.get(path, deadline.signal);
    const bytes = await readAll(body, options.pageLimitBytes);
    return readPage(api, kind, bytes);
  } catch (error) {
    if (deadline.expired) {
      throw new DiscoveryFailure('timeout', `no whole list page within ${options.pageTimeoutMs} ms`);
    }
    throw error;
  } finally {
    deadline.dispose();
  }
}

function readPage(api: ApiClient, kind: Kind<AnyFact>, bytes: Uint8Array): Page {
  const list = parseJsonObject(bytes);
  if (list === undefined) throw badList('it is not a JSON object');
  if (list['kind'] === 'Status') {
    const status = readApiStatus(list);
    if (isExpired(status))
      throw new DiscoveryFailure('expired', `the list has expired: ${api.redact(status.message)}`);
    throw badList('it is a Status');
  }
  if (list['kind'] !== `${kind.kind}List` || list['apiVersion'] !== kind.apiVersion) {
    throw badList(`it is not a ${kind.apiVersion} ${kind.kind}List`);
  }
  const metadata = list['metadata'];
  if (!isJsonObject(metadata)) throw badList('it has no metadata');
  const resourceVersion = metadata['resourceVersion'];
  if (typeof resourceVersion !== 'string' || resourceVersion === '') {
    throw badList('it has no resourceVersion');
  }
  const items = list['items'];
  if (!Array.isArray(items)) throw badList('it has no items');
  const continueToken = metadata['continue'] ?? '';
  if (typeof continueToken !== 'string') throw badList('its continue token is no string');
  const remaining = metadata['remainingItemCount'];
  if (continueToken === '' && typeof remaining === 'number' && remaining > 0) {
    throw badList('it says that items remain but not how to get them');
  }
  return { items, resourceVersion, continueToken };
}

/** An item that cannot be told from another makes the list useless: its absence would look like a removal. */
function collect(options: ListOptions, item: unknown, objects: Map<string, Projection<AnyFact>>): void {
  const key = objectKey(item, options.namespace);
  if (key === undefined || !isJsonObject(item) || !isOfKind(options.kind, item)) {
    throw badList('an item has no identity or is of another kind');
  }
  if (objects.has(key)) throw badList('it holds an object twice');
  objects.set(key, options.kind.project(item));
}

function badList(why: string): DiscoveryFailure {
  return new DiscoveryFailure('bad-list', `the list cannot be used: ${why}`);
}
