// The controller's composition root: configuration, discovery, probes, compile and admin, driven by the supervisor.

import { lookup } from 'node:dns/promises';
import type { Logger } from 'pino';
import { formatProblems } from '../config/problem.ts';
import type { Config } from '../model/config.ts';
import type { Inventory } from '../model/inventory.ts';
import type {
  ControllerToSupervisor,
  SupervisorToController,
  WorkerToController,
} from '../model/messages.ts';
import { Names } from '../names/names.ts';
import { MetricsBoard } from '../telemetry/metrics-board.ts';
import { MetricsMerge, type RetainedMetrics } from '../telemetry/metrics-merge.ts';
import type { ProcessLog } from '../telemetry/process-log.ts';
import { createProcessMetrics } from '../telemetry/process-metrics.ts';
import { type AdminServer, createAdminServer } from './admin/admin-server.ts';
import { AdminView } from './admin-view.ts';
import { Configuration, type Loaded } from './configuration.ts';
import { ControllerMeters } from './controller-meters.ts';
import { createSystemClock } from './discovery/clock.ts';
import { createDiscovery, type Discovery } from './discovery/discovery.ts';
import { createInventoryStore } from './discovery/inventory-store.ts';
import { DrainDesk } from './drain-desk.ts';
import { DrainKeeper } from './drain-keeper.ts';
import { DrainStore } from './drain-store.ts';
import { createProber } from './health/probes.ts';
import { Publisher } from './publisher.ts';
import { Questions } from './questions.ts';
import { scopesOf, secretsOf } from './scopes.ts';
import { logNodeChange, logSourceChange, logTargetChange } from './target-log.ts';
import type { Drain } from './targets/drains.ts';
import { createTargetEngine, type TargetEngine } from './targets/target-engine.ts';
import { Material } from './tls/material.ts';
import { ProbeTls } from './tls/probe-tls.ts';
import { type KeptTicketKeys, TicketRotation } from './tls/ticket-rotation.ts';

export interface ControllerOptions {
  readonly configPath: string;
  readonly log: Logger;
  readonly lines: ProcessLog;
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
  readonly drains: readonly Drain[];
}

/** What the supervisor keeps beside it: the configuration in force, for a controller that is started while the file is broken. */
interface KeptConfiguration extends Loaded {
  readonly tickets: KeptTicketKeys;
}

