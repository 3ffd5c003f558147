// Which goal holds for a peer: the one of the name that its own begins with.

export function goalOf(peer: string, goals: Readonly<Record<string, number>>): number | null {
  const name = Object.keys(goals).find((begin) => peer.startsWith(begin));
  return name === undefined ? null : goals[name]!;
}
