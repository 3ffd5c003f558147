// The stand-in API: paging, watches, expiry, patches and tables, as clients of the real one rely on them.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type ApiServer, startApiServer } from '../../src/demo/api/api-server.ts';
import type { Json, JsonObject } from '../../src/demo/api/kube-object.ts';
import { ObjectStore } from '../../src/demo/api/object-store.ts';
import { jsonPatch, mergePatch } from '../../src/demo/api/patch.ts';
import { nodeObject } from '../../src/demo/objects.ts';

let uids = 0;
let store: ObjectStore;
let api: ApiServer;

before(async () => {
  store = new ObjectStore({ uid: () => `uid-${++uids}`, now: () => 0, history: 50 });
  api = await startApiServer({ store, now: () => 60_000, bookmarkMs: 20 });
  for (let i = 1; i <= 5; i++) store.put('nodes', nodeObject(`node-${i}`, `10.0.0.${i}`));
});

after(() => api.close());

interface Document extends JsonObject {
  readonly items: readonly { readonly metadata: { readonly name: string } }[];
  readonly metadata: {
    readonly resourceVersion: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
}

async function get(path: string, headers: Record<string, string> = {}): Promise<[number, Document]> {
  const response = await fetch(`${api.url}${path}`, { headers });
  return [response.status, (await response.json()) as Document];
}

async function patch(path: string, type: string, body: Json): Promise<[number, JsonObject]> {
  const response = await fetch(`${api.url}${path}`, {
    method: 'PATCH',
    headers: { 'content-type': type },
    body: JSON.stringify(body),
  });
  return [response.status, (await response.json()) as JsonObject];
}

interface Event {
  readonly type: string;
  readonly object: {
    readonly metadata: { readonly name?: string; readonly resourceVersion: string };
    readonly code?: number;
  };
}

/** The first events of a watch, as many as asked for; leaves the watch then. */
async function watch(query: string, count: number, onOpen: () => void = () => {}): Promise<readonly Event[]> {
  const abort = new AbortController();
  const response = await fetch(`${api.url}/api/v1/nodes?watch=true&${query}`, { signal: abort.signal });
  onOpen();
  const events: Event[] = [];
  let text = '';
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString();
    const lines = text.split('\n');
    text = lines.pop() as string;
    for (const line of lines) events.push(JSON.parse(line) as Event);
    if (events.length >= count) break;
  }
  abort.abort();
  return events.slice(0, count);
}

const names = (document: Document) => document.items.map(({ metadata }) => metadata.name);