const RETAIN_MS = 1000;
/** How long a controller that was started again prefers the workers' snapshot to an inventory from disk. */
const AWAIT_LIVE_MS = 3000;
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
  readonly #names: Names;
  readonly #configuration: Configuration;
  readonly #engine: TargetEngine;
  readonly #drains: DrainKeeper;
  readonly #desk: DrainDesk;
  readonly #view: AdminView;
  readonly #workers = new Map<string, number>();
  readonly #retainTimer: NodeJS.Timeout;
  /** Workers whose end an earlier controller has counted: the supervisor tells of them again. */
  #counted: ReadonlySet<string> = new Set();
  #discovery: Discovery | null = null;
  #admin: AdminServer | null = null;
  #adminKey = '';
  #draining = false;
  #loaded: Loaded | null = null;
  readonly #tickets: TicketRotation;
  readonly #material: Material;
  readonly #probeTls = new ProbeTls(() => this.#material.secrets);
  #cancelRotation: () => void = () => {};
  /** Started while workers serve: an inventory from disk is older than what they have. */
  #awaitsLive = false;

  constructor(options: ControllerOptions, start: Extract<SupervisorToController, { kind: 'start' }>) {
    this.#options = options;
    this.#log = options.log;
    const monotonic = (): number => performance.now();
    this.#meters = new ControllerMeters(this.#board, { version: options.version, node: options.nodeVersion });
    this.#merge = new MetricsMerge({ local: this.#board, now: monotonic });
    this.#publisher = new Publisher({
      send: (publication) => options.send({ kind: 'publish', publication }),
      keep: (publication) => options.send({ kind: 'keep', publication }),
      now: this.#clock.now,
      after: this.#clock.after,
      onApplied: (snapshot, tookMs) => {
        if (tookMs !== null) this.#meters.eventApplied(tookMs);
        this.#log.debug({ code: 'snapshot-applied', version: snapshot.version, tookMs }, 'snapshot applied');
        this.#configuration.accepted(snapshot.version);
      },
    });
    this.#names = new Names({
      resolve: (name) => lookup(name, { all: true, order: 'ipv4first' }),
      now: monotonic,
      log: this.#log,
      onResult: (result) => this.#meters.nameLooked(result),
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
      prober: createProber({
        clock: this.#clock,
        monotonic,
        lookup: this.#names.lookup,
        tlsOptions: (tls, host, hostHeader) => this.#probeTls.options(tls, host, hostHeader),
      }),
      firstVersion: start.version + 1,
      // Workers serve what an earlier controller published: nothing empty may replace it.
      ...(start.version > 0 ? { graceMs: Number.POSITIVE_INFINITY } : {}),
      onSnapshot: (snapshot) => {
        this.#log.debug({ code: 'snapshot-made', version: snapshot.version }, 'snapshot made');
        this.#publisher.publish(snapshot);
      },
      onTargetChange: (change) => logTargetChange(this.#log, change),
      onNodeChange: (change) => logNodeChange(this.#log, change),
      onSourceChange: (change) => logSourceChange(this.#log, change),
      onProbe: (spec, result) => this.#meters.probed(spec, result),
      onDrainsEnded: (ended) => {
        for (const { cluster, node } of ended) {
          this.#log.info(
            { code: 'drain-ended', cluster, node },
            'another machine has the name of a drained node',
          );
        }
        void this.#drains.keep();
      },
    });
    this.#configuration = new Configuration({
      path: options.configPath,
      environment: options.environment,
      clock: this.#clock,
      log: this.#log,
      applyAdmin: (config) => this.#applyAdmin(config),
      force: (loaded) => this.#force(loaded),
      version: () => this.#engine.snapshot()?.version ?? 0,
      onLoaded: (ok) => this.#meters.reloaded(ok, this.#clock.now()),
    });
    this.#drains = new DrainKeeper({
      engine: this.#engine,
      store: new DrainStore({
        log: this.#log,
        now: this.#clock.now,
        onCount: (result) => this.#meters.drainFile(result),
      }),
      retain: () => this.#retain(),
    });
    this.#desk = new DrainDesk({
      engine: this.#engine,
      publisher: this.#publisher,
      questions: this.#questions,
      workers: () => this.#workers,
      hasCluster: (name) =>
        this.#configuration.config?.clusters.some((cluster) => cluster.name === name) === true,
      clock: this.#clock,
      keep: () => this.#drains.keep(),
    });
    this.#view = new AdminView({
      engine: this.#engine,
      discovery: () => this.#discovery,
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
      startedAtMs: this.#clock.now(),
    });
    const kept = start.configuration as KeptConfiguration | null;
    this.#tickets = new TicketRotation(this.#clock.now(), kept?.tickets ?? null);
    this.#awaitRotation();
    this.#material = new Material(
      {
        clock: this.#clock,
        log: this.#log,
        onChange: () => {
          this.#probeTls.changed();
          this.#publishSecrets();
        },
        onResult: (certificate, result) => this.#meters.certificateChanged(certificate, result),
      },
      kept?.secrets ?? null,
    );
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

  /** Loads the configuration for the first time; tells the supervisor when there is nothing to run. */
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
          this.#retain();
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
    clearInterval(this.#retainTimer);
    this.#cancelRotation();
    await this.#material.close();
    this.#publisher.close();
    this.#desk.close();
    await Promise.all([this.#admin?.close(ADMIN_CLOSE_MS), this.#engine.close(), this.#discovery?.close()]);
    this.#processMetrics.close();
    this.#retain();
  }

  /** Discovery and targets follow the configuration, and with them the next snapshot, whose version is returned. */
  #force(loaded: Loaded): number {
    const { config } = loaded;
    this.#loaded = loaded;
    this.#material.setConfig(config, loaded.secrets);
    this.#probeTls.changed();
    this.#takeSecrets();
    this.#keep();
    this.#options.setLogLevel(config.log.level);
    this.#options.send({ kind: 'settings', workers: config.workers });
    const renewed = this.#setSecrets();
    const before = this.#engine.snapshot();
    this.#drains.takeDirectory(config.stateDirectory);
    this.#engine.setConfig(config);
    if (this.#discovery === null) this.#startDiscovery(config);
    else this.#discovery.setClusters(config.clusters, scopesOf(config), secretsOf(config));
    this.#takeInventory(this.#discovery!.inventory(), 0);
    this.#engine.flush();
    const snapshot = this.#engine.snapshot();
    // New certificates for a snapshot that is otherwise the same.
    if (renewed && snapshot !== null && snapshot === before) this.#publisher.publish(snapshot);
    return snapshot?.version ?? 0;
  }

  #keep(): void {
    if (this.#loaded === null) return;
    const configuration: KeptConfiguration = {
      config: this.#loaded.config,
      secrets: this.#material.secrets,
      tickets: this.#tickets.kept,
    };
    this.#options.send({ kind: 'keep-configuration', configuration });
  }

  /** True when a Secret is other than before. */
  #takeSecrets(): boolean {
    return this.#material.setSecrets(({ cluster, namespace, name }) => {
      const fact = this.#discovery?.secret(cluster, `${namespace}/${name}`);
      return typeof fact === 'object' ? { cert: fact.cert, key: fact.key, staple: null } : fact;
    });
  }

  /** True when they are others than before. */
  #setSecrets(): boolean {
    return this.#publisher.setSecrets({ ...this.#material.secrets, ticketKeys: this.#tickets.keys });
  }

  /** New secrets for the workers, with the snapshot that they have. */
  #publishSecrets(): void {
    const snapshot = this.#engine.snapshot();
    this.#keep();
    if (this.#setSecrets() && snapshot !== null) this.#publisher.publish(snapshot);
  }

  #awaitRotation(): void {
    const { now, after } = this.#clock;
    this.#cancelRotation = after(Math.max(0, this.#tickets.dueAtMs - now()), () => {
      this.#tickets.rotate(now());
      this.#publishSecrets();
      this.#log.info({ code: 'ticket-keys-rotated' }, 'session ticket keys rotated');
      this.#awaitRotation();
    });
  }

  #refused(version: number, problem: string): void {
    this.#publisher.refused(version);
    this.#configuration.refused(version, problem);
  }

  /** Workers that serve are not set back to what lies on disk while the live lists are a moment away. */
  #takeInventory(inventory: Inventory, receivedAtMs: number): void {
    if (this.#awaitsLive) {
      if (Object.values(inventory.clusters).some(({ origin }) => origin !== 'live')) return;
      this.#awaitsLive = false;
    }
    this.#engine.setInventory(inventory, receivedAtMs);
  }

  #startDiscovery(config: Config): void {
    const { log, environment } = this.#options;
    const clock = this.#clock;
    this.#discovery = createDiscovery({
      clusters: config.clusters,
      scopes: scopesOf(config),
      secrets: secretsOf(config),
      onSecrets: () => {
        if (this.#takeSecrets()) this.#publishSecrets();
      },
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
        return this.#refused(message.version, `a worker cannot run it: ${message.error}`);
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
    this.#meters.describe(
      this.#engine.counts(),
      this.#discovery?.status() ?? [],
      this.#material.certificates,
    );
    this.#meters.ownLinesLost(this.#options.lines.lost);
    // What has been shown must not go back when this process is killed before its next report.
    this.#retain();
    return this.#merge.text() + (await this.#processMetrics.text());
  }

  #retain(): void {
    const state: Retained = { metrics: this.#merge.retain(), drains: this.#engine.drains() };
    this.#options.send({ kind: 'retain', state });
  }

  #restore(retained: Retained | null): void {
    if (retained === null) return;
    this.#merge.restore(retained.metrics);
    this.#counted = new Set(retained.metrics.folded);
    this.#drains.restore(retained.drains);
  }
}

