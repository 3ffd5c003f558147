// One log line for each target that joined, changed or left, with the codes of its reasons.

import type { Logger } from 'pino';
import type { TargetChange } from './targets/target-changes.ts';

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
      objects: target.objectVersion,
    },
    after === null ? 'target is gone' : `target is ${after.state}`,
  );
}
