// The reflector's rules, each by name, against a real HTTP server that lists, watches and misbehaves.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpointSliceKind, serviceKind } from '../../../src/control/discovery/kinds.ts';
import {
  faults,
  type RawObject,
  StandInApi,
  type StandInRequest,
  sendStatus,
  statusObject,
} from '../../support/stand-in-api.ts';
import { eventually, node, service, settle, slice, startReflector } from './world.ts';

const isList = (request: StandInRequest): boolean => !request.watch;
const isWatch = (request: StandInRequest): boolean => request.watch;

async function standIn(context: import('node:test').TestContext): Promise<StandInApi> {
  const api = await StandInApi.start();
  context.after(() => api.close());
  return api;
}

test('a list is paged and all pages make one state', async (t) => {
  const api = await standIn(t);
  for (let index = 0; index < 7; index += 1) api.put('nodes', node(`n${index}`));
  const rig = startReflector(t, api, { tuning: { pageSize: 3 } });
  await eventually(() => rig.reflector.status().synced);
  assert.equal(rig.names().length, 7);
  assert.deepEqual(
    api.lists('nodes').map((list) => list.query.get('limit')),
    ['3', '3', '3'],
  );
  assert.deepEqual(rig.contacts, [true], 'reported once, when it is whole');
});

test('the first list asks for the most recent state, and the watch goes on from its resourceVersion', async (t) => {
  const api = await standIn(t);
  api.put('nodes', node('n1'));
  startReflector(t, api);
  await eventually(() => api.watches('nodes') === 1);
  assert.equal(api.lists('nodes')[0]?.query.get('resourceVersion'), null);
  assert.equal(api.watchRequests('nodes')[0]?.query.get('resourceVersion'), api.version);
});

test('a watch asks for bookmarks and for a random end between 240 and 300 seconds', async (t) => {
  const api = await standIn(t);
  for (const random of [0, 0.5, 0.999999]) startReflector(t, api, { random: () => random });
  await eventually(() => api.watches('nodes') === 3);
  const queries = api.watchRequests('nodes').map((watch) => watch.query);
  assert.ok(queries.every((query) => query.get('allowWatchBookmarks') === 'true'));
  assert.deepEqual(queries.map((query) => Number(query.get('timeoutSeconds'))).sort(), [240, 270, 300]);
});

test('a list that holds more objects than any cluster has is given up', async (t) => {
  const api = await standIn(t);
  for (let index = 0; index < 5; index += 1) api.put('nodes', node(`n${index}`));
  const rig = startReflector(t, api, { tuning: { pageSize: 2, objectLimit: 3 } });
  await eventually(() => rig.reflector.status().state === 'waiting');
  assert.equal(rig.reflector.status().failure?.reason, 'bad-list');
  assert.match(rig.reflector.status().failure!.message, /more than 3 objects/);
  assert.equal(api.lists('nodes').length, 2);
});

test('an expired continue token begins the list again, in one piece', async (t) => {
  const api = await standIn(t);
  for (let index = 0; index < 5; index += 1) api.put('nodes', node(`n${index}`));
  api.expireContinueTokens();
  const rig = startReflector(t, api, { tuning: { pageSize: 2 } });
  await eventually(() => rig.reflector.status().synced);
  assert.equal(rig.names().length, 5);
  assert.deepEqual(
    api.lists('nodes').map((list) => [list.query.get('limit'), list.query.has('continue')]),
    [
      ['2', false],
      ['2', true],
      [null, false],
    ],
  );
  assert.deepEqual(rig.counts.restarts(), [], 'part of one list, not a restart');
});

test('added, modified and deleted objects arrive through the watch', async (t) => {
  const api = await standIn(t);
  api.put('nodes', node('n1'));
  const rig = startReflector(t, api);
  await eventually(() => api.watches('nodes') === 1);
  api.put('nodes', node('n2'));
  await eventually(() => rig.names().length === 2);
  api.put('nodes', node('n1', { spec: { unschedulable: true } }));
  await eventually(() => [...rig.reflector.facts()].some((fact) => fact.unschedulable));
  api.delete('nodes', 'n1');
  await eventually(() => rig.names().length === 1);
  assert.equal(rig.changes(), 4);
  assert.deepEqual(
    rig.counts.of('watch-event').map((labels) => labels.type),
    ['ADDED', 'MODIFIED', 'DELETED'],
  );
});

test('a heartbeat that changes no field used is stored but is no change', async (t) => {
  const api = await standIn(t);
  api.put('nodes', node('n1'));
  const rig = startReflector(t, api);
  await eventually(() => api.watches('nodes') === 1);
  api.put('nodes', node('n1', { status: { nodeInfo: { kubeletVersion: 'v1.36.3' } } }));
  await eventually(() => rig.contacts.length === 2);
  assert.deepEqual(rig.contacts, [true, false]);
  assert.equal([...rig.reflector.facts()][0]?.resourceVersion, api.version);
});

