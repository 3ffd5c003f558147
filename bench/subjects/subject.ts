// What the benchmark measures: a proxy that can be started in front of the backend.

import type { Child } from '../measure/child.ts';

export interface SubjectContext {
  /** Where the proxy runs, as taskset reads it. */
  readonly cores: string;
  readonly backendPort: number;
  /** An empty directory for whatever it writes. */
  readonly directory: string;
}

export interface Running {
  readonly child: Child;
  readonly url: string;
  /** Called after the process has ended: throws when it has not done its duties for so many requests. */
  checkDuties(requests: number): Promise<void>;
}

export interface Subject {
  readonly name: string;
  /** What it does beside proxying, in a few words. */
  readonly duties: string;
  start(context: SubjectContext): Promise<Running>;
}
