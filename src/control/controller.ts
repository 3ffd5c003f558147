// The controller's composition root: configuration, discovery, probes, compile and admin, driven by the supervisor.

import type { Logger } from 'pino';
import { loadConfig } from '../config/load.ts';
import { formatProblems, type Problem } from '../config/problem.ts';
import type { Config } from '../model/config.ts';
import type { Inventory } from '../model/inventory.ts';
import type {
  ControllerToSupervisor,
  SupervisorToController,
  WorkerToController,
} from '../model/messages.ts';
import type { Secrets } from '../model/snapshot.ts';
import { MetricsBoard } from '../telemetry/metrics-board.ts';
import { MetricsMerge, type RetainedMetrics } from '../telemetry/metrics-merge.ts';
import { createProcessMetrics } from '../telemetry/process-metrics.ts';
import { type AdminServer, createAdminServer } from './admin/admin-server.ts';
import type { ReloadOutcome } from './admin/admin-source.ts';
import { AdminView } from './admin-view.ts';
import { ControllerMeters } from './controller-meters.ts';
import { createSystemClock } from './discovery/clock.ts';
import { createDiscovery, type Discovery } from './discovery/discovery.ts';
import { createInventoryStore } from './discovery/inventory-store.ts';
import { createProber } from './health/probes.ts';
import { Publisher } from './publisher.ts';
import { Questions } from './questions.ts';
import { scopesOf } from './scopes.ts';
import { readSecrets } from './secrets.ts';
import { logTargetChange } from './target-log.ts';
import { createTargetEngine, type TargetEngine } from './targets/target-engine.ts';

export interface ControllerOptions {
  readonly configPath: string;
  readonly log: Logger;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly nodeVersion: string;
  readonly send: (message: ControllerToSupervisor) => void;
  /** Sets the level of this process's log once the configuration names it. */
  readonly setLogLevel: (level: string) => void;
}

/** What the supervisor keeps for the next controller. */
interface Retained {
  readonly metrics: RetainedMetrics;
  readonly drains: readonly { readonly cluster: string; readonly node: string | null }[];
}

/** A configuration that is in force or being tried. */
interface Loaded {
  readonly config: Config;
  readonly secrets: Secrets;
}

const RETAIN_MS = 1000;
/** How long a controller that was started again prefers the workers' snapshot to an inventory from disk. */
const AWAIT_LIVE_MS = 3000;
/** How long a reload waits to hear that its sockets are bound. */
const RELOAD_PATIENCE_MS = 5000;
const ADMIN_CLOSE_MS = 1000;

export class Controller {
  readonly #options: ControllerOptions;
  readonly #log: Logger;
  readonly #clock = createSystemClock();
  readonly #board = new MetricsBoard();
  readonly #meters: ControllerMeters;
  readonly #merge: MetricsMerge;
  readonly #processMetrics = createProcessMetrics();
  readonly #publisher: Publisher;
  readonly #questions: Questions;
  readonly #engine: TargetEngine;
  readonly #view: AdminView;
  readonly #workers = new Map<string, number>();
  readonly #retainTimer: NodeJS.Timeout;
  #discovery: Discovery | null = null;
  #admin: AdminServer | null = null;
  #adminKey = '';
  #inForce: Loaded | null = null;
  #before: Loaded | null = null;
  #loadedAtMs = 0;
  #problems: readonly string[] = [];
  #draining = false;
  /** Started while workers serve: an inventory from disk is older than what they have. */
  #awaitsLive = false;
  #reloading: Promise<ReloadOutcome> | null = null;
  /** Settles the reload that waits for its sockets; the text is what went wrong. */
  #settleReload: ((version: number, problem: string | null) => void) | null = null;