test('a bookmark moves the resourceVersion on, so that a quiet kind does not age out', async (t) => {
  const api = await standIn(t);
  api.put('nodes', node('n1'));
  const rig = startReflector(t, api);
  await eventually(() => api.watches('nodes') === 1);
  api.compact();
  api.sendBookmark();
  await eventually(() => rig.contacts.length === 2);
  api.endWatches();
  await rig.passBackoff();
  await eventually(() => api.watchRequests('nodes').length === 2 && api.watches('nodes') === 1);
  assert.equal(api.watchRequests('nodes')[1]?.query.get('resourceVersion'), api.version);
  assert.equal(api.lists('nodes').length, 1, 'no second list');
});

test('410 as HTTP status lists again and reports only real changes', async (t) => {
  const api = await standIn(t);
  api.put('nodes', node('n1'));
  api.put('nodes', node('n2'));
  const rig = startReflector(t, api);
  await eventually(() => api.watches('nodes') === 1);
  api.compact();
  api.cutWatches();
  await rig.passBackoff();
  await rig.passBackoff();
  await eventually(() => api.lists('nodes').length === 2 && api.watches('nodes') === 1);
  assert.deepEqual(rig.counts.restarts(), ['connection', 'expired']);
  assert.equal(rig.changes(), 1, 'nothing differs, so nothing is reported');
});

test('410 as an error list lists again', async (t) => {
  const api = await standIn(t);
  api.script(isList, faults.body(JSON.stringify(statusObject(410, 'Expired'))));
  const rig = startReflector(t, api);
  await rig.passBackoff();
  await eventually(() => rig.reflector.status().synced);
  assert.deepEqual(rig.counts.restarts(), ['expired']);
});

test('410 inside the stream lists again, and a diff of what was missed is reported', async (t) => {
  const api = await standIn(t);
  for (const name of ['kept', 'changed', 'removed']) api.put('nodes', node(name));
  const rig = startReflector(t, api);
  await eventually(() => api.watches('nodes') === 1);
  api.script(isWatch, faults.streamError(statusObject(410, 'Expired')));
  api.cutWatches();
  await eventually(() => api.watches('nodes') === 0);
  api.put('nodes', node('changed', { spec: { unschedulable: true } }));
  api.put('nodes', node('added'));
  api.delete('nodes', 'removed');
  await rig.passBackoff();
  await rig.passBackoff();
  await eventually(() => rig.changes() === 2);
  assert.deepEqual(rig.counts.restarts(), ['connection', 'expired']);
  assert.deepEqual(rig.names(), ['added', 'changed', 'kept']);
  const diff = rig.lines.map((line) => JSON.parse(line) as RawObject).findLast((line) => line['diff'])?.[
    'diff'
  ];
  assert.deepEqual(diff, { added: 1, changed: 1, removed: 1 });
});

test('what a list leaves out is told apart from what an event ended, until it is listed again', async (t) => {
  const api = await standIn(t);
  for (const name of ['kept', 'ended', 'missed']) api.put('nodes', node(name));
  const rig = startReflector(t, api);
  const unlisted = (): string[] => rig.reflector.unlisted().map(({ name }) => name);
  await eventually(() => api.watches('nodes') === 1);
  api.delete('nodes', 'ended');
  await eventually(() => rig.names().length === 2);
  api.script(isWatch, faults.streamError(statusObject(410, 'Expired')));
  api.cutWatches();
  await eventually(() => api.watches('nodes') === 0);
  api.delete('nodes', 'missed');
  await rig.passBackoff();
  await rig.passBackoff();
  await eventually(() => rig.names().length === 1 && api.watches('nodes') === 1);
  assert.deepEqual(unlisted(), ['missed']);
  assert.equal(rig.counts.of('unlisted').length, 1);
  api.put('nodes', node('missed'));
  await eventually(() => rig.names().length === 2);
  assert.deepEqual(unlisted(), []);
});

test('another error inside the stream is not passed over: it lists again', async (t) => {
  const api = await standIn(t);
  api.put('nodes', node('n1'));
  api.script(isWatch, faults.streamError(statusObject(500, 'InternalError')));
  const rig = startReflector(t, api);
  await rig.passBackoff();
  await eventually(() => api.watches('nodes') === 1);
  assert.deepEqual(rig.counts.restarts(), ['stream-error']);
  assert.equal(api.lists('nodes').length, 2);
});

