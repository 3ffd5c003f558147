// Nanoseconds for one match with 1, 1,000 and 10,000 routes; every run checks that it found the rule it should.

import { createRouteMatch, createRouter } from '../../src/proxy/router/router.ts';
import { host, rule } from '../../test/proxy/router/samples.ts';

interface Case {
  readonly name: string;
  /** Host text and path of the route with this number. */
  route(n: number): readonly [string, string];
  /** Host and path of a request for it. */
  ask(n: number): readonly [string, string];
}

const CASES: readonly Case[] = [
  {
    name: 'exact host, prefix path',
    route: (n) => [`app-${n}.example.com`, '/api'],
    ask: (n) => [`app-${n}.example.com`, '/api/v1/items/42'],
  },
  {
    name: 'wildcard host, prefix path',
    route: (n) => [`*.app-${n}.example.com`, '/api'],
    ask: (n) => [`www.app-${n}.example.com`, '/api/v1/items/42'],
  },
  {
    name: 'one host, many prefixes',
    route: (n) => ['example.com', `/team-${n}/api`],
    ask: (n) => ['example.com', `/team-${n}/api/v1/items/42`],
  },
  {
    name: 'captured host',
    route: (n) => [`{branch}.app-${n}.example.com`, '/'],
    ask: (n) => [`fix-1.app-${n}.example.com`, '/api/v1/items/42'],
  },
];
const COUNTS = [1, 1000, 10_000];
const ROUNDS = 9;
const MATCHES = 300_000;

/** Strings as the codec makes them: cut from a buffer, so never interned and never hashed before. */
const fresh = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');

function measure(bench: Case, count: number): number {
  const routes = Array.from({ length: count }, (_, n) => {
    const [hostText, path] = bench.route(n);
    return {
      name: `r${n}`,
      listeners: [],
      hosts: [host(hostText)],
      redirectToHttps: null,
      hsts: null,
      rules: [rule({ matches: [{ path }] })],
    };
  });
  const router = createRouter(routes, 'web');
  const requests = Array.from({ length: Math.min(count, 64) }, (_, i) => {
    const n = Math.floor((i * count) / Math.min(count, 64));
    const [hostName, path] = bench.ask(n);
    return {
      method: 'GET',
      host: fresh(hostName),
      path: fresh(path),
      query: '',
      header: () => undefined,
      expected: n,
    };
  });
  const out = createRouteMatch();
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < MATCHES; i++) {
      const asked = requests[i % requests.length] as (typeof requests)[number];
      if (!router.match(asked, out) || out.rule?.index !== asked.expected)
        throw new Error('the wrong rule was found');
    }
    times.push(Number(process.hrtime.bigint() - start) / MATCHES);
  }
  return times.sort((a, b) => a - b)[ROUNDS >> 1] as number;
}

process.stdout.write(`ns per match, median of ${ROUNDS} rounds of ${MATCHES}\n`);
process.stdout.write(`${'routes'.padEnd(28)}${COUNTS.map((count) => String(count).padStart(8)).join('')}\n`);
for (const bench of CASES) {
  const columns = COUNTS.map((count) => measure(bench, count).toFixed(0).padStart(8));
  process.stdout.write(`${bench.name.padEnd(28)}${columns.join('')}\n`);
}
