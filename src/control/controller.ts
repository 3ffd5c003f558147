// The controller: makes its parts (configuration, discovery, targets, publisher, admin), and drives them by messages.

import type { Logger } from 'pino';
import { formatProblems } from '../config/problem.ts';
import type {
  ControllerToSupervisor,
  SupervisorToController,
  WorkerToController,
} from '../model/messages.ts';
import { MetricsBoard } from '../telemetry/metrics-board.ts';
import { MetricsMerge } from '../telemetry/metrics-merge.ts';
import type { ProcessLog } from '../telemetry/process-log.ts';
import { createProcessMetrics } from '../telemetry/process-metrics.ts';
import { AdminSwitch } from './admin/admin-switch.ts';
import { AdminView } from './admin-view.ts';
import { Configuration, type Loaded } from './configuration.ts';
import { ControllerMeters } from './controller-meters.ts';
import { createEngine } from './create-engine.ts';
import type { Clock } from './discovery/clock.ts';
import { DrainDesk } from './drain-desk.ts';
import { DrainKeeper } from './drain-keeper.ts';
import { DrainStore } from './drain-store.ts';
import { Enforcement } from './enforcement.ts';
import { type HandedOver, Handover, type Retained } from './handover.ts';
import { InventoryFeed } from './inventory-feed.ts';
import { Publisher } from './publisher.ts';
import { Questions } from './questions.ts';
import type { TargetEngine } from './targets/target-engine.ts';
import { Keyring } from './tls/keyring.ts';
import { readSecrets } from './tls/read-secrets.ts';

export interface ControllerOptions {
  readonly configPath: string;
  readonly log: Logger;
  readonly lines: ProcessLog;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly nodeVersion: string;
  readonly clock: Clock;
  /** Milliseconds that only grow, for durations. */
  readonly monotonic: () => number;
  readonly random: () => number;
  readonly send: (message: ControllerToSupervisor) => void;
  /** Sets the level of this process's log once the configuration names it. */
  readonly setLogLevel: (level: string) => void;
}

export class Controller {
  readonly #options: ControllerOptions;
  readonly #meters: ControllerMeters;
  readonly #merge: MetricsMerge;
  readonly #processMetrics = createProcessMetrics();
  readonly #handover: Handover;
  readonly #publisher: Publisher;
  readonly #questions: Questions;
  readonly #configuration: Configuration;
  readonly #engine: TargetEngine;
  readonly #feed: InventoryFeed;
  readonly #keyring: Keyring;
  readonly #enforcement: Enforcement;
  readonly #drains: DrainKeeper;
  readonly #desk: DrainDesk;
  readonly #admin: AdminSwitch;
  /** Processes by worker name. */
  readonly #workers = new Map<string, number>();
  /** Workers whose end an earlier controller has counted: the supervisor tells of them again. */
  #counted: ReadonlySet<string> = new Set();
  #draining = false;

