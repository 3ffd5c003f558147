// Owns which probes the targets need: keys made from content, so that equal probes are run once.

import type { KubeProxyConfig } from '../../model/config.ts';
import type { HealthConfig, PoolConfig, ProbeConfig } from '../../model/pool-config.ts';
import type { ProbeHeader, ProbeTarget } from '../health/probe-result.ts';
import type { ProbeSpec } from '../health/scheduler.ts';
import type { Candidate } from './candidate.ts';
import { identityOf } from './derive.ts';
import type { TargetEntry, TargetTable } from './target-table.ts';

/** Proofs run this often until they succeed, and while a target is held. */
const PROOF_INTERVAL_MS = 500;
const PROOF_TIMEOUT_MS = 1000;
const JITTER = 0.1;

/** Keys of the probes of one target; a node that was replaced under the same address has other keys. */
export interface ProbeKeys {
  readonly pool: string;
  readonly proof: string;
  readonly healthCheckNodePort: string;
}

/** @param healthText `JSON.stringify` of the pool's health configuration and TLS */
export function probeKeys(
  identity: string,
  candidate: Candidate,
  healthCheckNodePort: number,
  healthText: string,
): ProbeKeys {
  const what = `${identity} ${candidate.nodeUid ?? ''}`;
  return {
    pool: `pool ${healthText} ${what}`,
    proof: proofKey(identity, candidate),
    healthCheckNodePort: `health-check-node-port ${healthCheckNodePort} ${candidate.address} ${candidate.nodeUid ?? ''}`,
  };
}

/** Key of the connect that proves a target. */
export function proofKey(identity: string, candidate: Candidate): string {
  return `proof ${identity} ${candidate.nodeUid ?? ''}`;
}

/** Key of the one kube-proxy probe of a node, shared by all pools of the cluster. */
function kubeProxyKey(candidate: Candidate, config: KubeProxyConfig): string {
  const { cluster, node, nodeUid, address } = candidate;
  return `kube-proxy ${config.port} ${config.intervalMs} ${config.timeoutMs} ${cluster} ${node} ${nodeUid} ${address}`;
}

/** Keeps the probes of nodes that did not change, keys included; forgetting them changes nothing but time. */
export class ProbeMemo {
  readonly #kubeProxy = new WeakMap<KubeProxyConfig, WeakMap<Candidate, ProbeSpec>>();

  kubeProxy(candidate: Candidate, config: KubeProxyConfig): ProbeSpec {
    let specs = this.#kubeProxy.get(config);
    if (specs === undefined) {
      specs = new WeakMap();
      this.#kubeProxy.set(config, specs);
    }
    let spec = specs.get(candidate);
    if (spec === undefined) {
      spec = kubeProxySpec(candidate, config);
      specs.set(candidate, spec);
    }
    return spec;
  }
}

function kubeProxySpec(candidate: Candidate, config: KubeProxyConfig): ProbeSpec {
  return {
    key: kubeProxyKey(candidate, config),
    target: { kind: 'kube-proxy', host: candidate.address, port: config.port },
    intervalMs: config.intervalMs,
    failingIntervalMs: config.intervalMs,
    timeoutMs: config.timeoutMs,
    jitter: JITTER,
    rise: 1,
    fall: 2,
    urgent: false,
    compared: false,
  };
}

/** kube-proxy's `/healthz` for every node of a table. Empty when it is switched off. */
function planKubeProxy(table: TargetTable, config: KubeProxyConfig | null, memo: ProbeMemo): ProbeSpec[] {
  if (config === null || !config.healthz) return [];
  const specs: ProbeSpec[] = [];
  for (const { candidate } of table.entries.list) {
    if (candidate.node === null) continue;
    specs.push(memo.kubeProxy(candidate, config));
  }
  return specs;
}

/** True only when a plan for either table is a plan for the other: the same nodes, of which none waits for a proof. */
export function hasSamePlan(before: TargetTable, after: TargetTable): boolean {
  const { list, places } = after.entries;
  if (before.calm === null || after.calm === null || before.entries.places !== places) return false;
  return list.every((entry, place) => {
    const known = before.entries.list[place]!;
    return entry === known || (isSameNode(known.candidate, entry.candidate) && !needsProof(entry, 'serve'));
  });
}

function isSameNode(one: Candidate, other: Candidate): boolean {
  return (
    one.address === other.address &&
    one.cluster === other.cluster &&
    one.node === other.node &&
    one.nodeUid === other.nodeUid
  );
}

