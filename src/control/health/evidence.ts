// Owns the judgement of one target from everything that has looked at it: pool probe, proof, kube-proxy, workers.

import type { HealthState, Reason } from '../../model/targets.ts';
import { reason } from '../targets/reasons.ts';
import type { ProbeStatus } from './probe-record.ts';

/** All that is known of one target beside the API; a status is undefined where there is no such probe or no result yet. */
export interface Evidence {
  /** Whether the pool has a probe of its own. */
  readonly probed: boolean;
  readonly unknown: 'serve' | 'hold';
  readonly policy: 'Cluster' | 'Local' | null;
  readonly poolProbe: ProbeStatus | undefined;
  /** The connect that proves new and held targets of pools without a probe. */
  readonly proofProbe: ProbeStatus | undefined;
  /** kube-proxy's `/healthz` of the node. */
  readonly nodeProbe: ProbeStatus | undefined;
  readonly healthCheckNodePort: ProbeStatus | undefined;
  /** A worker has connected to it. */
  readonly connected: boolean;
  /** Share of failures among the recent pool-probe results of the other targets, 0 to 1. */
  readonly othersFailing: number;
}

/** What it comes to. */
export interface TargetView {
  readonly health: HealthState;
  /** `proven`: a probe or a connect has succeeded; `failed`: a proof was tried and failed; `none`: nothing known. */
  readonly proof: 'proven' | 'failed' | 'none';
  /** A connect that was made to prove it has had its say. Such connects end: what then speaks is to be heard anew. */
  readonly byProof: boolean;
  /** Good enough, with its absence from the API, to let it go. */
  readonly dead: boolean;
  /** It is dead and nothing at all comes back, from the node neither: the machine, not only what runs on it. */
  readonly silent: boolean;
  readonly lastResort: boolean;
  /** kube-proxy's own weight, null when it gives none. */
  readonly weight: number | null;
  readonly notes: readonly Reason[];
}

/** Statuses are never changed, so the same objects say the same. */
export function isSameEvidence(one: Evidence, other: Evidence): boolean {
  return (
    one.probed === other.probed &&
    one.unknown === other.unknown &&
    one.policy === other.policy &&
    one.poolProbe === other.poolProbe &&
    one.proofProbe === other.proofProbe &&
    one.nodeProbe === other.nodeProbe &&
    one.healthCheckNodePort === other.healthCheckNodePort &&
    one.connected === other.connected &&
    one.othersFailing === other.othersFailing
  );
}

/** From this share of failures among the others on, a failing probe under policy `Cluster` is not held against its node. */
export const COMMON_FAILURE_SHARE = 0.2;

/** Pure. The rules and why they are so: docs/targets.md. */
export function judge(evidence: Evidence): TargetView {
  const { probed, poolProbe, nodeProbe, healthCheckNodePort } = evidence;
  const notes: Reason[] = [];
  const verdict = probed ? judgeProbed(evidence, notes) : judgeUnprobed(evidence);
  let lastResort = false;
  if (nodeProbe !== undefined && kubeProxyCounts(nodeProbe, poolProbe)) {
    notes.push(reason('kube-proxy-unhealthy', `its healthz says ${nodeProbe.detail}`));
    lastResort = true;
  }
  if (healthCheckNodePort?.failure === 'answered') {
    notes.push(reason('health-check-node-port'));
    // With a probe of its own the pool knows better; without one kube-proxy's word is all there is.
    if (!probed) lastResort = true;
  }
  const weight = healthCheckNodePort?.failure === null ? healthCheckNodePort.weight : null;
  const silent = verdict.dead && isSilent(evidence);
  return { ...verdict, byProof: evidence.proofProbe !== undefined, silent, lastResort, weight, notes };
}

/** Whatever answers, with a refusal even, is a machine that lives; who is not asked does not speak against it. */
function isSilent({ probed, poolProbe, proofProbe, nodeProbe }: Evidence): boolean {
  const asked = [probed ? poolProbe : proofProbe, nodeProbe].filter((status) => status !== undefined);
  return asked.length > 0 && asked.every(({ failure }) => failure === 'timeout' || failure === 'unreachable');
}

type Verdict = Pick<TargetView, 'health' | 'proof' | 'dead'>;

function judgeProbed(evidence: Evidence, notes: Reason[]): Verdict {
  const { poolProbe, connected } = evidence;
  if (poolProbe === undefined) {
    notes.push(reason('probe-unknown'));
    return { health: 'unknown', proof: connected ? 'proven' : 'none', dead: false };
  }
  if (poolProbe.healthy) return { health: 'healthy', proof: 'proven', dead: false };
  if (isCommon(evidence)) {
    notes.push(
      reason('probe-failed', `${poolProbe.detail}; as often through other nodes, so the node is not blamed`),
    );
    return { health: 'healthy', proof: 'none', dead: false };
  }
  notes.push(reason('probe-failed', poolProbe.detail));
  return { health: 'unhealthy', proof: 'failed', dead: true };
}

/**
 * Under `Cluster` a dead pod fails connections through every node alike until the API drops it (some 50 s): blaming
 * the entry nodes would take good ones out. A node of which kube-proxy says bad things, or through which nothing at
 * all comes, is not covered.
 */
function isCommon({ policy, poolProbe, nodeProbe, othersFailing }: Evidence): boolean {
  if (policy !== 'Cluster' || poolProbe === undefined || !poolProbe.everOk) return false;
  if (othersFailing < COMMON_FAILURE_SHARE) return false;
  if (nodeProbe !== undefined) {
    if (nodeProbe.failure === null) return true;
    if (nodeProbe.everOk) return false;
  }
  return poolProbe.recentFailures < poolProbe.recent;
}

function judgeUnprobed({
  unknown,
  policy,
  proofProbe,
  nodeProbe,
  healthCheckNodePort,
  connected,
}: Evidence): Verdict {
  const throughNode = policy === 'Cluster' && nodeProbe?.failure === null;
  const proven =
    connected || proofProbe?.everOk === true || healthCheckNodePort?.failure === null || throughNode;
  const failing = proofProbe !== undefined && !proofProbe.healthy;
  return {
    // A pool that looks at nothing says nothing, unless it holds back what is unknown.
    health: proven && unknown === 'hold' ? 'healthy' : 'unknown',
    proof: failing && !connected ? 'failed' : proven ? 'proven' : 'none',
    dead: proofProbe === undefined ? nodeProbe?.everOk === true && !nodeProbe.healthy : failing,
  };
}

/**
 * 503 is kube-proxy's own word. Silence after it had answered before means that the node is probably gone. Refused
 * says only that kube-proxy does not run: its rules stay and the node ports go on working.
 */
function kubeProxyCounts(nodeProbe: ProbeStatus, poolProbe: ProbeStatus | undefined): boolean {
  if (nodeProbe.failure === 'answered') return true;
  const silent = nodeProbe.failure === 'timeout' || nodeProbe.failure === 'unreachable';
  return silent && !nodeProbe.healthy && nodeProbe.everOk && poolProbe?.failure !== null;
}
