import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PARSE_FAILURES } from '../../src/http1/parse-failure.ts';
import { CONNECTION_FAILURES, MALFORMED } from '../../src/http2/failures.ts';
import { FAILURES } from '../../src/model/failures.ts';
import {
  ACCESS_FIELDS,
  AccessLines,
  type ExchangeRecord,
  MAX_LINE_BYTES,
} from '../../src/telemetry/access-line.ts';
import { ClientText } from '../../src/telemetry/client-text.ts';
import { FLAGS, flagOf } from '../../src/telemetry/flags.ts';
import { fc } from '../support/properties.ts';

const RECORD: ExchangeRecord = {
  startedAtMs: Date.UTC(2026, 10, 23, 7, 30, 0, 42),
  id: '0193-af',
  listener: 'web',
  protocol: 'HTTP/1.1',
  client: '192.0.2.7',
  method: 'GET',
  host: 'github.example.com',
  path: '/api/v3?token=secret',
  status: 200,
  bytesIn: 120,
  bytesOut: 4096,
  route: 'github',
  rule: 'api',
  pool: 'unicorn-api',
  target: '10.0.0.5:30080',
  node: 'worker-5',
  attempts: 1,
  reused: true,
  headerMs: 0.1204,
  connectMs: 0,
  firstByteMs: 12.3456,
  totalMs: 13,
  flag: '-',
  reason: null,
  userAgent: 'curl/8.5.0',
  referer: 'https://example.com/a?session=1#top',
  ruleKey: null,
  targetKey: null,
  clientText: null,
};

/** What a builder writes, which touches nothing around it. */
function lineOf(record: ExchangeRecord, lines: AccessLines): string {
  const bytes = Buffer.alloc(MAX_LINE_BYTES + 200, '#');
  const end = lines.write(record, bytes, 100);
  assert.ok(end <= 100 + MAX_LINE_BYTES, `${end - 100} bytes`);
  assert.equal(bytes.latin1Slice(0, 100) + bytes.latin1Slice(end), '#'.repeat(bytes.length - end + 100));
  return bytes.latin1Slice(100, end);
}

const read = (record: Partial<ExchangeRecord>, builder = new AccessLines()) => {
  const line = lineOf({ ...RECORD, ...record }, builder);
  assert.ok(line.endsWith('\n') && line.indexOf('\n') === line.length - 1);
  return JSON.parse(line) as Record<string, unknown>;
};