/** The probes of a table that many pools share: kube-proxy, and proofs of what waits or is held, at one port for all. */
export function planShared(
  table: TargetTable,
  kubeProxy: KubeProxyConfig | null,
  proofPort: number,
  memo: ProbeMemo,
): readonly ProbeSpec[] {
  const specs = planKubeProxy(table, kubeProxy, memo);
  for (const entry of table.entries.list) {
    if (!needsProof(entry, 'serve')) continue;
    const identity = identityOf(entry.candidate.address, proofPort);
    specs.push(proofSpec(proofKey(identity, entry.candidate), entry.candidate.address, proofPort, null));
  }
  return specs;
}

/** What is spoken to the pool's targets before the probe's own protocol. */
interface Spoken {
  readonly proxyProtocol: ProbeHeader;
  readonly tls: PoolConfig['tls'];
}

export interface PoolProbing extends Spoken {
  readonly health: HealthConfig | null;
  readonly healthText: string;
  readonly unknown: 'serve' | 'hold';
  readonly healthCheckNodePort: number;
  readonly kubeProxy: KubeProxyConfig | null;
}

/** The probes of a table of its own: the pool's, proofs for what waits or is held, and healthCheckNodePort. */
export function planTargets(table: TargetTable, probing: PoolProbing, memo: ProbeMemo): readonly ProbeSpec[] {
  const specs = planKubeProxy(table, probing.kubeProxy, memo);
  for (const entry of table.entries.list) {
    const keys = probeKeys(entry.identity, entry.candidate, probing.healthCheckNodePort, probing.healthText);
    if (probing.health !== null) specs.push(poolSpec(keys.pool, entry, probing.health, probing));
    else if (needsProof(entry, probing.unknown))
      specs.push(proofSpec(keys.proof, entry.candidate.address, entry.port, probing.proxyProtocol));
    if (probing.healthCheckNodePort !== 0) {
      specs.push(nodePortSpec(keys.healthCheckNodePort, entry, probing.healthCheckNodePort));
    }
  }
  return specs;
}

/**
 * Whether a connect is made to prove the target: while it waits, while it is held, and while it drains unproven: it
 * may be all that a service has left.
 */
export function needsProof({ state, proven, health, hold }: TargetEntry, unknown: 'serve' | 'hold'): boolean {
  const waits = state === 'filling' || (state === 'draining' && !proven);
  return waits || (unknown === 'hold' && health !== 'healthy') || hold !== null;
}

function poolSpec(key: string, entry: TargetEntry, health: HealthConfig, spoken: Spoken): ProbeSpec {
  const { intervalMs, failingIntervalMs, timeoutMs, jitter, rise, fall } = health;
  const target = poolTarget(health.probe, entry.candidate.address, entry.port, spoken);
  const urgent = entry.state === 'filling';
  return {
    key,
    target,
    intervalMs,
    failingIntervalMs,
    timeoutMs,
    jitter,
    rise,
    fall,
    urgent,
    compared: true,
  };
}

function poolTarget(probe: ProbeConfig, host: string, port: number, spoken: Spoken): ProbeTarget {
  const { proxyProtocol, tls } = spoken;
  if (probe.kind === 'grpc') {
    return { kind: 'grpc', host, port, service: probe.service, hostHeader: probe.host, proxyProtocol, tls };
  }
  if (probe.kind !== 'http') return { kind: probe.kind, host, port, proxyProtocol };
  const { path, host: hostHeader, statuses } = probe;
  return { kind: 'http', host, port, path, hostHeader, statuses, proxyProtocol, tls };
}

function proofSpec(key: string, host: string, port: number, proxyProtocol: ProbeHeader): ProbeSpec {
  return {
    key,
    target: { kind: 'tcp', host, port, proxyProtocol },
    intervalMs: PROOF_INTERVAL_MS,
    failingIntervalMs: PROOF_INTERVAL_MS,
    timeoutMs: PROOF_TIMEOUT_MS,
    jitter: JITTER,
    rise: 1,
    fall: 2,
    urgent: true,
    compared: false,
  };
}

function nodePortSpec(key: string, entry: TargetEntry, port: number): ProbeSpec {
  return {
    key,
    target: { kind: 'health-check-node-port', host: entry.candidate.address, port },
    intervalMs: 2000,
    failingIntervalMs: 1000,
    timeoutMs: 1000,
    jitter: JITTER,
    rise: 1,
    fall: 2,
    urgent: entry.state === 'filling',
    compared: false,
  };
}
