// "NodePort truth" through the whole engine: every row of docs/targets.md alone, and every pair of rows that can be.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import pino from 'pino';
import type { Prober } from '../../../src/control/health/probes.ts';
import { REASONS } from '../../../src/control/targets/reasons.ts';
import { createTargetEngine } from '../../../src/control/targets/target-engine.ts';
import type { Snapshot } from '../../../src/model/snapshot.ts';
import { type ExplainedTarget, REASON_CODES } from '../../../src/model/targets.ts';
import { FakeTime } from '../health/fake-time.ts';
import { clusterInventory, config, nodeFact, poolConfig } from './facts.ts';
import {
  type Outcome,
  SILENCES,
  TRUTH_ROWS,
  type Truth,
  type TruthRow,
  truth,
  UNSEEN_WHEN_DRAINING,
  UNSEEN_WHEN_EXCLUDED,
} from './truth-rows.ts';

interface Judged {
  readonly row: ExplainedTarget;
  /** As in the snapshot; null when node-1 is not in it. */
  readonly member: { readonly state: string; readonly lastResort: boolean; readonly health: string } | null;
}

async function judge(...rows: readonly TruthRow[]): Promise<Judged> {
  const given = truth();
  for (const { apply } of rows) apply(given);
  // A service that is not there, or of no fitting type, has the last word.
  for (const { about, apply } of rows) if (about === 'service' || about === 'type') apply(given);
  return run(given);
}

async function run(given: Truth): Promise<Judged> {
  const time = new FakeTime();
  const prober: Prober = async ({ host, port }, _timeoutMs, _signal, onResult) => {
    const failure = host === '10.0.0.1' ? given.answers[port] : null;
    if (failure === undefined) return;
    await null;
    onResult({ failure, detail: failure ?? '', durationMs: 1, weight: null });
  };
  let snapshot: Snapshot | null = null;
  const engine = createTargetEngine({
    clock: time.clock,
    monotonic: time.monotonic,
    random: () => 0,
    defer: (task) => setImmediate(task),
    log: pino({ level: 'silent' }),
    prober,
    firstVersion: 1,
    onSnapshot: (made) => {
      snapshot = made;
    },
    onTargetChange: () => {},
  });
  engine.setConfig(
    config({
      clusters: [given.cluster],
      pools: [poolConfig('web', { ...given.pool, sources: [given.source] })],
    }),
  );
  if (given.drained) engine.drain('iad', 'node-1');
  const other = nodeFact('node-2');
  const inventory = clusterInventory({
    origin: given.origin,
    syncedAtMs: time.nowMs,
    nodes: [given.node, other],
    services: given.service === null ? [] : [given.service],
    slices: given.slices,
  });
  if (given.joinsLate) {
    engine.setInventory({ clusters: { iad: { ...inventory, nodes: [other] } } }, 0);
    await time.move(5000);
  }
  engine.setInventory({ clusters: { iad: inventory } }, 0);
  await time.move(2000);
  const row = engine.explained({ node: 'node-1' })[0];
  await engine.close();
  assert.ok(row !== undefined, 'node-1 is explained');
  assert.ok(snapshot !== null);
  return { row, member: memberOf(snapshot) };
}

function memberOf(snapshot: Snapshot): Judged['member'] {
  for (const { members } of snapshot.hostSets) {
    const found = members.find(({ host }) => host.node === 'node-1');
    if (found !== undefined) return found;
  }
  return null;
}

const codesOf = ({ row }: Judged): string[] => row.reasons.map(({ code }) => code);

const STRENGTH: readonly Outcome[] = ['excluded', 'draining', 'last-resort', 'unhealthy', 'none'];

