// Whether two pools have their targets from the same sets at the same ports, whatever is in the sets.

import type { SnapshotPool } from '../model/snapshot.ts';

type Shape = Pick<SnapshotPool, 'groups' | 'lost'>;

export function isSameShape(one: Shape, other: Shape): boolean {
  return (
    one.groups.length === other.groups.length &&
    one.lost.length === other.lost.length &&
    one.lost.every((identity, index) => identity === other.lost[index]) &&
    one.groups.every((group, index) => {
      const { hostSet, port, priority, weight } = other.groups[index]!;
      return (
        group.hostSet === hostSet &&
        group.port === port &&
        group.priority === priority &&
        group.weight === weight
      );
    })
  );
}
