// In which order one request tries the targets of its pool: as the policy picks, suspects last, last resorts when no dial hangs.

import type { Member } from '../../model/picker.ts';
import type { Pool } from './pool.ts';
import type { Target } from './target.ts';

/** Reused for every request of a client connection. */
export class TryOrder {
  #pool!: Pool;
  #hash = 0;
  /** All targets were tried once. */
  #isAroundAgain = false;
  readonly #tried: Member[] = [];
  /** Tried only when nobody else is left: their last connect failed or hangs, or a connection of theirs has fallen silent. */
  readonly #suspects: Member[] = [];

  begin(pool: Pool, hash: number): void {
    this.#pool = pool;
    this.#hash = hash;
    this.#isAroundAgain = false;
    this.forget();
  }

  /** All may be tried again. */
  forget(): void {
    // Setting a length goes through C++ and costs more than this.
    while (this.#tried.length > 0) this.#tried.pop();
    while (this.#suspects.length > 0) this.#suspects.pop();
  }

  /** There are targets that were not tried; whether one of them takes requests now, `next` says. */
  get hasOthers(): boolean {
    return this.#tried.length < this.#pool.size;
  }

  /** @param dialsHang those that were tried have not failed yet */
  next(nowMs: number, dialsHang: boolean): Target | undefined {
    const { picker, life } = this.#pool;
    for (;;) {
      const member = picker.pick(this.#hash, this.#tried);
      if (member === undefined || (member.lastResort && dialsHang && this.#keepsLastResort()))
        return undefined;
      this.#tried.push(member);
      const target = life.targetOf(member);
      if (target.suspectUntilMs <= nowMs || !this.#passesOver(member)) return target;
    }
  }

  /** One of those that `next` has passed over. */
  nextSuspect(): Target | undefined {
    const member = this.#suspects.shift();
    return member === undefined ? undefined : this.#pool.life.targetOf(member);
  }

  /** Once more around: behind the same node another connection may lead to another pod. */
  goAround(): void {
    this.#tried.length = 0;
    this.#isAroundAgain = true;
  }

  /** All dials were silent, which says less of a target than a refusal: after a time around any of them is tried again. */
  forgetTheSilent(): void {
    if (this.#isAroundAgain) this.#tried.length = 0;
  }

  /** The last one is tried again. */
  repeat(): void {
    this.#tried.pop();
  }

  /** This one is tried again when nobody else is left. */
  keepInReserve(target: Target): void {
    const member = this.#tried.find(({ live }) => live === target);
    if (member !== undefined) this.#suspects.push(member);
  }

  /** This one may be tried again. */
  readmit(target: Target): void {
    const index = this.#tried.findIndex(({ live }) => live === target);
    if (index !== -1) this.#tried.splice(index, 1);
  }

  /** The good ones hang but have not failed: they are asked once more before a last resort is. */
  #keepsLastResort(): boolean {
    const [first] = this.#tried;
    return !this.#isAroundAgain && first !== undefined && !first.lastResort;
  }

  /** Suspicion decides only while it is about a few: where it falls on half of the pool it says nothing about nodes. */
  #passesOver(member: Member): boolean {
    if ((this.#suspects.length + 1) * 2 > this.#pool.members.length) return false;
    this.#suspects.push(member);
    return true;
  }
}
