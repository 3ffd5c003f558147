// Whether a change is slower, from paired rounds: an exact signed-rank interval for the ratio, and what it allows to say.

export type Verdict = 'slower' | 'not slower' | 'faster';

export interface Rule {
  /** How often, at most, a run of all its cases may say "slower" of a change that costs nothing: 0 to 1. */
  readonly falseAlarms: number;
  /** Cases that are judged in one run; each gets an equal part of the false alarms (Bonferroni). */
  readonly cases: number;
  /** Least change that is worth a word, as a share: 0.02 is 2%. */
  readonly leastEffect: number;
}

export interface Judgement {
  readonly verdict: Verdict;
  /** Change in CPU for each request, as a share: 0.05 is 5% more than the base. */
  readonly change: number;
  /** What the change lies between, wrong on either side with at most the case's part of the false alarms. */
  readonly low: number;
  readonly high: number;
}

/**
 * Each round is one observation: both programs ran in it as fresh processes, and chance said which came first. Where the
 * change costs nothing, the logarithm of a round's ratio is therefore as likely to have one sign as the other, whatever
 * the machine did in the meantime, and Wilcoxon's signed-rank distribution holds exactly.
 * @param ratios CPU of the change divided by CPU of the base, one for each round
 * @throws RangeError for fewer rounds than could ever show a change under this rule
 */
export function judge(ratios: readonly number[], rule: Rule): Judgement {
  const least = leastRounds(rule);
  if (ratios.length < least)
    throw new RangeError(`${ratios.length} rounds can show nothing under this bound: it takes ${least}`);
  const averages = pairAverages(ratios.map(Math.log));
  const outside = outsideOf(ratios.length, rule.falseAlarms / rule.cases);
  const low = Math.expm1(averages[outside - 1]!);
  const high = Math.expm1(averages[averages.length - outside]!);
  const change = Math.expm1(middleOf(averages));
  return { verdict: verdictOf(change, low, high, rule.leastEffect), change, low, high };
}

function verdictOf(change: number, low: number, high: number, leastEffect: number): Verdict {
  if (low > 0 && change >= leastEffect) return 'slower';
  return high < 0 && change <= -leastEffect ? 'faster' : 'not slower';
}

/** With fewer rounds, even a change that shows in every one of them is within chance. */
export function leastRounds({ falseAlarms, cases }: Rule): number {
  return Math.ceil(Math.log2(cases / falseAlarms));
}

/** Means of all pairs of values, each with itself too, in order (Walsh); their median is Hodges and Lehmann's estimate. */
function pairAverages(values: readonly number[]): readonly number[] {
  return values
    .flatMap((one, at) => values.slice(at).map((other) => (one + other) / 2))
    .sort((left, right) => left - right);
}

/** How many averages lie outside the interval on each side: the most whose chance is not above `chance`. */
function outsideOf(rounds: number, chance: number): number {
  const counts = rankSums(rounds);
  let left = chance * 2 ** rounds;
  let outside = 0;
  while (counts[outside]! <= left) {
    left -= counts[outside]!;
    outside += 1;
  }
  return outside;
}

/** How many of the 2^n ways to sign the ranks 1..n give each sum of the negative ones. */
function rankSums(n: number): readonly number[] {
  const counts = new Array<number>((n * (n + 1)) / 2 + 1).fill(0);
  counts[0] = 1;
  for (let rank = 1; rank <= n; rank += 1) {
    for (let sum = counts.length - 1; sum >= rank; sum -= 1) counts[sum]! += counts[sum - rank]!;
  }
  return counts;
}

function middleOf(sorted: readonly number[]): number {
  const upper = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[upper]! : (sorted[upper]! + sorted[upper - 1]!) / 2;
}
