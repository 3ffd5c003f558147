// One watch: the events of a kind of object after a version, as lines of JSON, with bookmarks.

import type { ServerResponse } from 'node:http';
import type { ResourceKind } from './discovery.ts';
import type { KubeObject } from './kube-object.ts';
import type { ObjectStore, StoreEvent } from './object-store.ts';
import type { Selects } from './selector.ts';
import { expired } from './status.ts';

export interface WatchRequest {
  readonly kind: ResourceKind;
  readonly namespace: string | undefined;
  readonly selects: Selects;
  /** Null or `0`: everything there is comes first, as additions. */
  readonly resourceVersion: string | null;
  readonly bookmarks: boolean;
  readonly timeoutMs: number;
}

/** A client that does not read is cut off at this many unsent bytes. */
const BACKLOG_LIMIT = 4 * 1024 * 1024;

/** Streams until the timeout, the client's leave or `abort`; never throws. */
export function streamWatch(
  store: ObjectStore,
  request: WatchRequest,
  response: ServerResponse,
  bookmarkMs: number,
  abort: AbortSignal,
): void {
  const { kind, namespace, selects } = request;
  const wanted = (object: KubeObject): boolean =>
    (namespace === undefined || object.metadata.namespace === namespace) && selects(object);
  const write = (type: string, object: unknown): void => {
    response.write(`${JSON.stringify({ type, object })}\n`);
    if (response.writableLength > BACKLOG_LIMIT) response.destroy();
  };
  const forward = (event: StoreEvent): void => {
    if (event.resource === kind.resource && wanted(event.object)) write(event.type, event.object);
  };

  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  const fresh =
    request.resourceVersion === null || request.resourceVersion === '' || request.resourceVersion === '0';
  const past = fresh ? null : store.since(kind.resource, Number(request.resourceVersion));
  if (!fresh && past === null) {
    // A watch reports this in the stream, not by the status of the response.
    write('ERROR', expired(`too old resource version: ${request.resourceVersion} (${store.version})`));
    response.end();
    return;
  }
  if (fresh)
    for (const object of store.list(kind.resource, namespace)) if (selects(object)) write('ADDED', object);
  for (const event of past ?? []) forward(event);
  const unsubscribe = store.subscribe(forward);

  const bookmark = (): void => {
    const metadata = { resourceVersion: String(store.version), creationTimestamp: null };
    if (request.bookmarks) write('BOOKMARK', { kind: kind.kind, apiVersion: kind.apiVersion, metadata });
  };
  const bookmarks = setInterval(bookmark, bookmarkMs);
  const end = (): void => {
    bookmark();
    response.end();
  };
  const timeout = setTimeout(end, request.timeoutMs);
  const cut = (): void => {
    response.destroy();
  };
  abort.addEventListener('abort', cut, { once: true });
  response.once('close', () => {
    clearInterval(bookmarks);
    clearTimeout(timeout);
    abort.removeEventListener('abort', cut);
    unsubscribe();
  });
}