/** What has to come of rows together: said here once, from the table alone. */
function expectation(rows: readonly TruthRow[]): {
  readonly told: readonly string[];
  readonly untold: readonly string[];
  readonly state: string;
  readonly lastResort: boolean;
  readonly unhealthy: boolean;
} {
  const codes = rows.map(({ code }) => code);
  const silenced = new Set(codes.flatMap((code) => SILENCES[code] ?? []));
  // Shared by node and service: without a common family nothing can be said of endpoints either.
  if (rows.some(({ about }) => about === 'family'))
    for (const { about, code } of rows) if (about === 'endpoints') silenced.add(code);
  if (codes.includes('service-not-found') && rows.some(({ about }) => about === 'family'))
    silenced.add('family-mismatch');
  let heard = rows.filter(({ code }) => !silenced.has(code));
  const has = (outcome: Outcome): boolean => heard.some((row) => row.outcome === outcome);
  const state = has('excluded') ? 'excluded' : has('draining') ? 'draining' : 'active';
  const unseen =
    state === 'excluded' ? UNSEEN_WHEN_EXCLUDED : state === 'draining' ? UNSEEN_WHEN_DRAINING : [];
  heard = heard.filter(({ code }) => !unseen.includes(code));
  const told = heard.map(({ code }) => code);
  // A pool with a probe of its own knows better than kube-proxy's word.
  const noted = (code: string): boolean =>
    code === 'health-check-node-port' && rows.some(({ about }) => about === 'probe');
  const lasts = ({ code, outcome }: TruthRow): boolean => outcome === 'last-resort' && !noted(code);
  return {
    told,
    untold: codes.filter((code) => !told.includes(code)),
    state: state === 'active' && told.includes('unproven') ? 'filling' : state,
    // A mark as last resort would say nothing of what takes no new flow anyway.
    lastResort: state === 'active' && heard.some(lasts),
    unhealthy: told.includes('probe-failed'),
  };
}

function check(rows: readonly TruthRow[], judged: Judged): void {
  const wanted = expectation(rows);
  const codes = codesOf(judged);
  const label = `${rows.map(({ name }) => name).join(' + ')}: ${judged.row.state} ${codes.join()}`;
  for (const code of wanted.told) assert.ok(codes.includes(code), `${label}; ${code} is missing`);
  for (const code of wanted.untold) assert.ok(!codes.includes(code), `${label}; ${code} is too much`);
  assert.equal(judged.row.state, wanted.state, label);
  assert.equal(judged.row.health === 'unhealthy', wanted.unhealthy, label);
  if (wanted.state === 'excluded') return assert.equal(judged.member, null, label);
  assert.equal(judged.row.lastResort, wanted.lastResort, label);
  const { state, health, lastResort } = judged.row;
  assert.deepEqual(
    [judged.member?.state, judged.member?.health, judged.member?.lastResort],
    [state, health, lastResort],
    label,
  );
  const strengths = rows
    .filter(({ code }) => wanted.told.includes(code))
    .map(({ code, outcome }) => ({ at: codes.indexOf(code), strength: STRENGTH.indexOf(outcome) }));
  const draining = strengths.filter(({ strength }) => strength === 1);
  for (const { at } of draining)
    for (const other of strengths) if (other.strength > 1) assert.ok(at < other.at, `${label}; order`);
}

describe('NodePort truth, each row alone', () => {
  test('nothing special: active, ready, in the snapshot', async () => {
    const judged = await judge();
    assert.deepEqual(
      [judged.row.state, judged.row.lastResort, codesOf(judged)],
      ['active', false, ['ready']],
    );
    assert.notEqual(judged.member, null);
  });
  for (const row of TRUTH_ROWS) {
    test(`${row.name}: ${row.outcome}, ${row.code}`, async () => check([row], await judge(row)));
  }
});

describe('NodePort truth, in pairs', () => {
  for (const [index, first] of TRUTH_ROWS.entries()) {
    test(`${first.name}, with every row after it: both reasons told, the stronger outcome`, async () => {
      for (const second of TRUTH_ROWS.slice(index + 1)) {
        if (first.about === second.about) continue;
        check([first, second], await judge(first, second));
      }
    });
  }
});

test('docs/targets.md lists every reason code with its effect, its words and what would change it', async () => {
  const page = await readFile(new URL('../../../docs/targets.md', import.meta.url), 'utf8');
  const listed = page
    .split('\n')
    .filter((line) => /^\| `[a-z-]+` \| (excluded|draining|last-resort|none) \|/.test(line));
  const rows = REASON_CODES.map((code) => {
    const { effect, text, fix } = REASONS[code];
    return `| \`${code}\` | ${effect} | ${text}. | ${fix} |`;
  });
  assert.deepEqual(listed, rows);
});

test('what keeps new flows away says in words what it is and what would change it', async () => {
  for (const row of TRUTH_ROWS) {
    const judged = await judge(row);
    const told = judged.row.reasons.find(({ code }) => code === row.code);
    assert.match(told?.text ?? '', /^[A-Zehk].*\.$/, row.code);
    if (row.outcome !== 'none') assert.match(told?.fix ?? '', /\.$/, `${row.code} says what would change it`);
  }
});
