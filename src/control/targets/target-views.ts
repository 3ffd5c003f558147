// Owns the gathering of evidence: which probe results and reports of workers speak about a target.

import type { KubeProxyConfig } from '../../model/config.ts';
import { type Evidence, isSameEvidence, judge, type TargetView } from '../health/evidence.ts';
import type { ProbeStatus } from '../health/probe-record.ts';
import type { Candidate } from './candidate.ts';
import { type DerivedSource, identityOf } from './derive.ts';
import { needsProof, type ProbeKeys, type ProbeMemo, probeKeys, proofKey } from './probe-plan.ts';
import { hasSameCodes, isSameReasons } from './reason-lists.ts';
import type { SharedTargets, SourceState } from './source-state.ts';
import type { TargetEntry, ViewOf } from './target-table.ts';

/** Where evidence comes from. */
export interface EvidenceSources {
  readonly status: (key: string) => ProbeStatus | undefined;
  /** Identity -> node uid of what workers have connected to lately. */
  readonly connected: ReadonlyMap<string, string | null>;
  /** Null where there are no nodes. */
  readonly kubeProxy: KubeProxyConfig | null;
  readonly memo: ProbeMemo;
}

interface Judged {
  evidence: Evidence;
  view: TargetView;
}

interface Keyed {
  readonly identity: string;
  readonly healthCheckNodePort: number;
  readonly healthText: string;
  readonly keys: ProbeKeys;
}

/**
 * What the targets of one table were judged by: evidence that comes to the same gives the same view, the same object.
 * Forgetting it changes nothing but time.
 */
export class ViewMemo {
  readonly #judged = new WeakMap<Candidate, Judged>();
  readonly #keyed = new WeakMap<Candidate, Keyed>();

  view(candidate: Candidate, evidence: Evidence): TargetView {
    const known = this.#judged.get(candidate);
    if (known === undefined) {
      const view = judge(evidence);
      this.#judged.set(candidate, { evidence, view });
      return view;
    }
    if (isSameEvidence(known.evidence, evidence)) return known.view;
    const view = judge(evidence);
    known.evidence = evidence;
    if (!isSameView(known.view, view)) known.view = view;
    return known.view;
  }

  keys(identity: string, candidate: Candidate, healthCheckNodePort: number, healthText: string): ProbeKeys {
    const known = this.#keyed.get(candidate);
    const isSame =
      known !== undefined &&
      known.identity === identity &&
      known.healthCheckNodePort === healthCheckNodePort &&
      known.healthText === healthText;
    if (isSame) return known.keys;
    const keys = probeKeys(identity, candidate, healthCheckNodePort, healthText);
    this.#keyed.set(candidate, { identity, healthCheckNodePort, healthText, keys });
    return keys;
  }
}

/**
 * For tables that look at nothing but nodes: kube-proxy, workers, and a connect to one port that stands for all.
 * Only what waited or was held has been proven by a connect.
 */
export function viewOfNodes(
  { proofPort, views, isTouched }: SharedTargets,
  sources: EvidenceSources,
): ViewOf {
  return (identity, candidate, policy, known) => {
    if (!isTouched && isKnown(known, candidate, policy)) return known.view;
    const proofProbe =
      known !== undefined && needsProof(known, 'serve')
        ? sources.status(proofKey(identityOf(candidate.address, proofPort), candidate))
        : undefined;
    return views.view(candidate, {
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

/** No evidence has changed, and it is good: thousands of targets need not be judged again because one has changed. */
function isKnown(
  known: TargetEntry | undefined,
  candidate: Candidate,
  policy: TargetEntry['policy'],
): known is TargetEntry {
  return (
    known !== undefined &&
    known.candidate === candidate &&
    known.policy === policy &&
    known.proven &&
    known.state !== 'filling' &&
    known.hold === null &&
    known.view.notes.length === 0 &&
    !known.view.byProof
  );
}

/** For the table of one source: all there is. */
export function viewOfSource(state: SourceState, derived: DerivedSource, sources: EvidenceSources): ViewOf {
  const { status } = sources;
  const { healthText, config, views, isTouched } = state;
  const probed = config.health !== null;
  // All results of the table are added up only when some target is judged anew.
  let total = probed && derived.policy === 'Cluster' ? null : NO_RESULTS;
  return (identity, candidate, policy, known) => {
    if (!isTouched && isKnown(known, candidate, policy)) return known.view;
    const keys = views.keys(identity, candidate, derived.healthCheckNodePort, healthText);
    const poolProbe = probed ? status(keys.pool) : undefined;
    total ??= recentResults(state, derived, status);
    const recent = total.recent - (poolProbe?.recent ?? 0);
    const failures = total.failures - (poolProbe?.recentFailures ?? 0);
    // Proofs end when they have succeeded: what they found is kept with the target.
    // Those that other pools run are not looked at: nobody would say when they change.
    const proofProbe =
      !probed && (known === undefined || needsProof(known, config.unknown)) ? status(keys.proof) : undefined;
    const isProven = !probed && known?.proven === true && known.candidate.nodeUid === candidate.nodeUid;
    return views.view(candidate, {
      probed,
      unknown: config.unknown,
      policy,
      poolProbe,
      proofProbe,
      nodeProbe: nodeStatus(sources, candidate),
      healthCheckNodePort: derived.healthCheckNodePort === 0 ? undefined : status(keys.healthCheckNodePort),
      connected: isProven || isConnected(sources, identity, candidate),
      othersFailing: recent <= 0 ? 0 : failures / recent,
    });
  };
}

const NO_RESULTS = { recent: 0, failures: 0 };

/** Of the targets that the API has now: what has left says nothing of those that stay. */
function recentResults(
  { healthText, views }: SourceState,
  { members, port, healthCheckNodePort }: DerivedSource,
  status: EvidenceSources['status'],
): typeof NO_RESULTS {
  let recent = 0;
  let failures = 0;
  for (const candidate of members) {
    const identity = identityOf(candidate.address, candidate.port === 0 ? port : candidate.port);
    const known = status(views.keys(identity, candidate, healthCheckNodePort, healthText).pool);
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

function isSameView(one: TargetView, other: TargetView): boolean {
  return (
    one.health === other.health &&
    one.proof === other.proof &&
    one.byProof === other.byProof &&
    one.dead === other.dead &&
    one.silent === other.silent &&
    one.lastResort === other.lastResort &&
    one.weight === other.weight &&
    hasSameCodes(one.notes, other.notes) &&
    isSameReasons(one.notes, other.notes)
  );
}
