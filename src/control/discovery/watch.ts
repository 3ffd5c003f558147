// One watch request from its start to its end: bytes to events, with a limit on silence.

import type { ApiClient } from './api-client.ts';
import { type Clock, Deadline } from './clock.ts';
import { DiscoveryFailure, errorCode } from './failure.ts';
import { isExpired, isJsonObject, type JsonObject, parseJsonObject, readApiStatus } from './json.ts';
import { type AnyFact, collectionPath, isOfKind, type Kind } from './kinds.ts';
import { LineSplitter } from './line-splitter.ts';
import { objectKey } from './project.ts';

export type WatchEvent =
  | {
      readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
      readonly key: string;
      readonly object: JsonObject;
      readonly resourceVersion: string;
    }
  /** Carries nothing but how far the watch has come. */
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

export interface WatchOptions {
  readonly api: ApiClient;
  readonly clock: Clock;
  readonly kind: Kind<AnyFact>;
  readonly namespace: string | null;
  readonly fieldSelector: string | null;
  readonly resourceVersion: string;
  /** What the server is asked to end the watch after, seconds. */
  readonly timeoutSeconds: number;
  /** Longest wait for the answer's head. */
  readonly headTimeoutMs: number;
  /** Longest silence between two lines; must exceed the bookmark cadence of about a minute. */
  readonly inactivityMs: number;
  readonly lineLimitBytes: number;
  readonly signal: AbortSignal;
  readonly onOpen: () => void;
  readonly onEvent: (event: WatchEvent) => void;
}

/**
 * Returns when the server ended the watch in order; throws a `DiscoveryFailure` for every other end.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
export async function runWatch(options: WatchOptions): Promise<void> {
  const { clock, headTimeoutMs, inactivityMs } = options;
  const deadline = new Deadline(clock, options.signal);
  const splitter = new LineSplitter(options.lineLimitBytes);
  let open = false;
  deadline.restart(headTimeoutMs);
  try {
    const body = await options.api.get(watchPath(options), deadline.signal);
    open = true;
    deadline.restart(inactivityMs);
    options.onOpen();
    for await (const chunk of body) {
      splitter.push(chunk, (line) => {
        if (line.length === 0) return;
        // Only a whole line proves life: a peer that drips bytes or empty lines without end is as good as silent.
        deadline.restart(inactivityMs);
        options.onEvent(readEvent(options, line));
      });
    }
  } catch (error) {
    if (deadline.expired) {
      throw open
        ? new DiscoveryFailure('inactive', `nothing was heard for ${inactivityMs} ms`)
        : new DiscoveryFailure('timeout', `no answer within ${headTimeoutMs} ms`);
    }
    if (error instanceof DiscoveryFailure) throw error;
    if (!open) throw error;
    throw new DiscoveryFailure('connection', `the watch broke off (${errorCode(error)})`);
  } finally {
    deadline.dispose();
  }
  // The last whole event counts, so the next watch asks for the cut one again.
  if (splitter.pendingBytes > 0) throw new DiscoveryFailure('connection', 'the watch broke off in a line');
}

function watchPath(options: WatchOptions): string {
  const query = new URLSearchParams({
    watch: 'true',
    resourceVersion: options.resourceVersion,
    allowWatchBookmarks: 'true',
    timeoutSeconds: String(options.timeoutSeconds),
  });
  if (options.fieldSelector !== null) query.set('fieldSelector', options.fieldSelector);
  return `${collectionPath(options.kind, options.namespace)}?${query}`;
}

function readEvent(options: WatchOptions, line: Uint8Array): WatchEvent {
  const event = parseJsonObject(line);
  const object = event?.['object'];
  if (event === undefined || !isJsonObject(object)) throw badLine('it is not an event in JSON');
  const type = event['type'];
  if (type === 'ERROR') throw streamError(options.api, object);
  if (object['kind'] !== options.kind.kind || !isOfKind(options.kind, object)) {
    throw badLine('its object is of another kind');
  }
  const resourceVersion = isJsonObject(object['metadata'])
    ? object['metadata']['resourceVersion']
    : undefined;
  if (typeof resourceVersion !== 'string' || resourceVersion === '') {
    throw badLine('its object has no resourceVersion');
  }
  if (type === 'BOOKMARK') return { type, resourceVersion };
  const key = objectKey(object, options.namespace);
  if (key === undefined) throw badLine('its object has no identity');
  if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED') throw badLine('its type is unknown');
  return { type, key, object, resourceVersion };
}

function streamError(api: ApiClient, object: JsonObject): DiscoveryFailure {
  const status = readApiStatus(object);
  const retryAfterMs = status.retryAfterSeconds === null ? null : status.retryAfterSeconds * 1000;
  const message = `the watch reported an error ${status.code} ${status.reason}: ${api.redact(status.message)}`;
  if (isExpired(status)) return new DiscoveryFailure('expired', message);
  if (status.code === 429) return new DiscoveryFailure('throttled', message, retryAfterMs);
  return new DiscoveryFailure('stream-error', message, retryAfterMs);
}

function badLine(why: string): DiscoveryFailure {
  return new DiscoveryFailure('bad-line', `a watch line cannot be used: ${why}`);
}
