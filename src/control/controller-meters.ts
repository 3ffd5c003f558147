// What the controller counts itself: reloads, discovery, probes, targets, and the way of an event to the workers.

import { MetricsBoard, type MetricsFrame } from '../telemetry/metrics-board.ts';
import type { ClusterStatus } from './discovery/cluster-status.ts';
import { type OnCount, RESOURCES } from './discovery/counts.ts';
import type { DrainFileResult } from './drain-store.ts';
import type { ProbeResult } from './health/probe-result.ts';
import type { ProbeSpec } from './health/scheduler.ts';
import type { PoolCounts } from './targets/counts.ts';
import type { CertificateState, MaterialResult } from './tls/material.ts';

export class ControllerMeters {
  readonly #board: MetricsBoard;
  readonly #eventToApply: number;
  /** Made anew for each scrape: what is gone has no series, and takes no place from what comes. */
  #gauges = new MetricsBoard();
  readonly #lostCounted = new Map<string, number>();

  constructor(board: MetricsBoard, build: { readonly version: string; readonly node: string }) {
    this.#board = board;
    this.#eventToApply = board.histogram('portico_k8s_event_to_apply_seconds', {});
    board.values[board.gauge('portico_build_info', build)] = 1;
  }

  reloaded(ok: boolean, atMs: number): void {
    this.#add(this.#board.counter('portico_config_reloads_total', { result: ok ? 'ok' : 'failed' }));
    if (!ok) return;
    const slot = this.#board.gauge('portico_config_last_reload_success_timestamp_seconds', {});
    this.#board.values[slot] = atMs / 1000;
  }

  eventApplied(tookMs: number): void {
    this.#board.observe(this.#eventToApply, tookMs / 1000);
  }

  drainFile(result: DrainFileResult): void {
    this.#add(this.#board.counter('portico_drain_file_total', { result }));
  }

  processReplaced(role: string, reason: string): void {
    this.#add(this.#board.counter('portico_worker_restarts_total', { role, reason }));
  }

  probed(spec: ProbeSpec, result: ProbeResult): void {
    const kind = spec.target.kind;
    this.#add(this.#board.counter('portico_healthcheck_total', { kind, result: result.failure ?? 'ok' }));
    const slot = this.#board.histogram('portico_healthcheck_duration_seconds', { kind });
    this.#board.observe(slot, result.durationMs / 1000);
  }

  certificateChanged(certificate: string, result: MaterialResult): void {
    this.#add(this.#board.counter('portico_tls_certificate_changes_total', { certificate, result }));
  }

  readonly discovered: OnCount = (name, labels) => {
    if (name === 'watch-restart') {
      const { cluster, kind, reason } = labels as { cluster: string; kind: string; reason: string };
      this.#add(this.#board.counter('portico_k8s_watch_restarts_total', { cluster, kind, reason }));
    } else if (name === 'unlisted') {
      const { cluster, kind } = labels as { cluster: string; kind: string };
      this.#add(this.#board.counter('portico_k8s_unlisted_objects_total', { cluster, kind }));
    } else if (name === 'inventory-file') {
      const { cluster, result } = labels as { cluster: string; result: string };
      this.#add(this.#board.counter('portico_inventory_file_total', { cluster, result }));
    }
  };

  nameLooked(result: string): void {
    this.#add(this.#board.counter('portico_name_lookups_total', { result }));
  }

  linesLost(role: string, reason: string, lines: number): void {
    this.#board.values[this.#board.counter('portico_log_lines_lost_total', { role, reason })]! += lines;
  }

  /** @param lost since the start of this process */
  ownLinesLost(lost: Readonly<Record<string, number>>): void {
    for (const [reason, lines] of Object.entries(lost)) {
      this.linesLost('controller', reason, lines - (this.#lostCounted.get(reason) ?? 0));
      this.#lostCounted.set(reason, lines);
    }
  }

  /** The gauges that `describe` has made last. */
  described(): MetricsFrame {
    this.#gauges.invalidate();
    return this.#gauges.frame();
  }

  /** Makes the gauges that tell of targets, clusters and certificates; called before a scrape. */
  describe(
    pools: readonly PoolCounts[],
    clusters: readonly ClusterStatus[],
    certificates: readonly CertificateState[],
  ): void {
    const gauges = new MetricsBoard();
    this.#gauges = gauges;
    for (const counts of pools) this.#describePool(counts);
    for (const { certificate, notAfterMs } of certificates) {
      const slot = gauges.gauge('portico_tls_certificate_not_after_timestamp_seconds', { certificate });
      this.#set(slot, notAfterMs / 1000);
    }
    for (const { cluster, kinds, syncedAtMs } of clusters) {
      for (const kind of RESOURCES) {
        const status = kinds[kind];
        // No Secret is read where none is named.
        if (kind === 'secrets' && status.scopes.length === 0) continue;
        const labels = { cluster, kind };
        this.#set(gauges.gauge('portico_k8s_watch_up', labels), status.synced && !status.failing ? 1 : 0);
        this.#set(
          gauges.gauge('portico_k8s_last_sync_timestamp_seconds', labels),
          // Not listed yet by this process: what it serves is as old as the inventory from disk.
          (status.lastSyncMs > 0 ? status.lastSyncMs : syncedAtMs) / 1000,
        );
      }
    }
  }

  #describePool({ pool, states, health, reasons }: PoolCounts): void {
    for (const [state, count] of Object.entries(states)) {
      this.#set(this.#gauges.gauge('portico_target_state', { pool, state }), count);
    }
    for (const [name, count] of Object.entries(health)) {
      this.#set(this.#gauges.gauge('portico_target_health', { pool, health: name }), count);
    }
    for (const [reason, count] of Object.entries(reasons)) {
      this.#set(this.#gauges.gauge('portico_target_reasons', { pool, reason }), count);
    }
  }

  /** Those beyond the bound of a family are one, which counts them together. */
  #set(slot: number, value: number): void {
    this.#gauges.values[slot]! += value;
  }

  #add(slot: number): void {
    this.#board.values[slot]! += 1;
  }
}
