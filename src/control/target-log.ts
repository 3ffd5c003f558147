// One log line for each target that joined, changed or left, each change of a node's or a service's own reasons, and each drain that ended.

import type { Logger } from 'pino';
import type { Reason } from '../model/targets.ts';
import type { NodeChange } from './targets/cluster-view.ts';
import type { Drain } from './targets/drains.ts';
import type { SourceChange, TargetChange } from './targets/target-changes.ts';

export function logTargetChange(log: Logger, { before, after }: TargetChange): void {
  const target = after ?? before;
  if (target === null) return;
  const { pool, cluster, service, node, address, port } = target;
  log.info(
    {
      code: after === null ? 'target-gone' : before === null ? 'target-joined' : 'target-changed',
      pool,
      cluster,
      service,
      node,
      target: `${address}:${port}`,
      from: before?.state ?? null,
      to: after?.state ?? null,
      health: after?.health ?? null,
      reasons: (after ?? before)?.reasons.map(({ code }) => code) ?? [],
      by: (after ?? before)?.changedBy ?? '',
      objects: target.objectVersion,
    },
    after === null ? 'target is gone' : `target is ${after.state}`,
  );
}

/** Told also when no pool uses the node, so that the way out and back in can be read from the log alone. */
export function logNodeChange(log: Logger, { cluster, node, from, to }: NodeChange): void {
  const by = `node:${node.resourceVersion}`;
  log.info(
    { code: 'node-changed', cluster, node: node.name, from: codes(from), to: codes(to), by },
    sentence(to),
  );
}

export function logSourceChange(log: Logger, change: SourceChange): void {
  const { pool, cluster, service, from, to, by } = change;
  log.info(
    { code: 'source-changed', pool, cluster, service, from: codes(from), to: codes(to), by },
    sentence(to),
  );
}

export function logDrainEnded(log: Logger, { cluster, node }: Pick<Drain, 'cluster' | 'node'>): void {
  log.info({ code: 'drain-ended', cluster, node }, 'another machine has the name of a drained node');
}

function codes(reasons: readonly Reason[]): readonly string[] {
  return reasons.map(({ code }) => code);
}

function sentence(reasons: readonly Reason[]): string {
  return reasons[0]?.text ?? 'nothing speaks against it any more';
}
