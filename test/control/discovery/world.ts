// What the discovery tests share: a clock they move by hand, records of callbacks, and API objects.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { type Logger, pino } from 'pino';
import { ApiClient } from '../../../src/control/discovery/api-client.ts';
import type { Clock } from '../../../src/control/discovery/clock.ts';
import type { DiscoveryCounts, OnCount } from '../../../src/control/discovery/counts.ts';
import type { Credentials } from '../../../src/control/discovery/credentials.ts';
import { type AnyFact, type Kind, nodeKind } from '../../../src/control/discovery/kinds.ts';
import { createReflector } from '../../../src/control/discovery/reflector.ts';
import {
  defaultTuning,
  type Reflector,
  type ReflectorTuning,
} from '../../../src/control/discovery/reflector-options.ts';
import type { ClusterConfig } from '../../../src/model/config.ts';
import type { RawObject, StandInApi } from '../../support/stand-in-api.ts';

/** Time stands still until `advance`. */
export class HandClock implements Clock {
  #nowMs = Date.UTC(2030, 0, 1);
  readonly #timers = new Set<{ readonly atMs: number; readonly run: () => void }>();

  readonly now = (): number => this.#nowMs;

  readonly after = (delayMs: number, run: () => void): (() => void) => {
    const timer = { atMs: this.#nowMs + delayMs, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  /** Milliseconds until each timer that is waiting, the soonest first. */
  get waits(): readonly number[] {
    return [...this.#timers].map((timer) => timer.atMs - this.#nowMs).sort((left, right) => left - right);
  }

  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      const due = [...this.#timers]
        .filter((timer) => timer.atMs <= untilMs)
        .sort((left, right) => left.atMs - right.atMs)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.run();
    }
    this.#nowMs = untilMs;
  }
}

/** Waits for something that another part brings about by itself; fails after five seconds. */
export async function eventually(condition: () => boolean, what = String(condition)): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`never happened: ${what}`);
    await setImmediate();
  }
}

/** Lets everything that is already under way arrive, so that a test can say what did not happen. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await setImmediate();
}

export interface CountRecord {
  readonly onCount: OnCount;
  of<N extends keyof DiscoveryCounts>(name: N): readonly DiscoveryCounts[N][];
  /** Reasons of the restarts, in order. */
  restarts(): readonly string[];
}

export function recordCounts(): CountRecord {
  const all: { readonly name: string; readonly labels: unknown }[] = [];
  const of = <N extends keyof DiscoveryCounts>(name: N): readonly DiscoveryCounts[N][] =>
    all.filter((count) => count.name === name).map((count) => count.labels as DiscoveryCounts[N]);
  return {
    onCount: (name, labels) => all.push({ name, labels }),
    of,
    restarts: () => of('watch-restart').map((labels) => labels.reason),
  };
}

/** A logger whose lines can be read back, everything that is ever logged included. */
export function recordLog(): { readonly log: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) });
  return { log, lines };
}

export function temporaryDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'portico-discovery-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function fixture(name: string): string {
  return readFileSync(new URL(`./fixtures/${name}`, import.meta.url), 'utf8');
}

/** Credentials that never change, for tests of everything else. */
export function fixedCredentials(api: StandInApi): Credentials {
  const access = {
    origin: api.url,
    basePath: '',
    tls: { rejectUnauthorized: true },
    headers: {},
    generation: 1,
    connectionKey: api.url,
    redact: (text: string) => text,
  };
  return { access: async () => access, renew: async () => access, close: () => {} };
}

export interface ReflectorRig<Fact extends AnyFact> {
  readonly reflector: Reflector<Fact>;
  readonly clock: HandClock;
  readonly counts: CountRecord;
  readonly lines: string[];
  /** One entry for each contact: whether it was a real change. */
  readonly contacts: boolean[];
  /** How many contacts were real changes. */
  changes(): number;
  names(): string[];
  /** Lets the back-off that is waiting now run out. */
  passBackoff(): Promise<void>;
}