/** Runs the controller in this process; the supervisor is at the other end of the IPC channel. */
export function runController(
  options: Omit<ControllerOptions, 'send' | 'environment' | 'nodeVersion'>,
): void {
  const { log, lines } = options;
  let controller: Controller | null = null;
  const leave = async (code: number): Promise<void> => {
    await controller?.close();
    // Everything that was sent must have left before the channel is closed.
    if (process.connected) process.disconnect?.();
    await lines.close();
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
          // A supervisor that is going may close the channel in the middle: 'disconnect' tells of it.
          if (process.connected) process.send?.(reply, undefined, undefined, () => {});
        },
      },
      message,
    );
    controller.start(message.configuration as Loaded | null).catch((error: unknown) => {
      log.fatal({ code: 'internal', error }, 'controller failed to start');
      void lines.close().then(() => process.exit(1));
    });
  });
  // The supervisor decides; a signal to the whole group must not end the controller before the workers.
  // Node would answer SIGUSR1 by opening a debugger.
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => {});
  process.on('SIGTERM', () => void leave(0));
  process.on('disconnect', () => void leave(0));
  process.on('uncaughtException', (error) => {
    log.fatal({ code: 'internal', error }, 'controller failed');
    void lines.close().then(() => process.exit(1));
  });
}