test('429 inside the stream waits as long as it says and keeps the resourceVersion', async (t) => {
  const api = await standIn(t);
  api.script(isWatch, faults.streamError(statusObject(429, 'TooManyRequests', { retryAfterSeconds: 7 })));
  const rig = startReflector(t, api);
  await eventually(() => rig.reflector.status().state === 'waiting');
  assert.deepEqual(rig.clock.waits, [7_100]);
  rig.clock.advance(7_100);
  await eventually(() => api.watches('nodes') === 1);
  assert.equal(api.lists('nodes').length, 1);
});

test('no Retry-After stops discovery for more than two minutes', async (t) => {
  const api = await standIn(t);
  api.script(
    isWatch,
    faults.streamError(statusObject(429, 'TooManyRequests', { retryAfterSeconds: 3_000_000 })),
  );
  const rig = startReflector(t, api);
  await eventually(() => rig.reflector.status().state === 'waiting');
  assert.deepEqual(rig.clock.waits, [120_100]);
});

test('429 with Retry-After is honoured for lists and watches', async (t) => {
  const api = await standIn(t);
  api.script(isList, faults.status(429, 'TooManyRequests', { 'retry-after': '12' }));
  api.script(isWatch, faults.status(429, 'TooManyRequests', { 'retry-after': '5' }));
  const rig = startReflector(t, api);
  await eventually(() => rig.reflector.status().state === 'waiting');
  assert.deepEqual(rig.clock.waits, [12_100]);
  rig.clock.advance(12_000);
  await settle();
  assert.equal(api.requests.length, 1, 'not a moment sooner');
  rig.clock.advance(100);
  await eventually(() => api.requests.length === 3 && rig.reflector.status().state === 'waiting');
  assert.ok((rig.clock.waits[0] ?? 0) >= 5_000);
  assert.deepEqual(rig.counts.restarts(), ['throttled', 'throttled']);
});

test('a date in Retry-After is understood, and a date far away is bounded', async (t) => {
  const api = await standIn(t);
  const date = new Date(Date.UTC(2030, 0, 1) + 9_000).toUTCString();
  api.script(isList, faults.status(503, 'ServiceUnavailable', { 'retry-after': date }));
  api.script(isList, faults.status(503, 'ServiceUnavailable', { 'retry-after': '86400' }));
  const rig = startReflector(t, api, { random: () => 0 });
  await eventually(() => rig.reflector.status().state === 'waiting');
  assert.deepEqual(rig.clock.waits, [9_000]);
  rig.clock.advance(9_000);
  await eventually(() => api.requests.length === 2 && rig.reflector.status().state === 'waiting');
  assert.deepEqual(rig.clock.waits, [120_000]);
});

test('a silent watch is given up after 90 s, which a bookmark a minute never lets happen', async (t) => {
  const api = await standIn(t);
  api.put('nodes', node('n1'));
  const rig = startReflector(t, api);
  await eventually(() => rig.reflector.status().state === 'watching');
  for (let minute = 1; minute <= 3; minute += 1) {
    rig.clock.advance(60_000);
    api.sendBookmark();
    await eventually(() => rig.contacts.length === 1 + minute);
  }
  assert.deepEqual(rig.counts.restarts(), []);
  rig.clock.advance(90_000);
  await eventually(() => rig.counts.restarts().length === 1);
  assert.deepEqual(rig.counts.restarts(), ['inactive']);
  await rig.passBackoff();
  await eventually(() => api.watchRequests('nodes').length === 2);
  assert.equal(api.lists('nodes').length, 1, 'the resourceVersion is carried over');
});

test('bytes that never become a line do not count as life', async (t) => {
  const api = await standIn(t);
  const rig = startReflector(t, api);
  await eventually(() => rig.reflector.status().state === 'watching');
  rig.clock.advance(89_000);
  api.sendRaw('{"type":"ADD');
  await settle();
  rig.clock.advance(1_000);
  await eventually(() => rig.counts.restarts().includes('inactive'));
});

test('empty lines do not count as life', async (t) => {
  const api = await standIn(t);
  const rig = startReflector(t, api);
  await eventually(() => rig.reflector.status().state === 'watching');
  rig.clock.advance(89_000);
  api.sendRaw('\n\n');
  await settle();
  rig.clock.advance(1_000);
  await eventually(() => rig.counts.restarts().includes('inactive'));
});

