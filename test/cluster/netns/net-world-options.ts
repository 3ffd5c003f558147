// What a world is made with: the parts that stand before it, and how long and beside whom it runs.

import type { ControlPlane } from '../control-plane.ts';
import type { Kubectl, Transcript } from '../kubectl.ts';
import type { Report } from '../report.ts';
import type { KubeletContext } from './machine.ts';
import type { SynWatch } from './syn-watch.ts';

export interface NetWorldOptions {
  readonly directory: string;
  readonly run: string;
  readonly kubectl: Kubectl;
  readonly controlPlane: ControlPlane;
  readonly transcript: Transcript;
  readonly report: Report;
  readonly kubelet: KubeletContext;
  readonly syns: SynWatch;
  /** Its version. */
  readonly kubernetes: string;
  /** Steps wait for as long as life does; otherwise they use their short forms. */
  readonly long: boolean;
  /** HAProxy and Traefik run beside, asked by clients of their own. */
  readonly peers: boolean;
}
