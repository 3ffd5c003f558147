// The steps of the run, in order; each leaves the world as it found it, so that any one can run alone.

import { NODE_STEPS } from './steps-nodes.ts';
import { OUTAGE_STEPS } from './steps-outages.ts';
import { ROLLING_STEPS } from './steps-rolling.ts';
import { SERVICE_STEPS } from './steps-services.ts';
import type { World } from './world.ts';

export interface Step {
  /** For `--only`. */
  readonly name: string;
  /** A heading of the transcript. */
  readonly title: string;
  /** True when it stops the API server, which only a cluster of our own allows. */
  readonly needsOwnControlPlane?: boolean;
  run(world: World): Promise<void>;
}

export const STEPS: readonly Step[] = [...NODE_STEPS, ...SERVICE_STEPS, ...ROLLING_STEPS, ...OUTAGE_STEPS];
