// What stands around the steps: the first look, the end, and the summary of what the clients saw.

import process from 'node:process';
import { peerVersion, requirePeers } from '../support/peers.ts';
import type { World } from './world.ts';

const DRAIN_LIMIT_MS = 15_000;

/** Before anything changes: all targets proven, and every client has had an answer. */
export async function firstLook(world: World): Promise<void> {
  const { report } = world;
  const active = { state: 'active' } as const;
  await world.shows('start', performance.now(), ['unicorn'], {
    'node-1': active,
    'node-2': active,
    'node-3': active,
  });
  const local = { state: 'excluded', reasons: ['no-local-endpoint'] } as const;
  await world.shows('start', performance.now(), ['unicorn-api', 'git-ssh'], {
    'node-1': active,
    'node-2': active,
    'node-3': local,
  });
  await report.check('`portico targets --json` says what the admin API says', async () => {
    const fromApi = summary(await world.portico.targets());
    const fromCommand = summary(await world.portico.targetsCommand());
    if (fromApi !== fromCommand) {
      throw new Error(`${fromCommand} is not ${fromApi}`);
    }
  });
  await world.showTargets();
  world.transcript.sentence(report.takeChecks());
}

function summary(rows: Awaited<ReturnType<World['portico']['targets']>>): string {
  return rows
    .map((row) => `${row.pool} ${row.node} ${row.address}:${row.port} ${row.state}`)
    .toSorted()
    .join('\n');
}

/** Stops the clients, then Portico by SIGTERM, and looks for what is left of it. */
export async function finish(world: World): Promise<void> {
  const { report } = world;
  report.say('\nThe end');
  world.transcript.heading('The end');
  await world.stopClients();
  await report.check('every client was served', () => {
    const idle = world.ledger.rows().filter((row) => row.succeeded === 0);
    if (idle.length > 0) {
      throw new Error(`no success at all: ${idle.map((row) => row.client).join(', ')}`);
    }
  });
  const tree = await world.portico.processTree();
  await report.check('SIGTERM drains Portico: exit code 0 and no process left', async () => {
    const code = await world.portico.drain(DRAIN_LIMIT_MS);
    if (code !== 0) {
      throw new Error(`exit code ${code}`);
    }
    const left = tree.filter((pid) => isAlive(pid));
    if (left.length > 0) {
      throw new Error(`still there: ${left.join(', ')}`);
    }
  });
  world.transcript.sentence(report.takeChecks());
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // ESRCH: no such process, which is what is asked.
    return false;
  }
}

/** Client by client, event by event; into the transcript as well. */
export function summarize(world: World, seconds: number, longestPauseMs: number): void {
  const { report, ledger, transcript } = world;
  const lines = [
    '| client | succeeded | failed | median ms | p99 ms | max ms |',
    '| --- | --- | --- | --- | --- | --- |',
    ...ledger
      .rows()
      .map((r) => `| ${r.client} | ${r.succeeded} | ${r.failed} | ${r.p50} | ${r.p99} | ${r.max} |`),
  ];
  const programs = requirePeers(['sshd', 'ssh', 'git', 'curl']);
  const versions = (['sshd', 'ssh', 'git', 'curl'] as const).map(
    (name) => `${name}: ${peerVersion(name, programs[name])}`,
  );
  const facts = `${seconds.toFixed(0)} s; ${world.arrivals.total} requests and sessions and ${world.arrivals.probes} probes at the backends, ${world.nodePorts?.strays ?? 0} connections at a node with nothing to serve them; this process, which plays clients and backends, paused for at most ${longestPauseMs.toFixed(0)} ms.`;
  transcript.heading('What the clients saw');
  transcript.sentence(lines.join('\n'));
  transcript.sentence(facts);
  for (const failure of ledger.failures) {
    transcript.sentence(`- failed: ${failure.client}: ${failure.reason}`);
  }
  transcript.heading('From event to effect');
  transcript.sentence(report.measurementTable());
  transcript.sentence(`Programs: Node ${process.version}; ${versions.join('; ')}.`);
  report.say(`\n${lines.join('\n')}\n\n${report.measurementTable()}\n\n${facts}`);
}