describe('list', () => {
  it('comes in pages that all show one version, whatever happens between them', async () => {
    const [, one] = await get('/api/v1/nodes?limit=2');
    assert.deepEqual([names(one), one.metadata.remainingItemCount], [['node-1', 'node-2'], 3]);
    store.put('nodes', nodeObject('node-0', '10.0.0.9'));
    const [, two] = await get(`/api/v1/nodes?limit=2&continue=${one.metadata.continue}`);
    const [, three] = await get(`/api/v1/nodes?limit=2&continue=${two.metadata.continue}`);
    assert.deepEqual([names(two), names(three)], [['node-3', 'node-4'], ['node-5']]);
    assert.equal(three.metadata.resourceVersion, one.metadata.resourceVersion);
    assert.equal(three.metadata.continue, undefined);
    store.remove('nodes', undefined, 'node-0');
  });

  it('answers 410 to a page that it no longer has', async () => {
    const [status, body] = await get('/api/v1/nodes?limit=2&continue=page-999');
    assert.deepEqual([status, body['reason']], [410, 'Expired']);
  });

  it('knows selectors by label and by name', async () => {
    const [, byName] = await get('/api/v1/nodes?fieldSelector=metadata.name%3Dnode-3');
    const [, byLabel] = await get('/api/v1/nodes?labelSelector=kubernetes.io/hostname!%3Dnode-3,pool,!x');
    assert.deepEqual([names(byName), names(byLabel).length], [['node-3'], 4]);
    assert.equal((await get('/api/v1/nodes?labelSelector=a+in+(b)'))[0], 400);
  });

  it('comes as a table to kubectl', async () => {
    const [, table] = await get('/api/v1/nodes', { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
    const rows = table['rows'] as readonly { readonly cells: readonly string[] }[];
    assert.deepEqual(rows[0]?.cells.slice(0, 4), ['node-1', 'Ready', '<none>', '60s']);
  });
});

describe('watch', () => {
  it('carries on from a version without a gap and sends bookmarks', async () => {
    const since = store.version;
    store.put('nodes', nodeObject('node-6', '10.0.0.6'));
    const events = await watch(`resourceVersion=${since}&allowWatchBookmarks=true`, 4, () => {
      store.put('nodes', nodeObject('node-6', '10.0.0.66'));
      store.remove('nodes', undefined, 'node-6');
    });
    assert.deepEqual(
      events.map(({ type }) => type),
      ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'],
    );
    assert.equal(events[3]?.object.metadata.resourceVersion, String(store.version));
  });

  it('without a version begins with everything there is', async () => {
    const events = await watch('', 5);
    assert.deepEqual(
      events.map(({ type, object }) => `${type} ${object.metadata.name}`),
      [1, 2, 3, 4, 5].map((i) => `ADDED node-${i}`),
    );
  });

  it('reports a version that is too old in the stream, with code 410', async () => {
    const since = store.version;
    store.put('nodes', nodeObject('node-7', '10.0.0.7'));
    store.compact();
    store.remove('nodes', undefined, 'node-7');
    const events = await watch(`resourceVersion=${since}`, 1);
    assert.deepEqual([events[0]?.type, events[0]?.object.code], ['ERROR', 410]);
  });

  it('ends by itself when the time that was asked for is over', async () => {
    const response = await fetch(
      `${api.url}/api/v1/nodes?watch=true&timeoutSeconds=1&resourceVersion=${store.version}`,
    );
    assert.equal(await response.text(), '');
  });

  it('forgets the oldest events when there are too many', async () => {
    const since = store.version;
    for (let i = 0; i < 60; i++) store.put('nodes', nodeObject('node-8', `10.0.1.${i}`));
    assert.equal(store.since('nodes', since), null);
    assert.equal(store.since('nodes', store.version - 10)?.length, 10);
    store.remove('nodes', undefined, 'node-8');
  });
});

describe('patch', () => {
  it('merges, keeps what identifies the object and raises its version', async () => {
    const body = {
      metadata: { labels: { a: 'b', pool: null }, uid: 'x', name: 'other' },
      spec: { unschedulable: true },
    };
    const old = Number(store.get('nodes', undefined, 'node-2')?.metadata.resourceVersion);
    const [status] = await patch('/api/v1/nodes/node-2', 'application/strategic-merge-patch+json', body);
    const node = store.get('nodes', undefined, 'node-2');
    assert.equal(status, 200);
    assert.deepEqual(node?.metadata.labels, { 'kubernetes.io/hostname': 'node-2', a: 'b' });
    assert.equal(node?.metadata.uid, 'uid-2');
    assert.ok(Number(node?.metadata.resourceVersion) > old);
  });

  it('that changes nothing is no event', async () => {
    const version = store.version;
    await patch('/api/v1/nodes/node-3', 'application/merge-patch+json', {
      metadata: { labels: { pool: 'web' } },
    });
    assert.equal(store.version, version);
  });

  it('answers 400, 404 and 415 to what cannot be done, and changes nothing', async () => {
    const merge = 'application/merge-patch+json';
    const version = store.version;
    const step = [{ op: 'remove', path: '/metadata/labels/none' }];
    assert.equal((await patch('/api/v1/nodes/node-3', 'application/json-patch+json', step))[0], 400);
    assert.equal((await patch('/api/v1/nodes/node-3', merge, 5))[0], 400);
    assert.equal((await patch('/api/v1/nodes/none', merge, {}))[0], 404);
    assert.equal((await patch('/api/v1/nodes/node-3', 'application/apply-patch+yaml', {}))[0], 415);
    assert.equal((await patch('/api/v1/pods/none', merge, {}))[0], 404);
    assert.equal(store.version, version);
  });

  it('follows RFC 7396 and RFC 6902, and takes __proto__ for a name like any other', () => {
    assert.deepEqual(mergePatch({ a: 1, b: { c: 2 } }, { a: null, b: { d: [3] } }), { b: { c: 2, d: [3] } });
    const hostile = mergePatch({}, JSON.parse('{"__proto__": {"polluted": true}}') as Json);
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
    assert.deepEqual(Object.keys(hostile as object), ['__proto__']);
    const target = { 'a/b': [1, 3], c: 1 };
    const steps = [
      { op: 'test', path: '/c', value: 1 },
      { op: 'add', path: '/a~1b/1', value: 2 },
      { op: 'add', path: '/a~1b/-', value: 4 },
      { op: 'remove', path: '/a~1b/0' },
      { op: 'replace', path: '/c', value: 5 },
    ];
    assert.deepEqual(jsonPatch(target, steps), { 'a/b': [2, 3, 4], c: 5 });
    assert.throws(() => jsonPatch(target, [{ op: 'test', path: '/c', value: 2 }]));
    assert.throws(() => jsonPatch(target, [{ op: 'replace', path: '/a~1b/7', value: 2 }]));
  });
});

describe('access', () => {
  it('is for programs on this machine: no page of a browser gets in, not by a rebound name either', async () => {
    assert.equal((await get('/api/v1/nodes', { origin: 'http://evil.test' }))[0], 403);
    const { request } = await import('node:http');
    const status = await new Promise((resolve, reject) => {
      request(`${api.url}/api/v1/nodes`, { headers: { host: 'evil.test' } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    assert.equal(status, 403);
  });
});