  /** @param servedVersion of the snapshot that workers serve already; 0 when there are none */
  constructor(options: ControllerOptions, servedVersion: number, left: HandedOver) {
    const { clock, log, monotonic, random, send } = options;
    this.#options = options;
    const board = new MetricsBoard();
    this.#meters = new ControllerMeters(board, { version: options.version, node: options.nodeVersion });
    const described = () => this.#meters.described();
    this.#merge = new MetricsMerge({ local: board, described, now: monotonic });
    this.#publisher = new Publisher({
      send: (publication) => send({ kind: 'publish', publication }),
      keep: (publication) => send({ kind: 'keep', publication }),
      now: clock.now,
      after: clock.after,
      onApplied: (snapshot, tookMs) => {
        if (tookMs !== null) this.#meters.eventApplied(tookMs);
        log.debug({ code: 'snapshot-applied', version: snapshot.version, tookMs }, 'snapshot applied');
        this.#configuration.accepted(snapshot.version);
      },
    });
    this.#questions = new Questions({
      send: (worker, id, question) => send({ kind: 'ask', worker, id, question }),
      after: clock.after,
    });
    this.#engine = createEngine({
      clock,
      monotonic,
      random,
      log,
      meters: this.#meters,
      servedVersion,
      tlsOptions: (tls, host, hostHeader) => this.#keyring.probes.options(tls, host, hostHeader),
      onSnapshot: (snapshot) => {
        log.debug({ code: 'snapshot-made', version: snapshot.version }, 'snapshot made');
        this.#publisher.publish(snapshot);
      },
      onDrainsEnded: () => void this.#drains.keep(),
    });
    this.#feed = new InventoryFeed({
      serving: servedVersion > 0,
      clock,
      random,
      log,
      environment: options.environment,
      onCount: this.#meters.discovered,
      onSecrets: () => this.#keyring.refresh(),
      onInventory: (inventory, receivedAtMs) => this.#engine.setInventory(inventory, receivedAtMs),
    });
    this.#configuration = new Configuration({
      path: options.configPath,
      environment: options.environment,
      clock,
      log,
      secretsOf: readSecrets,
      applyAdmin: (config) => this.#admin.use(config.admin),
      force: (loaded) => this.#enforcement.force(loaded),
      version: () => this.#engine.snapshot()?.version ?? 0,
      onLoaded: (ok) => this.#meters.reloaded(ok, clock.now()),
    });
    this.#handover = new Handover(send, () => ({
      metrics: this.#merge.retain(),
      drains: this.#drains.retained,
    }));
    this.#drains = new DrainKeeper({
      engine: this.#engine,
      store: new DrainStore({ log, now: clock.now, onCount: (result) => this.#meters.drainFile(result) }),
      after: clock.after,
      retain: () => this.#handover.retain(),
    });
    this.#desk = new DrainDesk({
      engine: this.#engine,
      publisher: this.#publisher,
      questions: this.#questions,
      workers: () => this.#workers,
      hasCluster: (name) =>
        this.#configuration.config?.clusters.some((cluster) => cluster.name === name) === true,
      clock,
      keep: () => this.#drains.keep(),
    });
    const view = new AdminView({
      engine: this.#engine,
      clusters: () => this.#feed.status(),
      publisher: this.#publisher,
      questions: this.#questions,
      state: () => ({
        config: this.#configuration.config,
        configPath: options.configPath,
        loadedAtMs: this.#configuration.loadedAtMs,
        problems: this.#configuration.problems,
        draining: this.#draining,
        workers: this.#workers,
      }),
      metrics: () => this.#metricsText(),
      reload: () => this.#configuration.reload(),
      desk: this.#desk,
      version: options.version,
      startedAtMs: clock.now(),
    });
    this.#admin = new AdminSwitch(view, log);
    this.#keyring = new Keyring(
      {
        clock,
        log,
        secret: (cluster, name) => this.#feed.secret(cluster, name),
        onChange: () => this.#enforcement.renewSecrets(),
        onResult: (certificate, result) => this.#meters.certificateChanged(certificate, result),
      },
      left.configuration,
    );
    this.#enforcement = new Enforcement({
      keyring: this.#keyring,
      handover: this.#handover,
      publisher: this.#publisher,
      drains: this.#drains,
      engine: this.#engine,
      feed: this.#feed,
      setLogLevel: options.setLogLevel,
      send,
    });
    if (left.retained !== null) this.#restore(left.retained);
    this.#handover.start();
  }

  /**
   * Loads the configuration for the first time; tells the supervisor when there is nothing to run.
   * @param kept what was in force in an earlier controller
   */
  async start(kept: Loaded | null): Promise<void> {
    const wrong = await this.#configuration.start(kept);
    if (wrong === null) return;
    const report = typeof wrong === 'string' ? wrong : formatProblems(wrong, { colour: false });
    this.#options.send({ kind: 'unusable', report });
  }

  onMessage(message: SupervisorToController): void {
    switch (message.kind) {
      case 'start':
        return;
      case 'reload':
        void this.#configuration.reload();
        return;
      case 'bound':
        this.#configuration.bound(message.version);
        return;
      case 'bind-failed':
        this.#refused(message.version, `listener ${message.listener} cannot listen on ${message.error}`);
        return;
      case 'whole-needed':
        this.#publisher.wholeNeeded(message.version);
        return;
      case 'worker-started':
        this.#workers.set(message.worker, message.pid);
        this.#publisher.workerStarted(message.worker);
        return;
      case 'worker-said':
        return this.#onWorker(message.worker, message.message);
      case 'process-exited':
        if (message.role === 'worker' && this.#counted.has(message.worker)) return;
        if (message.reason !== 'drained') this.#meters.processReplaced(message.role, message.reason);
        if (message.role === 'worker') {
          this.#workers.delete(message.worker);
          this.#merge.exit(message.worker);
          this.#publisher.workerGone(message.worker);
          this.#handover.retain();
        }
        return;
      case 'lines-lost':
        this.#meters.linesLost('supervisor', message.reason, message.lines);
        return;
      case 'draining':
        this.#draining = true;
        return;
    }
  }

  async close(): Promise<void> {
    this.#handover.close();
    await this.#keyring.close();
    this.#publisher.close();
    this.#desk.close();
    await Promise.all([this.#admin.close(), this.#engine.close(), this.#feed.close()]);
    this.#processMetrics.close();
    this.#handover.retain();
  }

  #refused(version: number, problem: string): void {
    this.#publisher.refused(version);
    this.#configuration.refused(version, problem);
  }

  #onWorker(worker: string, message: WorkerToController): void {
    switch (message.kind) {
      case 'applied':
        return this.#publisher.applied(worker, message.version);
      case 'rejected':
        return this.#refused(message.version, `a worker cannot run it: ${message.error}`);
      case 'metrics':
        this.#merge.apply(worker, message.frame);
        return;
      case 'proven':
        return this.#engine.proven(message.identity);
      case 'answer':
        return this.#questions.answered(worker, message.id, message.answer);
    }
  }

  async #metricsText(): Promise<string> {
    this.#meters.describe(this.#engine.counts(), this.#feed.status(), this.#keyring.certificates);
    this.#meters.ownLinesLost(this.#options.lines.lost);
    // What has been shown must not go back when this process is killed before its next report.
    this.#handover.retain();
    return this.#merge.text() + (await this.#processMetrics.text());
  }

  #restore({ metrics, drains }: Retained): void {
    this.#merge.restore(metrics);
    this.#counted = new Set(metrics.folded);
    if (drains !== null) this.#drains.restore(drains);
  }
}
