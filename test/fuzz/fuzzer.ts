// The loop: mutate, judge, and keep what runs new code or behaves in a new way.

import { Buffer } from 'node:buffer';
import type { Entry } from './corpus.ts';
import { shrink } from './corpus.ts';
import type { Coverage } from './coverage.ts';
import { IndependentReader } from './llhttp.ts';
import { createRandom, Mutator } from './mutate.ts';
import { judge, type Kind, reasonOf, signatureOf, type Verdict } from './oracles.ts';

export interface Finding {
  readonly kind: Kind;
  readonly bytes: Buffer;
  readonly error: Error;
}

export interface Budget {
  /** Ends the run when it returns false; asked between batches. */
  readonly mayGoOn: (executions: number) => boolean;
}

export interface FuzzerOptions {
  readonly seed: number;
  readonly coverage: Coverage;
  readonly entries: readonly Entry[];
  /** Replaced by tests that plant a fault. */
  readonly judge?: (kind: Kind, bytes: Buffer, cuts: readonly number[]) => Verdict;
}

/** Inputs between two looks at the coverage: a look costs as much as some ten inputs. */
const BATCH = 96;
/** One in so many inputs is also read by llhttp, beside all those that are kept. */
const INDEPENDENT_EVERY = 16;
const MAX_FINDINGS = 5;

interface Input {
  readonly kind: Kind;
  readonly bytes: Buffer;
  readonly cuts: readonly number[];
  verdict: Verdict | null;
}

export class Fuzzer {
  executions = 0;
  /** Messages that llhttp read too. */
  independent = 0;
  readonly findings: Finding[] = [];
  /** Kept in this run: not on disk. */
  readonly kept: Input[] = [];
  readonly #options: FuzzerOptions;
  readonly #judge: NonNullable<FuzzerOptions['judge']>;
  readonly #random: () => number;
  readonly #mutator: Mutator;
  readonly #reader = new IndependentReader();
  readonly #signatures = new Set<string>();
  readonly #reasons = new Set<string>();
  readonly #pool: Input[] = [];

  constructor(options: FuzzerOptions) {
    this.#options = options;
    this.#judge = options.judge ?? judge;
    this.#random = createRandom(options.seed);
    this.#mutator = new Mutator(this.#random);
  }

  async run(budget: Budget): Promise<void> {
    const { coverage, entries } = this.#options;
    for (const { kind, bytes } of entries) {
      const input: Input = { kind, bytes, cuts: [bytes.length >> 1], verdict: null };
      if (this.#execute(input)) this.#pool.push(input);
      if (input.verdict === null) continue;
      this.#isNewSignature(input);
      this.#reasons.add(reasonOf(kind, input.verdict));
      await this.#readIndependently(input);
    }
    coverage.take();
    while (budget.mayGoOn(this.executions) && this.findings.length < MAX_FINDINGS) await this.#batch();
  }

  /** Whether nothing on disk, and nothing asked about before, ends for this reason. */
  isFirstOfItsReason(kind: Kind, bytes: Buffer): boolean {
    const reason = reasonOf(kind, this.#judge(kind, bytes, []));
    if (this.#reasons.has(reason)) return false;
    this.#reasons.add(reason);
    return true;
  }

  close(): void {
    this.#reader.close();
  }

  async #batch(): Promise<void> {
    const { coverage } = this.#options;
    const inputs: Input[] = [];
    for (let i = 0; i < BATCH; i++) {
      const input = this.#next();
      if (this.#execute(input)) inputs.push(input);
    }
    if (coverage.take() > 0) this.#keepWhatRunsNewCode(inputs);
    for (const [index, input] of inputs.entries()) {
      const fresh = this.#isNewSignature(input);
      if (fresh) this.#keep(input);
      if (fresh || index % INDEPENDENT_EVERY === 0) await this.#readIndependently(input);
    }
  }

  /** Which of the inputs ran it is found by halving: a look at the coverage costs more than an input. */
  #keepWhatRunsNewCode(inputs: readonly Input[]): void {
    const { coverage } = this.#options;
    const [only] = inputs;
    if (only === undefined) return;
    if (inputs.length === 1) {
      this.#keep(only);
      return;
    }
    coverage.forgetLast();
    const middle = inputs.length >> 1;
    for (const half of [inputs.slice(0, middle), inputs.slice(middle)]) {
      for (const input of half) this.#execute(input);
      if (coverage.take() > 0) this.#keepWhatRunsNewCode(half);
    }
  }

  #next(): Input {
    const parent = this.#choose();
    const other = this.#choose();
    const bytes = this.#mutator.mutate(parent.bytes, other.bytes);
    return { kind: parent.kind, bytes, cuts: this.#mutator.cuts(bytes.length), verdict: null };
  }

  /** What was kept last is tried more often: it lies at the border of what is known. */
  #choose(): Input {
    const pool = this.#pool;
    const last = Math.min(pool.length, 64);
    const index =
      this.#mutator.below(2) === 0
        ? this.#mutator.below(pool.length)
        : pool.length - 1 - this.#mutator.below(last);
    return pool[index]!;
  }

  #keep(input: Input): void {
    this.#pool.push(input);
    this.kept.push(input);
  }

  #isNewSignature(input: Input): boolean {
    const signature = signatureOf(input.kind, input.verdict!);
    if (this.#signatures.has(signature)) return false;
    this.#signatures.add(signature);
    return true;
  }

  /** False when the input is a finding. */
  #execute(input: Input): boolean {
    this.executions++;
    const { kind, cuts } = input;
    try {
      input.verdict = this.#judge(kind, input.bytes, cuts);
      return true;
    } catch (error) {
      const bytes = shrink(Buffer.from(input.bytes), (candidate) => {
        try {
          this.#judge(
            kind,
            candidate,
            cuts.filter((cut) => cut <= candidate.length),
          );
          return false;
        } catch {
          // Any failure will do: the shortest input of a chain of causes is the clearest.
          return true;
        }
      });
      this.#find({ kind, bytes, error: error as Error });
      return false;
    }
  }

  async #readIndependently(input: Input): Promise<void> {
    const { verdict } = input;
    if (verdict === null) return;
    try {
      for (const request of verdict.requests) await this.#reader.checkRequest(request);
      for (const response of verdict.responses) await this.#reader.checkResponse(response);
      this.independent += verdict.requests.length + verdict.responses.length;
    } catch (error) {
      this.#find({ kind: input.kind, bytes: Buffer.from(input.bytes), error: error as Error });
    }
  }

  #find(finding: Finding): void {
    const known = this.findings.some(({ error }) => error.message === finding.error.message);
    if (!known) this.findings.push(finding);
  }
}
