// Makes the target engine with what it probes by, and what it logs and counts.

import { lookup } from 'node:dns/promises';
import type { Logger } from 'pino';
import type { Snapshot } from '../model/snapshot.ts';
import { Names } from '../names/names.ts';
import type { ControllerMeters } from './controller-meters.ts';
import type { Clock } from './discovery/clock.ts';
import { createProber, type TlsOptions } from './health/probes.ts';
import { logDrainEnded, logNodeChange, logSourceChange, logTargetChange } from './target-log.ts';
import { createTargetEngine, type TargetEngine } from './targets/target-engine.ts';

/** A started controller waits so long for what its probes say, in milliseconds: a few times the usual timeout. */
const FIRST_RESULTS_MS = 3000;

export interface EngineOptions {
  readonly clock: Clock;
  readonly monotonic: () => number;
  readonly random: () => number;
  readonly log: Logger;
  readonly meters: ControllerMeters;
  /** Of the snapshot that workers serve already; 0 when there are none. */
  readonly servedVersion: number;
  readonly tlsOptions: TlsOptions;
  readonly onSnapshot: (snapshot: Snapshot) => void;
  /** Drains ended because other machines have come under the same names. */
  readonly onDrainsEnded: () => void;
}

export function createEngine(options: EngineOptions): TargetEngine {
  const { clock, monotonic, random, log, meters, servedVersion, tlsOptions, onSnapshot } = options;
  const names = new Names({
    resolve: (name) => lookup(name, { all: true, order: 'ipv4first' }),
    now: monotonic,
    log,
    onResult: (result) => meters.nameLooked(result),
  });
  return createTargetEngine({
    clock,
    monotonic,
    random,
    defer: setImmediate,
    log,
    prober: createProber({ clock, monotonic, lookup: names.lookup, tlsOptions }),
    firstVersion: servedVersion + 1,
    // Workers serve what an earlier controller published: nothing empty may replace it, nor what knows less of health.
    ...(servedVersion > 0 ? { graceMs: Number.POSITIVE_INFINITY, firstResultsMs: FIRST_RESULTS_MS } : {}),
    onSnapshot,
    onTargetChange: (change) => logTargetChange(log, change),
    onNodeChange: (change) => logNodeChange(log, change),
    onSourceChange: (change) => logSourceChange(log, change),
    onProbe: (spec, result) => meters.probed(spec, result),
    onDrainsEnded: (ended) => {
      for (const drain of ended) logDrainEnded(log, drain);
      options.onDrainsEnded();
    },
  });
}