test('a list or a watch that never answers is given up', async (t) => {
  const api = await standIn(t);
  api.script(isList, faults.blackHole());
  api.script(isWatch, faults.blackHole());
  const rig = startReflector(t, api);
  await eventually(() => api.requests.length === 1);
  rig.clock.advance(60_000);
  await rig.passBackoff();
  await eventually(() => api.watchRequests('nodes').length === 1);
  rig.clock.advance(30_000);
  await rig.passBackoff();
  await eventually(() => api.watches('nodes') === 1);
  assert.deepEqual(rig.counts.restarts(), ['timeout', 'timeout']);
});

test('back-off doubles up to 30 s with full jitter, and a list alone does not reset it', async (t) => {
  const api = await standIn(t);
  api.script(isWatch, faults.streamError(statusObject(500, 'InternalError')), 100);
  const rig = startReflector(t, api, { random: () => 0.5 });
  const waits: (number | undefined)[] = [];
  for (let round = 0; round < 10; round += 1) {
    await eventually(() => rig.reflector.status().state === 'waiting');
    waits.push(rig.clock.waits[0]);
    await rig.passBackoff();
    await eventually(() => rig.counts.restarts().length === round + 2);
  }
  assert.deepEqual(waits, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000, 15_000]);
});

/** How long it waits after each of its first restarts. */
async function firstWaits(
  rig: ReturnType<typeof startReflector>,
  count: number,
): Promise<readonly (number | undefined)[]> {
  const waits: (number | undefined)[] = [];
  for (let round = 1; round <= count; round += 1) {
    await eventually(() => rig.counts.restarts().length === round);
    await eventually(() => rig.reflector.status().state === 'waiting');
    waits.push(rig.clock.waits[0]);
    await rig.passBackoff();
  }
  return waits;
}

test('the first 410 after an outage lists again at the first step, a row of them backs off', async (t) => {
  const api = await standIn(t);
  api.script(isWatch, faults.hangUp(), 6);
  api.script(isWatch, faults.streamError(statusObject(410, 'Expired')), 3);
  const rig = startReflector(t, api);
  assert.deepEqual(await firstWaits(rig, 9), [100, 200, 400, 800, 1_600, 3_200, 100, 6_400, 12_800]);
});

test('a 410 behind an event each time backs off: no watch has lived in between', async (t) => {
  const api = await standIn(t);
  const bookmark = { kind: 'Node', apiVersion: 'v1', metadata: { resourceVersion: '7' } };
  const lines = [
    { type: 'BOOKMARK', object: bookmark },
    { type: 'ERROR', object: statusObject(410, 'Expired') },
  ].map((line) => `${JSON.stringify(line)}\n`);
  api.script(isWatch, faults.body(lines.join('')), 4);
  const rig = startReflector(t, api);
  assert.deepEqual(await firstWaits(rig, 4), [100, 100, 200, 400]);
});

test('a server that accepts and ends every watch at once is not hammered', async (t) => {
  const api = await standIn(t);
  api.script(isWatch, faults.emptyWatch(), 100);
  const rig = startReflector(t, api);
  assert.deepEqual(await firstWaits(rig, 4), [100, 200, 400, 800]);
});

test('an event, a bookmark or a watch that lived for 10 s resets the back-off', async (t) => {
  const api = await standIn(t);
  api.put('nodes', node('n1'));
  const rig = startReflector(t, api);
  const failTwice = async (): Promise<void> => {
    const before = rig.counts.restarts().length;
    api.script(isWatch, faults.hangUp(), 1);
    api.cutWatches();
    await rig.passBackoff();
    await eventually(() => rig.counts.restarts().length === before + 2);
    await rig.passBackoff();
    await eventually(() => api.watches('nodes') === 1);
  };
  const proofs: (() => Promise<void>)[] = [
    async () => {
      api.put('nodes', node('n1', { spec: { unschedulable: true } }));
      await eventually(() => rig.counts.of('watch-event').length === 1);
    },
    async () => {
      api.sendBookmark();
      await eventually(() => rig.counts.of('watch-event').length === 2);
    },
    async () => {
      await eventually(() => rig.clock.waits.includes(10_000));
      rig.clock.advance(10_000);
    },
  ];
  await eventually(() => api.watches('nodes') === 1);
  for (const prove of proofs) {
    await failTwice();
    await prove();
    api.cutWatches();
    await eventually(() => rig.reflector.status().state === 'waiting');
    assert.deepEqual(rig.clock.waits, [100], 'back at the first step');
    await rig.passBackoff();
    await eventually(() => api.watches('nodes') === 1);
  }
});

test('garbage after an event does not count as proven progress', async (t) => {
  const api = await standIn(t);
  api.put('nodes', node('n1'));
  const rig = startReflector(t, api);
  for (const [round, expected] of [100, 200, 400].entries()) {
    await eventually(() => api.watchRequests('nodes').length === round + 1 && api.watches('nodes') === 1);
    api.put('nodes', node('n1', { metadata: { labels: { step: String(expected) } } }));
    api.sendRaw('garbage\n');
    await eventually(() => rig.reflector.status().state === 'waiting');
    assert.deepEqual(rig.clock.waits, [expected]);
    await rig.passBackoff();
  }
});