export interface RigOptions<Fact extends AnyFact> {
  readonly kind?: Kind<Fact>;
  readonly namespace?: string | null;
  readonly seed?: readonly Fact[];
  readonly random?: () => number;
  readonly tuning?: Partial<ReflectorTuning>;
}

export function startReflector<Fact extends AnyFact = import('../../../src/model/inventory.ts').NodeFact>(
  context: TestContext,
  api: StandInApi,
  options: RigOptions<Fact> = {},
): ReflectorRig<Fact> {
  const clock = new HandClock();
  const counts = recordCounts();
  const { log, lines } = recordLog();
  const contacts: boolean[] = [];
  const credentials = fixedCredentials(api);
  const client = new ApiClient({ cluster: 'iad', credentials, clock, onCount: counts.onCount });
  const reflector = createReflector<Fact>({
    cluster: 'iad',
    kind: options.kind ?? (nodeKind as unknown as Kind<Fact>),
    namespace: options.namespace ?? null,
    fieldSelector: null,
    api: client,
    seed: options.seed ?? [],
    clock,
    random: options.random ?? (() => 0.5),
    log,
    onCount: counts.onCount,
    onContact: (changed) => contacts.push(changed),
    onReached: () => {},
    tuning: { ...defaultTuning, ...options.tuning },
  });
  context.after(async () => {
    await reflector.close();
    await client.close();
  });
  return {
    reflector,
    clock,
    counts,
    lines,
    contacts,
    changes: () => contacts.filter(Boolean).length,
    names: () => [...reflector.facts()].map((fact) => fact.name).sort(),
    passBackoff: async () => {
      const waits = (): boolean => reflector.status().state === 'waiting' && clock.waits.length > 0;
      await eventually(waits, 'the reflector waits');
      clock.advance(clock.waits[0] ?? 0);
    },
  };
}

export function node(name: string, more: RawObject = {}): RawObject {
  return {
    metadata: { name, labels: { pool: 'web' }, ...more['metadata'] },
    spec: { ...more['spec'] },
    status: {
      addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
      conditions: [{ type: 'Ready', status: 'True' }],
      ...more['status'],
    },
  };
}

export function service(namespace: string, name: string, nodePort = 30080): RawObject {
  return {
    metadata: { name, namespace, uid: `uid-${namespace}-${name}` },
    spec: {
      type: 'NodePort',
      ipFamilies: ['IPv4'],
      ports: [{ name: 'http', port: 80, nodePort, protocol: 'TCP' }],
    },
  };
}

export function slice(namespace: string, name: string, nodeName = 'n1'): RawObject {
  return {
    metadata: {
      name: `${name}-abc`,
      namespace,
      fieldSelector: null,
      uid: `uid-${namespace}-${name}-abc`,
      labels: { 'kubernetes.io/service-name': name },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: [{ addresses: ['10.244.0.5'], nodeName, conditions: { ready: true } }],
  };
}

export interface KubeconfigParts {
  readonly server: string;
  readonly cluster?: RawObject;
  readonly user?: RawObject;
}

/** Writes a kubeconfig with one context and returns its path. JSON is YAML as well. */
export function writeKubeconfig(directory: string, { server, cluster, user }: KubeconfigParts): string {
  const path = join(directory, 'kubeconfig');
  writeFileSync(
    path,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'main',
      contexts: [{ name: 'main', context: { cluster: 'c', user: 'u' } }],
      clusters: [{ name: 'c', cluster: { server, ...cluster } }],
      users: [{ name: 'u', user: { ...user } }],
    }),
  );
  return path;
}

export function clusterConfig(name: string, path: string): ClusterConfig {
  return {
    name,
    kubeconfig: { path, context: null },
    inCluster: false,
    nodes: { selector: null, address: 'InternalIP', families: ['ipv4'], ignoreExcludeLabel: false },
    kubeProxy: { healthz: true, port: 10256, intervalMs: 2_000, timeoutMs: 1_000 },
    maxRemovedShare: 0.5,
  };
}
