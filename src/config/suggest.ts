// Guesses which known word a misspelt one was meant to be.

/** The candidate nearest to `word`, or null when none is near enough to be worth naming. */
export function nearest(word: string, candidates: readonly string[]): string | null {
  const plain = simplify(word);
  // The distance takes time by the length; nothing that long is a misspelt key.
  if (plain === '' || plain.length > 64) {
    return null;
  }
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(plain.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(plain, simplify(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  // A word that was cut short is further away than its spelling says.
  return (
    best ?? candidates.find((candidate) => plain.length >= 3 && simplify(candidate).startsWith(plain)) ?? null
  );
}

/** Case and word separators are what people mix up most, so they do not count. */
function simplify(word: string): string {
  return word.toLowerCase().replace(/[-_\s]/g, '');
}

/** Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`: optimal string alignment. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let cost = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1));
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, beforeLast[column - 2]! + 1);
      }
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length]!;
}