test('an orderly end after a long life goes on at once', async (t) => {
  const api = await standIn(t);
  const rig = startReflector(t, api);
  await eventually(() => rig.reflector.status().state === 'watching');
  rig.clock.advance(10_000);
  api.endWatches();
  await eventually(() => api.watchRequests('nodes').length === 2);
  assert.deepEqual(rig.counts.restarts(), ['ended']);
  assert.equal(api.lists('nodes').length, 1);
});

test('after three silent watches the resourceVersion itself is doubted', async (t) => {
  const api = await standIn(t);
  api.script(isWatch, faults.status(504, 'Timeout'), 3);
  const rig = startReflector(t, api);
  for (let round = 0; round < 3; round += 1) {
    await eventually(() => rig.counts.restarts().length === round + 1);
    await rig.passBackoff();
  }
  await eventually(() => api.watches('nodes') === 1);
  assert.equal(api.lists('nodes').length, 2);
});

test('a connection that is refused, reset or cut in a line is tried again from the last whole event', async (t) => {
  const api = await standIn(t);
  api.put('nodes', node('n1'));
  const rig = startReflector(t, api);
  await eventually(() => api.watches('nodes') === 1);
  api.put('nodes', node('n2'));
  const seen = api.version;
  await eventually(() => rig.names().length === 2);
  api.sendRaw('{"type":"DELETED","object":{"kind":"No');
  await settle();
  api.cutWatches();
  await rig.passBackoff();
  await eventually(() => api.watches('nodes') === 1);
  assert.deepEqual(rig.names(), ['n1', 'n2']);
  assert.equal(api.watchRequests('nodes')[1]?.query.get('resourceVersion'), seen);
  assert.deepEqual(rig.counts.restarts(), ['connection']);
});

test('a watch that ends in order within a line is taken up from the last whole event', async (t) => {
  const api = await standIn(t);
  api.put('nodes', node('n1'));
  const rig = startReflector(t, api);
  await eventually(() => api.watches('nodes') === 1);
  api.sendRaw('{"type":"DELETED"');
  api.endWatches();
  await rig.passBackoff();
  await eventually(() => api.watches('nodes') === 1);
  assert.deepEqual(rig.names(), ['n1']);
  assert.deepEqual(rig.counts.restarts(), ['connection']);
});

test('an API server that is gone changes nothing, and the loop is still there when it returns', async (t) => {
  const first = await StandInApi.start();
  first.put('nodes', node('n1'));
  const rig = startReflector(t, first);
  await eventually(() => first.watches('nodes') === 1);
  const { port } = first;
  await first.close();
  for (let round = 0; round < 20; round += 1) {
    await eventually(() => rig.counts.restarts().length > round);
    await rig.passBackoff();
  }
  assert.deepEqual(rig.names(), ['n1']);
  assert.ok(rig.counts.restarts().every((reason) => reason === 'connection'));
  const warnings = rig.lines.filter((line) => JSON.parse(line).level === 40);
  assert.equal(warnings.length, 1, 'an outage is one warning, not one for each try');
  await eventually(() => rig.counts.restarts().length === 21);
  const second = await StandInApi.start({}, port);
  t.after(() => second.close());
  for (let step = 0; step < 5; step += 1) second.compact();
  second.put('nodes', node('n1'));
  second.put('nodes', node('n2'));
  await rig.passBackoff();
  await rig.passBackoff();
  await eventually(() => rig.names().length === 2);
});

test('events are understood at any chunk border, within UTF-8 sequences too', async (t) => {
  const api = await standIn(t);
  const rig = startReflector(t, api);
  await eventually(() => api.watches('nodes') === 1);
  const object = {
    kind: 'Node',
    apiVersion: 'v1',
    ...node('n1', { metadata: { uid: 'u', resourceVersion: '2000', labels: { 'team/ключ': '日本語 🚀' } } }),
  };
  const bytes = Buffer.from(`${JSON.stringify({ type: 'ADDED', object })}\n`);
  for (const byte of bytes) {
    api.sendRaw(Uint8Array.of(byte));
    await new Promise((resolve) => process.nextTick(resolve));
  }
  await eventually(() => rig.names().length === 1);
  assert.equal([...rig.reflector.facts()][0]?.labels['team/ключ'], '日本語 🚀');
});

