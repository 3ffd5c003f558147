// How many of the answers of late were gateway errors, of a target or of a pool: two counters for each of two windows.

/** Windows begin at the same moments everywhere, so that a target's can be compared with its pool's. */
const WINDOW_MS = 5000;
/** With fewer answers there is no share to speak of. */
export const ENOUGH_ANSWERS = 20;
/** Below this share a target is not worse than targets are on a bad day. */
export const BAD_SHARE = 0.2;
/** As many times as bad as the others of its pool: what fails everywhere is not one target's fault. */
export const TIMES_OTHERS = 2;

export class AnswerRecord {
  #window = 0;
  #answers = 0;
  #errors = 0;
  #answersBefore = 0;
  #errorsBefore = 0;

  count(isError: boolean, nowMs: number): void {
    this.#turn(nowMs);
    this.#answers += 1;
    if (isError) this.#errors += 1;
  }

  answers(nowMs: number): number {
    this.#turn(nowMs);
    return this.#answers + this.#answersBefore;
  }

  errors(nowMs: number): number {
    this.#turn(nowMs);
    return this.#errors + this.#errorsBefore;
  }

  clear(): void {
    this.#answers = 0;
    this.#errors = 0;
    this.#answersBefore = 0;
    this.#errorsBefore = 0;
  }

  #turn(nowMs: number): void {
    const window = Math.floor(nowMs / WINDOW_MS);
    if (window === this.#window) return;
    const follows = window === this.#window + 1;
    this.#answersBefore = follows ? this.#answers : 0;
    this.#errorsBefore = follows ? this.#errors : 0;
    this.#answers = 0;
    this.#errors = 0;
    this.#window = window;
  }
}

/** Whether the target fails clearly more often than the rest of its pool, which the pool's record includes. */
export function isWorseThanOthers(target: AnswerRecord, pool: AnswerRecord, nowMs: number): boolean {
  const answers = target.answers(nowMs);
  const errors = target.errors(nowMs);
  if (answers < ENOUGH_ANSWERS || errors < answers * BAD_SHARE) return false;
  const othersAnswers = pool.answers(nowMs) - answers;
  const othersErrors = Math.max(0, pool.errors(nowMs) - errors);
  if (othersAnswers < ENOUGH_ANSWERS) return false;
  return errors / answers >= (TIMES_OTHERS * othersErrors) / othersAnswers;
}
