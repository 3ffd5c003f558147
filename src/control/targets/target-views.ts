// Owns the gathering of evidence: which probe results and reports of workers speak about a target.

import type { KubeProxyConfig } from '../../model/config.ts';
import { judge } from '../health/evidence.ts';
import type { ProbeStatus } from '../health/scheduler.ts';
import { type Candidate, type DerivedSource, identityOf } from './derive.ts';
import { needsProof, type ProbeMemo, probeKeys, proofKey } from './probe-plan.ts';
import type { SourceState } from './source-state.ts';
import type { TargetTable, ViewOf } from './target-table.ts';

/** Where evidence comes from. */
export interface EvidenceSources {
  readonly status: (key: string) => ProbeStatus | undefined;
  /** Identity -> node uid of what workers have connected to lately. */
  readonly connected: ReadonlyMap<string, string | null>;
  /** Null where there are no nodes. */
  readonly kubeProxy: KubeProxyConfig | null;
  readonly memo: ProbeMemo;
}

/** For tables that look at nothing but nodes: kube-proxy, workers, and a connect to one port that stands for all. */
/** @param before the table as it was: only what waited or was held in it has been proven by a connect */
export function viewOfNodes(proofPort: number, before: TargetTable | null, sources: EvidenceSources): ViewOf {
  return (identity, candidate) => {
    const known = before?.entries.get(identity);
    const proofProbe =
      known !== undefined && needsProof(known, 'serve')
        ? sources.status(proofKey(identityOf(candidate.address, proofPort), candidate))
        : undefined;
    return judge({
      probed: false,
      unknown: 'serve',
      policy: 'Cluster',
      poolProbe: undefined,
      proofProbe,
      nodeProbe: nodeStatus(sources, candidate),
      healthCheckNodePort: undefined,
      connected: isConnected(sources, identity, candidate),
      othersFailing: 0,
    });
  };
}

/** For the table of one source: all there is. */
export function viewOfSource(state: SourceState, derived: DerivedSource, sources: EvidenceSources): ViewOf {
  const { status } = sources;
  const { healthText, config, table } = state;
  const probed = config.health !== null;
  const total = probed && derived.policy === 'Cluster' ? recentResults(state, status) : NO_RESULTS;
  return (identity, candidate, policy) => {
    const keys = probeKeys(identity, candidate, derived.healthCheckNodePort, healthText);
    const poolProbe = probed ? status(keys.pool) : undefined;
    const recent = total.recent - (poolProbe?.recent ?? 0);
    const failures = total.failures - (poolProbe?.recentFailures ?? 0);
    const known = table?.entries.get(identity);
    // Proofs end when they have succeeded: what they found is kept with the target.
    const isProven = !probed && known?.proven === true && known.candidate.nodeUid === candidate.nodeUid;
    return judge({
      probed,
      unknown: config.unknown,
      policy,
      poolProbe,
      proofProbe: probed ? undefined : status(keys.proof),
      nodeProbe: nodeStatus(sources, candidate),
      healthCheckNodePort: derived.healthCheckNodePort === 0 ? undefined : status(keys.healthCheckNodePort),
      connected: isProven || isConnected(sources, identity, candidate),
      othersFailing: recent <= 0 ? 0 : failures / recent,
    });
  };
}

const NO_RESULTS = { recent: 0, failures: 0 };

function recentResults(
  { table, healthText }: SourceState,
  status: EvidenceSources['status'],
): typeof NO_RESULTS {
  let recent = 0;
  let failures = 0;
  for (const { identity, candidate } of table?.entries.values() ?? []) {
    const known = status(probeKeys(identity, candidate, 0, healthText).pool);
    recent += known?.recent ?? 0;
    failures += known?.recentFailures ?? 0;
  }
  return { recent, failures };
}

function nodeStatus(
  { status, kubeProxy, memo }: EvidenceSources,
  candidate: Candidate,
): ProbeStatus | undefined {
  if (kubeProxy === null || candidate.node === null) return undefined;
  return status(memo.kubeProxy(candidate, kubeProxy).key);
}

/** A report about a node that has been replaced since says nothing. */
function isConnected({ connected }: EvidenceSources, identity: string, candidate: Candidate): boolean {
  return connected.has(identity) && connected.get(identity) === candidate.nodeUid;
}