const badLines: [string, string | Uint8Array][] = [
  ['not JSON', 'garbage\n'],
  ['JSON but no object', '42\n'],
  ['no inner object', '{"type":"ADDED"}\n'],
  ['bytes that are no UTF-8', Uint8Array.of(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d, 0x0a)],
  [
    'an object of another kind',
    '{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","uid":"u","resourceVersion":"9"}}}\n',
  ],
  [
    'an object without a name',
    '{"type":"ADDED","object":{"kind":"Node","apiVersion":"v1","metadata":{"uid":"u","resourceVersion":"9"}}}\n',
  ],
  [
    'an object without a resourceVersion',
    '{"type":"ADDED","object":{"kind":"Node","apiVersion":"v1","metadata":{"name":"n","uid":"u"}}}\n',
  ],
  [
    'an unknown event type',
    '{"type":"GUESS","object":{"kind":"Node","apiVersion":"v1","metadata":{"name":"n","uid":"u","resourceVersion":"9"}}}\n',
  ],
];
for (const [name, line] of badLines) {
  test(`a watch line with ${name} is counted and lists again`, async (t) => {
    const api = await standIn(t);
    api.put('nodes', node('n1'));
    const rig = startReflector(t, api);
    await eventually(() => api.watches('nodes') === 1);
    api.sendRaw(line);
    await rig.passBackoff();
    await eventually(() => api.lists('nodes').length === 2 && api.watches('nodes') === 1);
    assert.deepEqual(rig.counts.restarts(), ['bad-line']);
    assert.deepEqual(rig.names(), ['n1']);
    assert.equal(rig.changes(), 1);
  });
}

test('a watch line without end is cut off at the limit and lists again', async (t) => {
  const api = await standIn(t);
  const rig = startReflector(t, api, { tuning: { lineLimitBytes: 10_000 } });
  await eventually(() => api.watches('nodes') === 1);
  api.sendRaw('x'.repeat(10_001));
  await rig.passBackoff();
  await eventually(() => api.lists('nodes').length === 2);
  assert.deepEqual(rig.counts.restarts(), ['long-line']);
});

const badLists: [string, Parameters<StandInApi['script']>[1]][] = [
  ['is not JSON', faults.body('<html>Bad Gateway</html>')],
  ['is truncated', faults.halfBody()],
  ['has no body', faults.body('')],
  ['is of another kind', faults.editedList((list) => Object.assign(list, { kind: 'PodList' }))],
  ['is of another API version', faults.editedList((list) => Object.assign(list, { apiVersion: 'v2' }))],
  ['has no metadata', faults.editedList((list) => Reflect.deleteProperty(list, 'metadata'))],
  [
    'has no resourceVersion',
    faults.editedList((list) => Object.assign(list, { metadata: { resourceVersion: '' } })),
  ],
  ['has no items', faults.editedList((list) => Reflect.deleteProperty(list, 'items'))],
  ['has items that are null', faults.editedList((list) => Object.assign(list, { items: null }))],
  [
    'has an item without identity',
    faults.editedList((list) => Object.assign(list['items'][0].metadata, { name: undefined })),
  ],
  ['has an item that is no object', faults.editedList((list) => list['items'].push('n3'))],
  ['holds an object twice', faults.editedList((list) => list['items'].push(list['items'][0]))],
  [
    'says that items remain but not how to get them',
    faults.editedList((list) => Object.assign(list['metadata'], { remainingItemCount: 40 })),
  ],
  [
    'repeats its continue token for ever',
    faults.editedList((list) => {
      list['metadata'].continue = 'again';
      list['items'] = [];
    }),
  ],
  ['is a Status', faults.body(JSON.stringify(statusObject(500, 'InternalError')))],
];
for (const [name, fault] of badLists) {
  test(`a list that ${name} changes nothing`, async (t) => {
    const api = await standIn(t);
    api.put('nodes', node('n1'));
    api.put('nodes', node('n2'));
    const rig = startReflector(t, api);
    await eventually(() => api.watches('nodes') === 1);
    api.script(isList, fault, name.startsWith('repeats') ? 2 : 1);
    api.sendRaw('garbage\n');
    await rig.passBackoff();
    await eventually(() => rig.counts.restarts().length === 2);
    assert.deepEqual(rig.counts.restarts(), ['bad-line', 'bad-list']);
    assert.deepEqual(rig.names(), ['n1', 'n2']);
    await rig.passBackoff();
    await eventually(() => api.watches('nodes') === 1);
    assert.equal(rig.changes(), 1);
  });
}

