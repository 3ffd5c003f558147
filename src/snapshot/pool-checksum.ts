// The checksum of a pool, which both ends of a publication make in the same way.

import type { HostSet, SnapshotPool } from '../model/snapshot.ts';

/** Equal exactly when settings, targets and what is lost are; a text and no digest, since it is made for every change. */
export function poolChecksum(
  { settings, groups, lost }: Pick<SnapshotPool, 'settings' | 'groups' | 'lost'>,
  hostSets: readonly HostSet[],
): string {
  let text = settings;
  for (const { hostSet, port, priority, weight } of groups) {
    const set = hostSets[hostSet];
    if (set === undefined) throw new RangeError(`there is no host set ${hostSet}`);
    text += ` ${set.key}:${port}:${priority}:${weight}`;
  }
  return lost.length === 0 ? text : `${text} lost ${lost.join(' ')}`;
}
