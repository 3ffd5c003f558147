// The Kubernetes objects of the demo's nodes, services and pods.

import type { KubeObject } from './api/kube-object.ts';

export const EXCLUDE_LABEL = 'node.kubernetes.io/exclude-from-external-load-balancers';
export const AUTOSCALER_TAINT = 'ToBeDeletedByClusterAutoscaler';

export interface DemoService {
  readonly namespace: string;
  readonly name: string;
  readonly portName: string;
  readonly port: number;
  readonly policy: 'Cluster' | 'Local';
  readonly protocol: 'http' | 'ssh';
  /** Pods on each node, by the node's position; a cluster with fewer nodes has only the first of these. */
  readonly podsByNode: readonly number[];
}

export interface DemoPod {
  readonly name: string;
  readonly service: DemoService;
  readonly node: string;
  readonly address: string;
  /** A terminating pod still serves, and is chosen only when its node has no other under policy Local. */
  state: 'ready' | 'terminating';
}

/** The services of the demo, after those of a code host: a site, its API, git over SSH and two branch environments. */
export const SERVICES: readonly DemoService[] = [
  service('github-production', 'unicorn', 'http', 'Cluster', [2, 1, 1]),
  service('github-production', 'unicorn-api', 'http', 'Local', [1, 2, 0]),
  service('github-production', 'unicorn-canary', 'http', 'Cluster', [1, 0, 0]),
  service('git-production', 'ssh', 'ssh', 'Cluster', [1, 1, 1]),
  service('review-lab-fix-login', 'unicorn', 'http', 'Cluster', [1, 0, 0]),
  service('review-lab-dark-mode', 'unicorn', 'http', 'Cluster', [1, 0, 0]),
];

export const serviceName = ({ namespace, name }: DemoService): string => `${namespace}/${name}`;

export const namespaceObject = (name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name },
  status: { phase: 'Active' },
});

export const nodeObject = (name: string, address: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { 'kubernetes.io/hostname': name, pool: 'web' } },
  spec: {},
  status: {
    addresses: [
      { type: 'InternalIP', address },
      { type: 'Hostname', address: name },
    ],
    conditions: [readyCondition(true)],
    nodeInfo: { kubeletVersion: 'v1.36.0' },
  },
});

/** The Ready condition of a node whose kubelet reports, or has gone silent. */
export const readyCondition = (alive: boolean) =>
  alive
    ? { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' }
    : {
        type: 'Ready',
        status: 'Unknown',
        reason: 'NodeStatusUnknown',
        message: 'Kubelet stopped posting node status.',
      };

export const serviceObject = (service: DemoService, nodePort: number, index: number): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace: service.namespace, name: service.name, labels: { app: service.name } },
  spec: {
    type: 'NodePort',
    externalTrafficPolicy: service.policy,
    clusterIP: `10.96.0.${index + 10}`,
    ipFamilies: ['IPv4'],
    selector: { app: service.name },
    ports: [
      { name: service.portName, protocol: 'TCP', port: service.port, targetPort: service.portName, nodePort },
    ],
  },
});

/** @param alive whether a node, by its name, is up: the pods of one that is not are no longer ready */
export const sliceObject = (
  service: DemoService,
  pods: readonly DemoPod[],
  alive: (node: string) => boolean,
): KubeObject => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: {
    namespace: service.namespace,
    name: `${service.name}-demo`,
    labels: { 'kubernetes.io/service-name': service.name },
  },
  addressType: 'IPv4',
  ports: [{ name: service.portName, protocol: 'TCP', port: 8080 }],
  endpoints: pods.map((pod) => {
    const serving = alive(pod.node);
    return {
      addresses: [pod.address],
      nodeName: pod.node,
      conditions: {
        ready: serving && pod.state === 'ready',
        serving,
        terminating: pod.state === 'terminating',
      },
      targetRef: { kind: 'Pod', namespace: service.namespace, name: pod.name },
    };
  }),
});

function service(
  namespace: string,
  name: string,
  protocol: DemoService['protocol'],
  policy: DemoService['policy'],
  podsByNode: readonly number[],
): DemoService {
  const port = protocol === 'ssh' ? 22 : 80;
  return { namespace, name, portName: protocol, port, policy, protocol, podsByNode };
}