test('a list whose pages are of different resourceVersions changes nothing', async (t) => {
  const api = await standIn(t);
  for (let index = 0; index < 3; index += 1) api.put('nodes', node(`n${index}`));
  api.script(
    (request) => request.query.has('continue'),
    faults.editedList((list) => Object.assign(list['metadata'], { resourceVersion: '1' })),
  );
  const rig = startReflector(t, api, { tuning: { pageSize: 2 } });
  await eventually(() => rig.counts.restarts().length === 1);
  assert.deepEqual(rig.counts.restarts(), ['bad-list']);
  assert.deepEqual(rig.names(), []);
});

test('a list that is cut off or too large changes nothing', async (t) => {
  const api = await standIn(t);
  api.put('nodes', node('n1'));
  api.script(isList, faults.cutBody());
  api.script(isList, faults.body(`{"kind":"NodeList","pad":"${'x'.repeat(20_000)}"}`));
  const rig = startReflector(t, api, { tuning: { pageLimitBytes: 10_000 } });
  await rig.passBackoff();
  await eventually(() => rig.counts.restarts().length === 2);
  assert.deepEqual(rig.counts.restarts(), ['connection', 'bad-list']);
  assert.equal(rig.reflector.status().synced, false);
});

test('an empty list after a full one is held until two more agree', async (t) => {
  const api = await standIn(t);
  api.put('nodes', node('n1'));
  const rig = startReflector(t, api);
  await eventually(() => api.watches('nodes') === 1);
  api.script(isList, faults.emptyList(), 3);
  api.sendRaw('garbage\n');
  await rig.passBackoff();
  for (const [round, waitMs] of [1_250, 5_000].entries()) {
    await eventually(() => rig.counts.restarts().length === 2 + round);
    await eventually(() => rig.reflector.status().state === 'waiting');
    assert.deepEqual(rig.clock.waits, [waitMs]);
    assert.equal(rig.reflector.status().suspect, true);
    assert.deepEqual(rig.names(), ['n1']);
    await rig.passBackoff();
  }
  await eventually(() => rig.names().length === 0);
  assert.deepEqual(rig.counts.restarts(), ['bad-line', 'empty-list', 'empty-list']);
  assert.equal(rig.reflector.status().suspect, false);
});

test('an empty list that the next one contradicts never shows', async (t) => {
  const api = await standIn(t);
  api.put('nodes', node('n1'));
  const rig = startReflector(t, api);
  await eventually(() => api.watches('nodes') === 1);
  api.script(isList, faults.emptyList(), 2);
  api.sendRaw('garbage\n');
  for (let round = 0; round < 3; round += 1) {
    await rig.passBackoff();
    await eventually(() => api.lists('nodes').length === 2 + round);
  }
  await eventually(() => api.watches('nodes') === 1);
  assert.equal(rig.changes(), 1);
  assert.equal(rig.reflector.status().suspect, false);
});

test('an empty list right after the start is held against what an earlier run knew', async (t) => {
  const api = await standIn(t);
  const seeded = { ...emptyNode, name: 'from-disk' };
  const rig = startReflector(t, api, { seed: [seeded] });
  await eventually(() => rig.counts.restarts().length === 1);
  assert.deepEqual(rig.counts.restarts(), ['empty-list']);
  assert.deepEqual(rig.names(), ['from-disk']);
});

test('an empty list where nothing is known is simply empty', async (t) => {
  const api = await standIn(t);
  const rig = startReflector(t, api);
  await eventually(() => api.watches('nodes') === 1);
  assert.deepEqual(rig.counts.restarts(), []);
  assert.equal(rig.reflector.status().synced, true);
});

test('an object with a bad field is ignored with its field named, and its former version is kept', async (t) => {
  const api = await standIn(t);
  api.put('nodes', node('n1'));
  const rig = startReflector(t, api);
  await eventually(() => api.watches('nodes') === 1);
  api.put('nodes', node('n1', { status: { addresses: [{ type: 'InternalIP', address: 'nonsense' }] } }));
  api.put('nodes', node('n2', { spec: { taints: 'all' } }));
  await eventually(() => rig.counts.of('bad-object').length === 2);
  assert.deepEqual(
    rig.counts.of('bad-object').map((labels) => labels.field),
    ['status.addresses.address', 'spec.taints'],
  );
  assert.deepEqual([...rig.reflector.facts()][0]?.addresses, [{ type: 'InternalIP', address: '10.0.0.1' }]);
  assert.deepEqual(rig.counts.restarts(), [], 'one bad object does not restart the watch');
  api.sendRaw('garbage\n');
  await rig.passBackoff();
  await eventually(() => api.watches('nodes') === 1 && api.lists('nodes').length === 2);
  assert.deepEqual(rig.names(), ['n1'], 'kept through a list as well');
  assert.equal(rig.changes(), 1);
});