describe('access line', () => {
  it('writes every field in its order', () => {
    const fields = read({});
    assert.deepEqual(Object.keys(fields), [...ACCESS_FIELDS]);
    assert.deepEqual(fields, {
      ts: '2026-11-23T07:30:00.042Z',
      id: '0193-af',
      listener: 'web',
      proto: 'HTTP/1.1',
      client: '192.0.2.7',
      method: 'GET',
      host: 'github.example.com',
      path: '/api/v3',
      status: 200,
      bytes_in: 120,
      bytes_out: 4096,
      route: 'github',
      rule: 'api',
      pool: 'unicorn-api',
      target: '10.0.0.5:30080',
      node: 'worker-5',
      attempts: 1,
      reused: true,
      t_header: 0.12,
      t_connect: 0,
      t_ttfb: 12.346,
      t_total: 13,
      flag: '-',
      reason: null,
      ua: 'curl/8.5.0',
      referer: 'https://example.com/a',
    });
  });

  it('names every reason in full', () => {
    for (const reason of [...Object.keys(FAILURES), ...PARSE_FAILURES, ...MALFORMED, ...CONNECTION_FAILURES])
      assert.equal(read({ flag: 'DP', reason })['reason'], reason);
  });

  it('leaves out queries, which can hold secrets, unless told to keep that of the path', () => {
    assert.ok(!lineOf(RECORD, new AccessLines()).includes('secret'));
    const kept = lineOf(RECORD, new AccessLines(true));
    assert.ok(kept.includes('/api/v3?token=secret') && !kept.includes('session'));
  });

  it('cannot be split or forged through a header, nor made to steer a terminal', () => {
    const attack = 'x"}\r\n{"status":200,"ua":"forged\u001b[2J\u009b31m\u2028';
    const line = lineOf({ ...RECORD, userAgent: attack }, new AccessLines());
    assert.match(line, /^[\x20-\x7e]+\n$/);
    assert.equal((JSON.parse(line) as { ua: string }).ua, attack);
  });

  it('prints times that were computed before, in and after the same second', () => {
    const builder = new AccessLines();
    for (const time of [0, 7, 99, 100, 999, 1000, 1001, 0, -1, 8.64e15]) {
      assert.equal(read({ startedAtMs: time }, builder)['ts'], new Date(time).toISOString());
    }
    assert.equal(read({ startedAtMs: Number.NaN }, builder)['ts'], '1970-01-01T00:00:00.000Z');
  });

  it('is valid JSON of bounded length for every record', () => {
    const string = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 5000 }),
      fc.constant('\u0000'.repeat(40_000)),
      fc.constant('é\\"'.repeat(3000)),
      fc.constant('a'.repeat(70_000)),
    );
    const nullable = fc.option(string);
    const number = fc.oneof(fc.double(), fc.nat());
    const record: fc.Arbitrary<ExchangeRecord> = fc.record({
      startedAtMs: number,
      id: nullable,
      listener: string,
      protocol: string,
      client: string,
      method: nullable,
      host: nullable,
      path: nullable,
      status: fc.option(number),
      bytesIn: number,
      bytesOut: number,
      route: nullable,
      rule: nullable,
      pool: nullable,
      target: nullable,
      node: nullable,
      attempts: number,
      reused: fc.boolean(),
      headerMs: fc.option(number),
      connectMs: fc.option(number),
      firstByteMs: fc.option(number),
      totalMs: number,
      flag: string,
      reason: nullable,
      userAgent: nullable,
      referer: nullable,
      ruleKey: fc.constant(null),
      targetKey: fc.constant(null),
      clientText: fc.constant(null),
    });
    const builder = new AccessLines(true);
    fc.assert(
      fc.property(record, (any) => {
        const line = lineOf(any, builder);
        assert.deepEqual(Object.keys(JSON.parse(line) as object), [...ACCESS_FIELDS]);
        assert.ok(line.length <= MAX_LINE_BYTES, `${line.length} bytes`);
        assert.match(line, /^[\x20-\x7e]+\n$/);
      }),
      { numRuns: 150 },
    );
  });

  it('prints the same whether or not it remembers what came before', () => {
    const one = <T>(...values: T[]) => fc.constantFrom(...values);
    const sources = [0, 1, 2].map((index) => ({
      route: `route-${index}`,
      rule: index === 0 ? null : `rule "${index}"`,
      ruleKey: { index },
      targetKey: { index },
      pool: `pool-${index}`,
      target: `10.0.0.${index}:30080`,
      node: index === 0 ? null : `node-é${index}`,
    }));
    const record = fc
      .record({
        by: one(...sources),
        from: one(...sources),
        listener: one('web', 'websecure', ''),
        protocol: one('HTTP/1.1', 'tcp'),
        client: one('192.0.2.1', '192.0.2.12', '2001:db8::1', ''),
        host: one(null, 'a.example', 'b.example', '', '"'),
        userAgent: one(null, '', 'curl/8.5.0', 'curl/8.6.0', 'x'.repeat(300), '\u0000'.repeat(100), 'é'),
        method: one(null, 'GET', 'POST'),
        failed: fc.boolean(),
        keyed: fc.boolean(),
        connection: one(null, 0, 1),
      })
      .map(({ by, from, failed, keyed, connection, ...rest }) => {
        const ending = failed ? { flag: 'UF', reason: 'connect-failed' } : { flag: '-', reason: null };
        const any: ExchangeRecord = {
          ...RECORD,
          ...from,
          ...{ route: by.route, rule: by.rule, ruleKey: by.ruleKey },
          ...rest,
          ...ending,
          ...(keyed ? {} : { ruleKey: null, targetKey: null }),
        };
        return { any, connection };
      });
    fc.assert(
      fc.property(fc.array(record, { minLength: 2, maxLength: 40 }), (records) => {
        const builder = new AccessLines();
        const connections = [new ClientText(), new ClientText()];
        for (const { any, connection } of records) {
          const fresh = lineOf({ ...any, ruleKey: null, targetKey: null }, new AccessLines());
          const clientText = connection === null ? null : connections[connection]!;
          assert.equal(lineOf({ ...any, clientText }, builder), fresh);
        }
      }),
    );
  });

  it('rounds times to microseconds', () => {
    const builder = new AccessLines();
    const check = (totalMs: number): void => {
      assert.equal(read({ totalMs }, builder)['t_total'], Math.round(totalMs * 1000) / 1000 + 0);
    };
    for (const time of [
      0, -0, 0.0004, 0.0005, 0.9996, 1, 1.5, 10.01, 999.9995, 999_999.9999, 1e6, 1e9, -3.5,
    ]) {
      check(time);
    }
    fc.assert(fc.property(fc.double({ min: 0, max: 2e6, noNaN: true }), check));
    assert.ok(
      lineOf({ ...RECORD, totalMs: 12.5 }, builder).includes('"t_total":12.5,'),
      'no zeros at the end',
    );
  });

  it('has room for the worst of every field at once', () => {
    const worst = '\u0000'.repeat(70_000);
    const text = Object.fromEntries(
      Object.entries(RECORD).map(([key, value]) => [
        key,
        typeof value === 'number' ? -Math.PI * 1e-300 : typeof value === 'boolean' ? false : worst,
      ]),
    ) as unknown as ExchangeRecord;
    const record = { ...text, ruleKey: null, targetKey: {}, clientText: null };
    assert.ok(lineOf(record, new AccessLines(true)).length <= MAX_LINE_BYTES);
  });
});

describe('flags', () => {
  it('has a flag for every failure and a dash for none', () => {
    assert.deepEqual(Object.keys(FLAGS), Object.keys(FAILURES));
    assert.equal(flagOf('connect-timeout'), 'UF');
    assert.equal(flagOf(null), '-');
  });
});
