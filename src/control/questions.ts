// Questions to workers and their answers, matched by number; a worker that does not answer in time is left out.

import type { WorkerAnswer, WorkerQuestion } from '../model/messages.ts';

export interface QuestionsOptions {
  readonly send: (worker: string | null, id: number, question: WorkerQuestion) => void;
  readonly after: (delayMs: number, run: () => void) => () => void;
}

interface Pending {
  readonly answers: WorkerAnswer[];
  /** Who has not answered yet. */
  readonly wanted: Set<string>;
  readonly finish: () => void;
}

const PATIENCE_MS = 1000;

export class Questions {
  readonly #options: QuestionsOptions;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;

  constructor(options: QuestionsOptions) {
    this.#options = options;
  }

  /** Asks all that there are; the answers of those of `workers` that gave one within a second. */
  askAll(workers: readonly string[], question: WorkerQuestion): Promise<readonly WorkerAnswer[]> {
    return this.#ask(null, workers, question);
  }

  /** The answer of one worker, or undefined. */
  async askOne(worker: string, question: WorkerQuestion): Promise<WorkerAnswer | undefined> {
    return (await this.#ask(worker, [worker], question))[0];
  }

  /** One that has started since says nothing of those that were meant. */
  answered(worker: string, id: number, answer: WorkerAnswer): void {
    const pending = this.#pending.get(id);
    if (pending?.wanted.delete(worker) !== true) return;
    pending.answers.push(answer);
    if (pending.wanted.size === 0) pending.finish();
  }

  #ask(
    worker: string | null,
    wanted: readonly string[],
    question: WorkerQuestion,
  ): Promise<readonly WorkerAnswer[]> {
    if (wanted.length === 0) return Promise.resolve([]);
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve) => {
      const answers: WorkerAnswer[] = [];
      const finish = (): void => {
        cancel();
        this.#pending.delete(id);
        resolve(answers);
      };
      const cancel = this.#options.after(PATIENCE_MS, finish);
      this.#pending.set(id, { answers, wanted: new Set(wanted), finish });
      this.#options.send(worker, id, question);
    });
  }
}