test('the late end of an object does not remove its successor of the same name', async (t) => {
  const api = await standIn(t);
  api.put('nodes', node('n1', { metadata: { uid: 'second' } }));
  const rig = startReflector(t, api);
  await eventually(() => api.watches('nodes') === 1);
  const gone = {
    kind: 'Node',
    apiVersion: 'v1',
    metadata: { name: 'n1', uid: 'first', resourceVersion: '5' },
  };
  api.sendRaw(`${JSON.stringify({ type: 'DELETED', object: gone })}\n`);
  await eventually(() => rig.counts.of('bad-object').length === 1);
  assert.deepEqual(rig.names(), ['n1']);
});

test('a slice that loses its service label leaves', async (t) => {
  const api = await standIn(t);
  api.put('endpointslices', slice('web', 'app'));
  const rig = startReflector(t, api, { kind: endpointSliceKind });
  await eventually(() => api.watches('endpointslices') === 1);
  const bare = slice('web', 'app');
  Reflect.deleteProperty(bare['metadata'], 'labels');
  api.put('endpointslices', bare);
  await eventually(() => rig.names().length === 0);
});

test('a namespaced scope asks for its namespace only and takes nothing of another', async (t) => {
  const api = await standIn(t);
  api.put('services', service('web', 'app'));
  api.put('services', service('db', 'pg'));
  const rig = startReflector(t, api, { kind: serviceKind, namespace: 'web' });
  await eventually(() => api.watches('services') === 1);
  assert.deepEqual(rig.names(), ['app']);
  assert.ok(api.requests.every((request) => request.namespace === 'web'));
  const foreign: RawObject = { kind: 'Service', apiVersion: 'v1', ...service('db', 'pg') };
  foreign['metadata'].resourceVersion = '9';
  api.sendRaw(`${JSON.stringify({ type: 'ADDED', object: foreign })}\n`);
  await eventually(() => rig.counts.restarts().includes('bad-line'));
});

test('a refusal by RBAC is settled but not synced, and is asked again', async (t) => {
  const api = await standIn(t);
  api.script(isList, faults.status(403, 'Forbidden'));
  const rig = startReflector(t, api);
  await eventually(() => rig.reflector.status().state === 'waiting');
  const refused = rig.reflector.status();
  assert.equal(refused.settled, true);
  assert.equal(refused.synced, false);
  assert.equal(refused.failure?.reason, 'forbidden');
  assert.match(refused.failure?.message ?? '', /answered 403: stand-in: Forbidden/);
  await rig.passBackoff();
  await eventually(() => rig.reflector.status().synced);
});

test('control characters and length of a server message are tamed before they reach the log', async (t) => {
  const api = await standIn(t);
  api.script(isList, (_request, response) => {
    sendStatus(response, 500, `\u001b[31m${'x'.repeat(1_000)}`);
    return true;
  });
  const rig = startReflector(t, api);
  await eventually(() => rig.reflector.status().failure !== null);
  const { message } = rig.reflector.status().failure ?? { message: '' };
  assert.ok(message.length < 400);
  assert.doesNotMatch(message, /\p{Cc}/u);
});

test('an endless error body is not read to its end', async (t) => {
  const api = await standIn(t);
  api.script(isList, (_request, response) => {
    response.writeHead(500);
    const feed = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    };
    response.on('drain', feed);
    feed();
    return true;
  });
  const rig = startReflector(t, api);
  await eventually(() => rig.counts.restarts().length === 1);
  assert.deepEqual(rig.counts.restarts(), ['http-status']);
});

test('close ends the loop wherever it stands and leaves no socket and no timer', async (t) => {
  const api = await standIn(t);
  api.put('nodes', node('n1'));
  const rig = startReflector(t, api);
  await eventually(() => api.watches('nodes') === 1);
  await rig.reflector.close();
  await eventually(() => api.watches('nodes') === 0);
  assert.deepEqual(rig.clock.waits, []);
  assert.equal(rig.reflector.status().state, 'closed');

  api.script(isList, faults.blackHole());
  const listing = startReflector(t, api);
  await eventually(() => api.lists('nodes').length === 2);
  await listing.reflector.close();
  assert.deepEqual(listing.clock.waits, []);

  api.script(isList, faults.status(500, 'InternalError'));
  const waiting = startReflector(t, api);
  await eventually(() => waiting.reflector.status().state === 'waiting');
  await waiting.reflector.close();
  assert.deepEqual(waiting.clock.waits, []);
});

const emptyNode = {
  name: 'n',
  uid: 'u',
  resourceVersion: '1',
  deletionTimestamp: null,
  labels: {},
  addresses: [],
  ready: 'True',
  unschedulable: false,
  taints: [],
} as const;
