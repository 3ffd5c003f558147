// Owns the controller's brain: inventory, configuration, probes, drains and proofs in; snapshots and explained targets out.

import type { Logger } from 'pino';
import type { Config } from '../../model/config.ts';
import type { Inventory } from '../../model/inventory.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { ExplainedTarget } from '../../model/targets.ts';
import { type CompileMemo, compile, createCompileMemo, type PoolTargets } from '../compile/compile.ts';
import { type Expansion, expandPools } from '../compile/expand.ts';
import type { Clock } from '../discovery/clock.ts';
import type { ProbeResult } from '../health/probe-result.ts';
import type { Prober } from '../health/probes.ts';
import {
  DEFAULT_SCHEDULER_LIMITS,
  ProbeScheduler,
  type ProbeSpec,
  type SchedulerLimits,
} from '../health/scheduler.ts';
