// How connects went lately, of a target or of a pool: the past fades.

/** Half of what was counted is forgotten after this time. */
const HALF_LIFE_MS = 10_000;
/** A run of failures is believed when it would come by chance less often than this. */
const CHANCE = 1e-6;
/** With fewer recent connects than this there is no share to speak of. */
const ENOUGH = 8;
/**
 * How far above what was seen the share elsewhere may really be, in standard deviations: the first moments after a pod has
 * died know of few connects, and a run that would be rare at the share seen so far is not at the true one.
 */
const DOUBT = 2;
/** A share of failures near 1 would ask for a run without end. */
const LONGEST_RUN = 100;

export class ConnectRecord {
  #succeeded = 0;
  #failed = 0;
  #atMs = 0;

  count(failed: boolean, nowMs: number): void {
    this.#fade(nowMs);
    if (failed) this.#failed += 1;
    else this.#succeeded += 1;
  }

  /**
   * Share of failures in this record without the part, 0 to 1; 0 while too few are known.
   * @param silent no answer came at all, which may be a dead pod's doing: then it is the upper bound of Wilson's interval
   */
  failureShareWithout(part: ConnectRecord, silent: boolean, nowMs: number): number {
    this.#fade(nowMs);
    part.#fade(nowMs);
    const failed = Math.max(0, this.#failed - part.#failed);
    const total = failed + Math.max(0, this.#succeeded - part.#succeeded);
    if (silent) return upperBound(failed, total);
    return total < ENOUGH ? 0 : failed / total;
  }

  #fade(nowMs: number): void {
    if (nowMs <= this.#atMs) return;
    const kept = 2 ** ((this.#atMs - nowMs) / HALF_LIFE_MS);
    this.#succeeded *= kept;
    this.#failed *= kept;
    this.#atMs = nowMs;
  }
}

/** Of the share of failures, from Wilson's score interval; 1 where nothing is known. */
function upperBound(failed: number, total: number): number {
  const square = DOUBT * DOUBT;
  const spread = total === 0 ? 0 : (failed * (total - failed)) / total;
  return (failed + square / 2 + DOUBT * Math.sqrt(spread + square / 4)) / (total + square);
}

/**
 * How many failures in a row say something about one target, when this share of connects fails at the others too.
 * Behind policy Cluster a dead node's pod makes a share of all connects hang whatever the node.
 */
export function runThatTells(limit: number, shareElsewhere: number): number {
  if (shareElsewhere <= 0) return limit;
  if (shareElsewhere >= 1) return LONGEST_RUN;
  return Math.max(limit, Math.min(LONGEST_RUN, Math.ceil(Math.log(CHANCE) / Math.log(shareElsewhere))));
}
