// The steps of the run, in order; each leaves the world as it found it, so that any one can run alone.

import type { NetWorld } from './net-world.ts';
import { CREDENTIAL_STEPS } from './steps-credentials.ts';
import { DRAIN_STEPS } from './steps-drains.ts';
import { DYING_STEPS } from './steps-dying.ts';
import { ILL_API_STEPS } from './steps-ill-api.ts';
import { LEAVING_STEPS } from './steps-leaving.ts';
import { OBJECT_STEPS } from './steps-objects.ts';
import { OUTAGE_STEPS } from './steps-outages.ts';
import { ROLE_STEPS } from './steps-roles.ts';
import { ROLLOUT_STEPS } from './steps-rollouts.ts';
import { SHARE_STEPS } from './steps-shares.ts';

export interface NetStep {
  /** For `--only`. */
  readonly name: string;
  readonly title: string;
  /** Left out of the short form. */
  readonly longOnly?: boolean;
  run(world: NetWorld): Promise<void>;
}

export const NET_STEPS: readonly NetStep[] = [
  ...ROLLOUT_STEPS,
  ...LEAVING_STEPS,
  ...DRAIN_STEPS,
  ...DYING_STEPS,
  ...OBJECT_STEPS,
  ...OUTAGE_STEPS,
  ...ILL_API_STEPS,
  ...CREDENTIAL_STEPS,
  ...ROLE_STEPS,
  ...SHARE_STEPS,
];