  constructor(options: ControllerOptions, start: Extract<SupervisorToController, { kind: 'start' }>) {
    this.#options = options;
    this.#log = options.log;
    const monotonic = (): number => performance.now();
    this.#meters = new ControllerMeters(this.#board, { version: options.version, node: options.nodeVersion });
    this.#merge = new MetricsMerge({ local: this.#board, now: monotonic });
    this.#publisher = new Publisher({
      send: (publication) => options.send({ kind: 'publish', publication }),
      now: this.#clock.now,
      after: this.#clock.after,
      onApplied: (snapshot, tookMs) => {
        if (tookMs !== null) this.#meters.eventApplied(tookMs);
        this.#log.debug({ code: 'snapshot-applied', version: snapshot.version, tookMs }, 'snapshot applied');
      },
    });
    this.#questions = new Questions({
      send: (worker, id, question) => options.send({ kind: 'ask', worker, id, question }),
      after: this.#clock.after,
    });
    this.#engine = createTargetEngine({
      clock: this.#clock,
      monotonic,
      random: Math.random,
      defer: setImmediate,
      log: this.#log,
      prober: createProber({ clock: this.#clock, monotonic }),
      firstVersion: start.version + 1,
      // Workers serve what an earlier controller published: nothing empty may replace it.
      ...(start.version > 0 ? { graceMs: Number.POSITIVE_INFINITY } : {}),
      onSnapshot: (snapshot) => this.#publisher.publish(snapshot),
      onTargetChange: (change) => logTargetChange(this.#log, change),
      onProbe: (spec, result) => this.#meters.probed(spec, result),
    });
    this.#view = new AdminView({
      engine: this.#engine,
      discovery: () => this.#discovery,
      publisher: this.#publisher,
      questions: this.#questions,
      state: () => ({
        config: this.#inForce?.config ?? null,
        configPath: options.configPath,
        loadedAtMs: this.#loadedAtMs,
        problems: this.#problems,
        draining: this.#draining,
        workers: this.#workers,
      }),
      metrics: () => this.#metricsText(),
      reload: () => this.reload(),
      onDrainsChanged: () => this.#retain(),
      version: options.version,
      startedAtMs: this.#clock.now(),
    });
    this.#restore(start.retained as Retained | null);
    if (start.version > 0) {
      this.#awaitsLive = true;
      this.#clock.after(AWAIT_LIVE_MS, () => {
        this.#awaitsLive = false;
        if (this.#discovery !== null) this.#takeInventory(this.#discovery.inventory(), 0);
      });
    }
    this.#retainTimer = setInterval(() => this.#retain(), RETAIN_MS);
  }

  /** Loads the configuration for the first time; false when there is nothing to run. */
  async start(): Promise<boolean> {
    const loaded = await this.#load();
    if ('problems' in loaded) {
      this.#options.send({ kind: 'unusable', report: formatProblems(loaded.problems, { colour: false }) });
      return false;
    }
    try {
      await this.#applyAdmin(loaded.config);
    } catch (error) {
      const { host, port, unixPath } = loaded.config.admin;
      const where = unixPath === null ? `${host}:${port}` : `unix:${unixPath}`;
      this.#options.send({
        kind: 'unusable',
        report: `portico: admin cannot listen on ${where}: ${textOf(error)}\n`,
      });
      return false;
    }
    this.#force(loaded);
    return true;
  }

  onMessage(message: SupervisorToController): void {
    switch (message.kind) {
      case 'start':
        return;
      case 'reload':
        void this.reload();
        return;
      case 'bound':
        this.#settleReload?.(message.version, null);
        return;
      case 'bind-failed':
        this.#publisher.refused(message.version);
        this.#revert(`listener ${message.listener} cannot listen on ${message.error}`);
        this.#settleReload?.(
          message.version,
          `listener ${message.listener} cannot listen on ${message.error}`,
        );
        return;
      case 'worker-started':
        this.#workers.set(message.worker, message.pid);
        this.#publisher.workerStarted(message.worker);
        return;
      case 'worker-said':
        return this.#onWorker(message.worker, message.message);
      case 'process-exited':
        if (message.reason !== 'drained') this.#meters.processReplaced(message.role, message.reason);
        if (message.role === 'worker') {
          this.#workers.delete(message.worker);
          this.#merge.exit(message.worker);
          this.#publisher.workerGone(message.worker);
          this.#retain();
        }
        return;
      case 'draining':
        this.#draining = true;
        return;
    }
  }

  /** Reads the configuration anew; while one reload is under way, others wait for its outcome. */
  reload(): Promise<ReloadOutcome> {
    this.#reloading ??= this.#reload().finally(() => {
      this.#reloading = null;
    });
    return this.#reloading;
  }

  async close(): Promise<void> {
    clearInterval(this.#retainTimer);
    this.#publisher.close();
    await Promise.all([this.#admin?.close(ADMIN_CLOSE_MS), this.#engine.close(), this.#discovery?.close()]);
    this.#processMetrics.close();
    this.#retain();
  }

  async #reload(): Promise<ReloadOutcome> {
    const loaded = await this.#load();
    if ('problems' in loaded) {
      return this.#reloadFailed(
        loaded.problems.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`),
      );
    }
    try {
      await this.#applyAdmin(loaded.config);
    } catch (error) {
      return this.#reloadFailed([`admin cannot listen: ${textOf(error)}`]);
    }
    const versionBefore = this.#engine.snapshot()?.version ?? 0;
    const settled = new Promise<string | null>((resolve) => {
      const cancel = this.#clock.after(RELOAD_PATIENCE_MS, () =>
        resolve('the workers did not answer in time'),
      );
      this.#settleReload = (version, problem) => {
        if (version <= versionBefore) return;
        cancel();
        resolve(problem);
      };
    });
    this.#force(loaded);
    this.#engine.flush();
    const changed = (this.#engine.snapshot()?.version ?? 0) > versionBefore;
    const problem = changed ? await settled : null;
    this.#settleReload = null;
    if (problem !== null) return this.#reloadFailed([problem]);
    this.#log.info({ code: 'reloaded', version: this.#engine.snapshot()?.version }, 'configuration reloaded');
    return { ok: true, version: this.#engine.snapshot()?.version ?? 0, problems: [] };
  }

  #reloadFailed(problems: readonly string[]): ReloadOutcome {
    this.#problems = problems;
    this.#meters.reloaded(false, this.#clock.now());
    this.#log.error(
      { code: 'reload-failed', problems },
      'reload failed, the configuration before stays in force',
    );
    return { ok: false, version: this.#engine.snapshot()?.version ?? 0, problems };
  }

  async #load(): Promise<Loaded | { readonly problems: readonly Problem[] }> {
    const { configPath, environment } = this.#options;
    const result = await loadConfig(configPath, environment);
    if ('problems' in result) return result;
    for (const { code, file, line, column, message } of result.warnings) {
      this.#log.warn({ code, file, line, column }, message);
    }
    return { config: result.config, secrets: await readSecrets(result.config) };
  }

  /** Puts a configuration in force: discovery and targets follow, and with them the next snapshot. */
  #force(loaded: Loaded): void {
    const { config, secrets } = loaded;
    this.#before = this.#inForce;
    this.#inForce = loaded;
    this.#loadedAtMs = this.#clock.now();
    this.#problems = [];
    this.#meters.reloaded(true, this.#loadedAtMs);
    this.#options.setLogLevel(config.log.level);
    this.#options.send({ kind: 'settings', workers: config.workers });
    this.#publisher.secrets = secrets;
    this.#engine.setConfig(config);
    if (this.#discovery === null) this.#startDiscovery(config);
    else this.#discovery.setClusters(config.clusters, scopesOf(config));
    this.#takeInventory(this.#discovery!.inventory(), 0);
  }

  /** Workers that serve are not set back to what lies on disk while the live lists are a moment away. */
  #takeInventory(inventory: Inventory, receivedAtMs: number): void {
    if (this.#awaitsLive) {
      if (Object.values(inventory.clusters).some(({ origin }) => origin !== 'live')) return;
      this.#awaitsLive = false;
    }
    this.#engine.setInventory(inventory, receivedAtMs);
  }

  /** A configuration that the workers cannot run leaves the one before in force. */
  #revert(reason: string): void {
    const before = this.#before;
    if (before === null) return;
    this.#log.error(
      { code: 'configuration-reverted', reason },
      'configuration cannot be run, the one before stays',
    );
    this.#force(before);
    this.#before = null;
  }

  #startDiscovery(config: Config): void {
    const { log, environment } = this.#options;
    const clock = this.#clock;
    this.#discovery = createDiscovery({
      clusters: config.clusters,
      scopes: scopesOf(config),
      store: createInventoryStore({
        directory: config.stateDirectory,
        clock,
        log,
        onCount: this.#meters.discovered,
      }),
      clock,
      random: Math.random,
      log,
      environment,
      onChange: (inventory, receivedAtMs) => this.#takeInventory(inventory, receivedAtMs),
      onCount: this.#meters.discovered,
    });
  }

  /** A changed address is listened on before the former one is left. */
  async #applyAdmin(config: Config): Promise<void> {
    const key = JSON.stringify(config.admin);
    if (key === this.#adminKey) return;
    const server = createAdminServer({ config: config.admin, source: this.#view, logger: this.#log });
    await server.listen();
    void this.#admin?.close(ADMIN_CLOSE_MS);
    this.#admin = server;
    this.#adminKey = key;
  }

  #onWorker(worker: string, message: WorkerToController): void {
    switch (message.kind) {
      case 'applied':
        return this.#publisher.applied(worker, message.version);
      case 'rejected':
        this.#publisher.refused(message.version);
        this.#settleReload?.(message.version, `worker cannot run it: ${message.error}`);
        return this.#revert(message.error);
      case 'metrics':
        this.#merge.apply(worker, message.frame);
        return;
      case 'proven':
        return this.#engine.proven(message.identity);
      case 'answer':
        return this.#questions.answered(message.id, message.answer);
    }
  }

  async #metricsText(): Promise<string> {
    this.#meters.describe(this.#engine.counts(), this.#discovery?.status() ?? []);
    return this.#merge.text() + (await this.#processMetrics.text());
  }

  #retain(): void {
    const state: Retained = { metrics: this.#merge.retain(), drains: this.#engine.drains() };
    this.#options.send({ kind: 'retain', state });
  }

  #restore(retained: Retained | null): void {
    if (retained === null) return;
    this.#merge.restore(retained.metrics);
    for (const { cluster, node } of retained.drains) this.#engine.drain(cluster, node);
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Runs the controller in this process; the supervisor is at the other end of the IPC channel. */
export function runController(
  options: Omit<ControllerOptions, 'send' | 'environment' | 'nodeVersion'>,
): void {
  const { log } = options;
  let controller: Controller | null = null;
  const leave = async (code: number): Promise<void> => {
    await controller?.close();
    // Everything that was sent must have left before the channel is closed.
    process.disconnect?.();
    process.exit(code);
  };
  process.on('message', (raw) => {
    const message = raw as SupervisorToController;
    if (message.kind !== 'start' || controller !== null) {
      controller?.onMessage(message);
      return;
    }
    controller = new Controller(
      {
        ...options,
        environment: process.env,
        nodeVersion: process.version,
        send: (reply) => {
          if (process.connected) process.send?.(reply);
        },
      },
      message,
    );
    controller.start().catch((error: unknown) => {
      log.fatal({ code: 'internal', error }, 'controller failed to start');
      process.exit(1);
    });
  });
  // The supervisor decides; a signal to the whole group must not end the controller before the workers.
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => {});
  process.on('SIGTERM', () => void leave(0));
  process.on('disconnect', () => void leave(0));
  process.on('uncaughtException', (error) => {
    log.fatal({ code: 'internal', error }, 'controller failed');
    process.exit(1);
  });
}
