// Owns the words and the effect of every reason code: one table from code to text, fix and target state.

import type { Reason, ReasonCode } from '../../model/targets.ts';

/** What a reason does to a target, strongest first; `none` only informs. */
export const EFFECTS = ['excluded', 'draining', 'last-resort', 'none'] as const;
export type Effect = (typeof EFFECTS)[number];

interface ReasonRow {
  readonly effect: Effect;
  readonly text: string;
  readonly fix: string;
}

const row = (effect: Effect, text: string, fix = ''): ReasonRow => ({ effect, text, fix });

/** Code -> effect, text for a person on call and fix (empty: nothing to do). Covers every code of the model. */
export const REASONS: Readonly<Record<ReasonCode, ReasonRow>> = {
  ready: row('none', 'The node is eligible and the service has endpoints'),
  static: row('none', 'The address stands in the configuration'),
  'excluded-label': row(
    'excluded',
    'The node carries the label node.kubernetes.io/exclude-from-external-load-balancers; its presence counts, whatever its value',
    'Remove the label, or set nodes.ignoreExcludeLabel: true for the cluster.',
  ),
  'selector-mismatch': row(
    'excluded',
    'The labels of the node do not match nodes.selector of the cluster',
    'Label the node, or change nodes.selector.',
  ),
  'tainted-cluster-autoscaler': row(
    'draining',
    'The cluster autoscaler has marked the node for removal (taint ToBeDeletedByClusterAutoscaler)',
    'Nothing, if the scale-down is wanted; otherwise remove the taint.',
  ),
  'tainted-karpenter': row(
    'draining',
    'Karpenter is disrupting the node (taint karpenter.sh/disrupted)',
    'Nothing, if the disruption is wanted; otherwise remove the taint.',
  ),
  'node-deleting': row(
    'draining',
    'Deletion of the Node object has been asked for',
    'Nothing, if the node is to go; otherwise let its kubelet register again once it is deleted.',
  ),
  'node-deleted': row(
    'excluded',
    'The Node object is no longer listed by the API server',
    'Nothing, if the node was removed on purpose; otherwise let its kubelet register again.',
  ),
  cordoned: row(
    'none',
    'The node is cordoned, which keeps new pods away but not traffic: its pods still serve',
  ),
  'not-ready': row(
    'last-resort',
    'The node is not Ready, so it is used only when no other target can be; the probe decides',
    'Look at the kubelet and the network of the node.',
  ),
  'operator-drain': row('draining', 'An operator drains the node', 'Undrain it.'),
  'no-address': row(
    'excluded',
    'The node has no usable address of the type that nodes.address names',
    'Set nodes.address to a type that the node reports.',
  ),
  'address-shared': row(
    'excluded',
    'Another node reports the same address, and traffic to it counts for that one',
    'Delete the Node object whose machine is gone, or give each machine an address of its own.',
  ),
  'family-mismatch': row(
    'excluded',
    'The address families of the service, the node and nodes.families have none in common',
    'Add the family to nodes.families, or make the service dual-stack.',
  ),
  'service-not-found': row(
    'excluded',
    'The API server lists no such service',
    'Create the service, or correct namespace/name in the source.',
  ),
  'service-deleting': row(
    'draining',
    'Deletion of the service has been asked for',
    'Nothing, if the service is to go; otherwise create it again once it is deleted.',
  ),
  'service-type': row(
    'excluded',
    'The service has no node ports: only the types NodePort and LoadBalancer do',
    'Change the type of the service to NodePort.',
  ),
  'port-not-found': row(
    'excluded',
    'The service has no such port',
    'Name a port of the service, or give its number (not its nodePort).',
  ),
  'protocol-mismatch': row('excluded', 'The port is not a TCP port', 'Choose a TCP port of the service.'),
  'nodeport-unallocated': row(
    'excluded',
    'No nodePort is allocated for the port',
    'Set allocateLoadBalancerNodePorts: true on the service, or make it a NodePort service.',
  ),
  'no-endpoints': row(
    'excluded',
    'The service has no endpoint that serves this port, on any node',
    'Start pods that match the selector of the service and become ready.',
  ),
  'no-local-endpoint': row(
    'excluded',
    'externalTrafficPolicy is Local and no endpoint of the service serves on this node',
    'Schedule a pod on the node, or set externalTrafficPolicy: Cluster.',
  ),
  'local-endpoints': row('none', 'Ready endpoints of the service run on this node'),
  'local-endpoints-terminating': row(
    'draining',
    'Every endpoint of the service on this node is terminating; they still serve what they have',
    'Nothing during a rollout; a pod of the service that becomes ready on the node makes it eligible again.',
  ),
  'hosts-no-endpoint': row(
    'last-resort',
    'No endpoint of the service runs on this node, and nodes that host one are preferred',
    'Schedule a pod on the node, or set preferNodesWithEndpoints: false.',
  ),
  'outside-subset': row(
    'excluded',
    'The pool takes a part of its nodes only (subset), and this one is not among them',
    'Nothing, if enough nodes take part; otherwise raise subset, or set it to 0 for all nodes.',
  ),
  unproven: row(
    'none',
    'The target has joined, but neither a probe nor a connection has proven it yet',
    'Nothing for a minute; if it stays, look at what answers on this address and port.',
  ),
  'held-until-replaced': row(
    'none',
    'The target should leave, but nothing that would replace it is proven yet, so it stays as a last resort',
    'Nothing: it leaves once another target is proven, or after 2 minutes.',
  ),
  'held-by-removal-guard': row(
    'none',
    'It vanished from the API together with too large a share of the targets, or from a list with no word of a deletion; it is kept until probes agree, replacements are proven or the hold ends',
    'Check that the API server lists all objects; see maxRemovedShare.',
  ),
  'probe-failed': row('none', 'The probe fails', 'Look at what answers on this address and port.'),
  'probe-unknown': row('none', 'No probe has answered yet', 'Nothing: the first probe decides.'),
  'kube-proxy-unhealthy': row(
    'last-resort',
    'kube-proxy on the node is not healthy, so the node is used only when no other target can be',
    'Look at the kube-proxy of the node.',
  ),
  'health-check-node-port': row(
    'none',
    'healthCheckNodePort says that kube-proxy knows no ready local endpoint, while the API lists one',
    'Nothing at first: one of the two lags behind; look at kube-proxy if it stays.',
  ),
  'inventory-stale': row(
    'none',
    'What is known of the cluster is old, because its API server does not answer',
    'Look at the API server and at the credentials of Portico.',
  ),
  'inventory-missing': row(
    'excluded',
    'Not enough is known of the cluster yet',
    'Look at the API server, and at the credentials and rights of Portico.',
  ),
  ejected: row(
    'none',
    'A worker has taken the target out after failures; it comes back by itself',
    'Look at the failures that the pool counts; the ejection ends by itself.',
  ),
};

const plain = new Map<ReasonCode, Reason>();

/** The reason for a code; `detail` (no final dot) is added to the text. Without a detail the same object each time. */
export function reason(code: ReasonCode, detail = ''): Reason {
  const known = plain.get(code);
  if (detail === '' && known !== undefined) return known;
  const { text, fix } = REASONS[code];
  const made = Object.freeze({ code, text: detail === '' ? `${text}.` : `${text}: ${detail}.`, fix });
  if (detail === '') plain.set(code, made);
  return made;
}

/** The strongest effect among reasons: excluded > draining > last-resort > none. */
export function strongestEffect(reasons: readonly Reason[]): Effect {
  let best = EFFECTS.length - 1;
  for (const { code } of reasons) best = Math.min(best, EFFECTS.indexOf(REASONS[code].effect));
  return EFFECTS[best] ?? 'none';
}
