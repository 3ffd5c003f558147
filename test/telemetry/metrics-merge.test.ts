import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deserialize, serialize } from 'node:v8';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { FAMILIES, type FamilyName } from '../../src/telemetry/families.ts';
import { DURATION_BUCKETS, type MetricFamily } from '../../src/telemetry/metric-family.ts';
import { MetricsBoard } from '../../src/telemetry/metrics-board.ts';
import { MetricsMerge } from '../../src/telemetry/metrics-merge.ts';
import { createProcessMetrics } from '../../src/telemetry/process-metrics.ts';
import { fc } from '../support/properties.ts';
import { readExposition } from './exposition.ts';
import { boardWithEveryFamily } from './sample-board.ts';

const alwaysNew = (): (() => number) => {
  let now = 0;
  return () => {
    now += 2000;
    return now;
  };
};

const merge = (local: MetricsBoard | null = null): MetricsMerge =>
  new MetricsMerge({ local, now: alwaysNew() });

function sampleOf(text: string, key: string): number | undefined {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${key} `));
  return line === undefined ? undefined : Number(line.slice(key.length + 1));
}

const worker = (pool: string, times: number, connections: number): MetricsBoard => {
  const board = new MetricsBoard();
  board.values[board.counter('portico_ejections_total', { pool })]! += times;
  board.values[board.gauge('portico_ejected', { pool })] = connections;
  return board;
};

describe('metrics merge', () => {
  it('adds up the workers', () => {
    const all = merge();
    all.apply('1:100', worker('a', 3, 1).frame());
    all.apply('2:101', worker('a', 4, 1).frame());
    all.apply('3:102', worker('b', 5, 0).frame());
    const text = all.text();
    assert.equal(sampleOf(text, 'portico_ejections_total{pool="a"}'), 7);
    assert.equal(sampleOf(text, 'portico_ejections_total{pool="b"}'), 5);
    assert.equal(sampleOf(text, 'portico_ejected{pool="a"}'), 2);
  });

  it('keeps counters of a worker that ended and forgets its gauges', () => {
    const all = merge();
    all.apply('1:100', worker('a', 3, 1).frame());
    all.exit('1:100');
    all.apply('1:200', worker('a', 1, 0).frame());
    const text = all.text();
    assert.equal(sampleOf(text, 'portico_ejections_total{pool="a"}'), 4);
    assert.equal(sampleOf(text, 'portico_ejected{pool="a"}'), 0);
  });

  it('counts a worker once when its end is told twice or a frame comes late', () => {
    const all = merge();
    const board = worker('a', 3, 1);
    all.apply('1:100', board.frame());
    all.exit('1:100');
    all.exit('1:100');
    board.invalidate();
    assert.equal(all.apply('1:100', board.frame()), true);
    assert.equal(sampleOf(all.text(), 'portico_ejections_total{pool="a"}'), 3);
  });

  it('remembers the end of a worker that never reported, for the next controller, too', () => {
    const all = merge();
    all.exit('1:100');
    assert.deepEqual(all.retain().folded, ['1:100']);
  });

  it('asks for the series list when it does not know it', () => {
    const all = merge();
    const board = worker('a', 3, 1);
    board.frame();
    assert.equal(all.apply('1:100', board.frame()), false);
    assert.equal(all.text(), '');
    board.invalidate();
    assert.equal(all.apply('1:100', board.frame()), true);
    assert.equal(sampleOf(all.text(), 'portico_ejections_total{pool="a"}'), 3);
  });

  it('shows the oldest snapshot version of all workers', () => {
    const all = merge();
    for (const version of [7, 5, 9]) {
      const board = new MetricsBoard();
      board.values[board.gauge('portico_snapshot_version', {})] = version;
      all.apply(`w:${version}`, board.frame());
    }
    assert.equal(sampleOf(all.text(), 'portico_snapshot_version'), 5);
  });

  it('never loses or repeats a count, whatever dies and is restarted, and in what order', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('count' as const), slot: fc.nat(2), by: fc.integer({ min: 1, max: 9 }) }),
      fc.record({ kind: fc.constant('send' as const), slot: fc.nat(2) }),
      fc.record({ kind: fc.constant('worker-restart' as const), slot: fc.nat(2) }),
      fc.record({ kind: fc.constant('controller-restart' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let incarnation = 0;
        const start = () => ({ id: String(incarnation++), board: new MetricsBoard() });
        const workers = [start(), start(), start()];
        let own = new MetricsBoard();
        let controller = merge(own);
        let expected = 0;
        const send = (index: number) => {
          const { id, board } = workers[index]!;
          const sent = () => deserialize(serialize(board.frame())) as ReturnType<MetricsBoard['frame']>;
          if (!controller.apply(id, sent())) {
            board.invalidate();
            assert.ok(controller.apply(id, sent()));
          }
        };
        for (const next of steps) {
          if (next.kind === 'count') {
            const board = next.by === 9 ? own : workers[next.slot]!.board;
            const base = board.histogram('portico_snapshot_apply_seconds', {});
            for (let n = 0; n < next.by; n += 1) board.observe(base, 0.25);
            expected += next.by;
          } else if (next.kind === 'send') {
            send(next.slot);
          } else if (next.kind === 'worker-restart') {
            send(next.slot);
            controller.exit(workers[next.slot]!.id);
            workers[next.slot] = start();
          } else {
            const retained = deserialize(serialize(controller.retain()));
            own = new MetricsBoard();
            controller = merge(own);
            controller.restore(retained);
          }
        }
        for (const index of workers.keys()) send(index);
        const text = controller.text();
        assert.equal(sampleOf(text, 'portico_snapshot_apply_seconds_count') ?? 0, expected);
        assert.equal(sampleOf(text, 'portico_snapshot_apply_seconds_sum') ?? 0, expected / 4);
      }),
      { numRuns: 150 },
    );
  });

  it('renders at most once a second', () => {
    let now = 0;
    const board = worker('a', 1, 0);
    const all = new MetricsMerge({ local: board, now: () => now });
    const first = all.text();
    board.values[board.counter('portico_ejections_total', { pool: 'a' })]! += 1;
    now = 999;
    assert.equal(all.text(), first);
    now = 1000;
    assert.equal(sampleOf(all.text(), 'portico_ejections_total{pool="a"}'), 2);
  });

  it('bounds what it remembers of ended workers', () => {
    const all = merge();
    for (let index = 0; index < 400; index += 1) {
      all.apply(`w:${index}`, worker('a', 1, 0).frame());
      all.exit(`w:${index}`);
    }
    assert.equal(all.retain().folded.length, 256);
    assert.equal(sampleOf(all.text(), 'portico_ejections_total{pool="a"}'), 400);
  });
});

describe('exposition text', () => {
  it('is valid and says of every family what the table says', () => {
    const families = readExposition(merge(boardWithEveryFamily()).text());
    assert.deepEqual([...families.keys()], Object.keys(FAMILIES));
    for (const [name, family] of families) {
      const described: MetricFamily = FAMILIES[name as FamilyName];
      assert.equal(family.type, described.type);
      assert.equal(family.help, `${described.help}.`);
      for (const sample of family.samples) {
        const { le: _, ...labels } = sample.labels;
        assert.deepEqual(Object.keys(labels), described.labels);
        Object.entries(labels).forEach(([label, value], index) => {
          assert.equal(value, `v${index}"\\\n${label}`);
        });
      }
    }
  });

  it('says the same as prom-client of the same numbers', async () => {
    const registry = new Registry();
    const board = new MetricsBoard();
    const slotName = 'portico_retries_total';
    const oracleCounter = new Counter({
      name: slotName,
      help: `${FAMILIES[slotName].help}.`,
      labelNames: FAMILIES[slotName].labels,
      registers: [registry],
    });
    const oracleGauge = new Gauge({
      name: 'portico_target_health',
      help: `${FAMILIES.portico_target_health.help}.`,
      labelNames: FAMILIES.portico_target_health.labels,
      registers: [registry],
    });
    const oracleHistogram = new Histogram({
      name: 'portico_upstream_connect_duration_seconds',
      help: `${FAMILIES.portico_upstream_connect_duration_seconds.help}.`,
      labelNames: FAMILIES.portico_upstream_connect_duration_seconds.labels,
      buckets: [...DURATION_BUCKETS],
      registers: [registry],
    });
    for (const pool of ['a', 'b "quoted"\\', 'line\nbreak']) {
      const labels = { pool, reason: 'connect-refused' };
      oracleCounter.inc(labels, 4);
      board.values[board.counter(slotName, labels)]! += 4;
      const targets = { pool, health: 'healthy' };
      oracleGauge.set(targets, -1.5);
      board.values[board.gauge('portico_target_health', targets)] = -1.5;
      for (const seconds of [0.0005, 0.001, 0.3, 75]) {
        oracleHistogram.observe({ pool }, seconds);
        board.observe(board.histogram('portico_upstream_connect_duration_seconds', { pool }), seconds);
      }
    }
    const comparable = (text: string) =>
      [...readExposition(text)].map(([name, family]) => ({
        name,
        type: family.type,
        help: family.help,
        samples: family.samples.map((sample) => JSON.stringify([sample.name, sample.labels, sample.value])),
      }));
    const sorted = (text: string) =>
      comparable(text)
        .map((family) => ({
          ...family,
          samples: family.samples
            .map((sample) => {
              const [name, labels, value] = JSON.parse(sample) as [string, Record<string, string>, number];
              return JSON.stringify([name, Object.entries(labels).sort(), value]);
            })
            .sort(),
        }))
        .sort((left, right) => (left.name < right.name ? -1 : 1));
    assert.deepEqual(sorted(merge(board).text()), sorted(await registry.metrics()));
  });

  it('keeps the naming conventions of Prometheus', () => {
    for (const [name, family] of Object.entries(FAMILIES)) {
      assert.match(name, /^portico_[a-z0-9]+(_[a-z0-9]+)*$/);
      assert.equal(name.endsWith('_total'), family.type === 'counter', name);
      assert.equal(family.type === 'histogram', family.unit === 'seconds', name);
      if (family.unit === 'seconds') assert.ok(name.endsWith('_seconds'), name);
      if (family.unit === 'timestamp') assert.ok(name.endsWith('_timestamp_seconds'), name);
      if (family.unit === 'info') assert.ok(name.endsWith('_info'), name);
      if (family.unit === 'bytes') assert.match(name, /_bytes(?:_|$)/);
      assert.doesNotMatch(family.help, /[.\n]$/);
      for (const label of family.labels) assert.ok(!['le', 'quantile', 'overflow'].includes(label), name);
    }
  });

  it('adds process and Node metrics without a second definition of a family', async () => {
    const own = createProcessMetrics();
    try {
      const families = readExposition(merge(boardWithEveryFamily()).text() + (await own.text()));
      assert.ok(families.has('process_resident_memory_bytes'));
      assert.ok(families.has('nodejs_eventloop_lag_p99_seconds'));
    } finally {
      own.close();
    }
  });
});
