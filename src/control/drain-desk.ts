// Drains as operators see them: begin and end, the state of what is drained, and the barrier that says when nothing is left.

import type { DrainInForce, DrainOutcome, DrainState, DrainSubject } from './admin/admin-source.ts';
import { type Clock, Deadline, sleep } from './discovery/clock.ts';
import type { Publisher } from './publisher.ts';
import type { Questions } from './questions.ts';
import type { TargetEngine } from './targets/engine-contract.ts';

export interface DrainDeskOptions {
  readonly engine: TargetEngine;
  readonly publisher: Publisher;
  readonly questions: Questions;
  /** Processes by worker name, those that leave included. */
  readonly workers: () => ReadonlyMap<string, number>;
  readonly hasCluster: (name: string) => boolean;
  readonly clock: Clock;
  /** Writes the drains down; resolves when the disk has them, false when it has not. */
  readonly keep: () => Promise<boolean>;
}

/** How often a waiting barrier asks the workers. */
const ASK_MS = 100;

export class DrainDesk {
  readonly #options: DrainDeskOptions;
  readonly #closing = new AbortController();
  #kept = true;

  constructor(options: DrainDeskOptions) {
    this.#options = options;
  }

  async drain(subject: DrainSubject): Promise<DrainOutcome> {
    if (!this.#knows(subject)) return { found: false };
    this.#options.engine.drain(subject.cluster, subject.node);
    this.#kept = await this.#options.keep();
    return this.#look(subject);
  }

  async undrain(subject: DrainSubject): Promise<DrainOutcome> {
    if (!this.#knows(subject)) return { found: false };
    this.#options.engine.undrain(subject.cluster, subject.node);
    this.#kept = await this.#options.keep();
    return this.#look(subject);
  }

  async drained(subject: DrainSubject, waitMs: number, left: AbortSignal): Promise<DrainOutcome> {
    if (!this.#knows(subject)) return { found: false };
    const { clock } = this.#options;
    const deadline = new Deadline(clock, AbortSignal.any([this.#closing.signal, left]));
    if (waitMs > 0) deadline.restart(waitMs);
    try {
      for (;;) {
        const isLast = waitMs === 0 || deadline.signal.aborted;
        const outcome = await this.#look(subject);
        if (isLast || (outcome.found && outcome.drained)) return outcome;
        await sleep(clock, ASK_MS, deadline.signal);
      }
    } finally {
      deadline.dispose();
    }
  }

  drains(): readonly DrainInForce[] {
    return this.#options.engine.drains().map(({ cluster, node, sinceMs }) => ({ cluster, node, sinceMs }));
  }

  /** Barriers that wait answer with what is left now. */
  close(): void {
    this.#closing.abort();
  }

  async #look({ cluster, node }: DrainSubject): Promise<DrainOutcome> {
    const { engine, publisher, questions, workers } = this.#options;
    // What was drained a moment ago must be in the snapshot that the workers are asked about.
    engine.flush();
    const version = engine.snapshot()?.version ?? 0;
    const names = [...workers().keys()];
    const answers = await questions.askAll(names, { kind: 'flows', cluster, node });
    const flows = answers.reduce((sum, answer) => sum + (answer.kind === 'flows' ? answer.flows : 0), 0);
    // A worker that did not answer may have flows, and one with an older snapshot may begin one.
    const isCertain =
      answers.length === names.length && names.every((name) => publisher.versionOf(name) >= version);
    const draining = engine
      .drains()
      .some((drain) => drain.cluster === cluster && (drain.node === null || drain.node === node));
    const isEmpty = flows === 0 && isCertain;
    const state: DrainState = engine.standing(cluster, node) ?? (isEmpty ? 'gone' : 'draining');
    return { found: true, state, draining, drained: state === 'gone', flows, kept: this.#kept };
  }

  #knows({ cluster, node }: DrainSubject): boolean {
    const { engine, hasCluster } = this.#options;
    if (node === null) return hasCluster(cluster);
    // A node that has left the API while it drained is still asked about.
    const isDrained = engine.drains().some((drain) => drain.cluster === cluster && drain.node === node);
    return isDrained || engine.explainNode(node).some((known) => known.cluster === cluster);
  }
}
