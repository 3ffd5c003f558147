// The peers' benchmark: configurations are filled in whole, results are read and compared as they should be.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { CASES } from '../../bench/cases.ts';
import { h2loadParameters, parseH2load } from '../../bench/drivers/h2load.ts';
import { barChart } from '../../bench/measure/bar-chart.ts';
import { goalOf } from '../../bench/measure/goals.ts';
import { peerRows, peerTable } from '../../bench/measure/peer-rows.ts';
import { fill, readTemplate } from '../../bench/measure/template.ts';
import { ENDPOINTS, portico, valuesOf } from '../../bench/subjects/peer.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { freePort } from '../support/free-port.ts';

const H2LOAD = `finished in 1.00s, 52013.00 req/s, 5.51MB/s
requests: 52013 total, 52333 started, 52013 done, 52013 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 52013 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 5.51MB (5777443) total, 1.49MB (1560390) headers (space savings 75.00%), 3.27MB (3432858) data
`;

test('h2load: requests that succeeded, and whatever went wrong', () => {
  assert.deepEqual(parseH2load(H2LOAD, 66, 1), { requests: 52_013, seconds: 1, problems: [] });
  const failed = H2LOAD.replace('52013 succeeded, 0 failed', '52000 succeeded, 13 failed');
  assert.deepEqual(parseH2load(failed, 66, 1).problems, ['13 requests failed']);
  const refused = H2LOAD.replace('52013 2xx, 0 3xx, 0 4xx', '52003 2xx, 0 3xx, 10 4xx');
  assert.deepEqual(parseH2load(refused, 66, 1).problems, ['10 answers other than 2xx']);
  assert.match(parseH2load(H2LOAD, 67, 1).problems.join(), /too few for 52013 answers/);
  assert.throws(() => parseH2load('usage: h2load', 66, 1), SyntaxError);
});

test('h2load: a part of a second is told in milliseconds', () => {
  const parameters = h2loadParameters({ connections: 10, streams: 32, seconds: 0.2 });
  assert.deepEqual(parameters, ['-c10', '-m32', '-t1', '--duration=200ms']);
});

test('ports are free, and none that an outgoing connection could take', async () => {
  const server = net.createServer().listen(await freePort(), '127.0.0.1');
  await once(server, 'listening');
  assert.ok((server.address() as net.AddressInfo).port < 32_768);
  server.close();
  await once(server, 'close');
});

test('a configuration is filled in whole or not at all', () => {
  assert.equal(fill('bind 127.0.0.1:{{HTTP}} # {{HTTP}}', { HTTP: 80 }), 'bind 127.0.0.1:80 # 80');
  assert.throws(() => fill('{{NOBODY}}', {}), /no value for \{\{NOBODY\}\}/);
});

const PORTS = Object.fromEntries(ENDPOINTS.map((endpoint, index) => [endpoint, 8001 + index])) as Record<
  (typeof ENDPOINTS)[number],
  number
>;
const VALUES = valuesOf(PORTS, 9001, { backendPorts: [9002, 9003, 9004], directory: '/d' });

test('the configurations name nothing but what the benchmark knows', () => {
  const ofNginx = ['MODULES', 'STREAM', 'STATUS', 'HTTP2', 'HTTP2_LISTEN'];
  const known = new Set([...Object.keys(VALUES), ...ofNginx]);
  const folder = new URL('../../bench/peers/', import.meta.url);
  for (const name of readdirSync(folder).filter((file) => !/\.(?:ts|sh)$/.test(file))) {
    for (const [, value] of readFileSync(new URL(name, folder), 'utf8').matchAll(/\{\{(\w+)\}\}/g)) {
      assert.ok(known.has(value!), `${name}: ${value}`);
    }
  }
});

test("Portico's configuration is valid, with a listener for what each case connects to", async () => {
  const text = fill(await readTemplate('portico.yaml'), VALUES);
  const result = parseConfig(text, { file: 'portico.yaml', env: {}, baseDirectory: '/d' });
  assert.ok('config' in result, JSON.stringify(result));
  const bound = result.config.listeners.map(({ port }) => port);
  for (const { name, endpoint } of CASES) {
    assert.ok(bound.includes(PORTS[endpoint]), name);
    assert.ok(portico().speaks.has(endpoint), name);
  }
});

const turn = (subject: string, round: number, cpuMs: number) => ({
  subject,
  round,
  requests: 1000,
  seconds: 1,
  userMs: cpuMs / 2,
  systemMs: cpuMs / 2,
});

test('a peer is compared with Portico in the same round, and with the goal of its name', () => {
  const rows = peerRows(
    [
      turn('portico', 1, 20),
      turn('portico', 2, 40),
      turn('HAProxy 2.6.12', 1, 30),
      turn('HAProxy 2.6.12', 2, 80),
    ],
    'portico',
    { HAProxy: 1.6 },
  );
  assert.equal(rows[0]!.ratio, null);
  assert.equal(rows[1]!.ratio!.median, 1.75);
  assert.deepEqual([rows[1]!.ratio!.min, rows[1]!.ratio!.max], [1.5, 2]);
  const [, own, peer] = peerTable(rows);
  assert.deepEqual(own!.slice(0, 2), ['portico', '30.0']);
  assert.equal(peer![7], '1.6 reached');
  assert.equal(goalOf('Envoy 1.40.0', { HAProxy: 1 }), null);
});

test('cases have names of their own, and goals above nothing', () => {
  assert.equal(new Set(CASES.map(({ name }) => name)).size, CASES.length);
  for (const { goals } of CASES) for (const goal of Object.values(goals)) assert.ok(goal > 0);
});

test('a chart shows each bar with its value, and no markup of a label', () => {
  const svg = barChart('CPU', 'us', [{ label: '<b>', value: 2, min: 1, max: 4, own: true }]);
  assert.match(svg, /&lt;b&gt;/);
  assert.match(svg, />2\.0</);
});
