// The Kubernetes objects of the test: nodes on loopback addresses, services with node ports, pods and endpoint slices.

import { NODES } from './backends.ts';

export const EXCLUDE_LABEL = 'node.kubernetes.io/exclude-from-external-load-balancers';
export const AUTOSCALER_TAINT = 'ToBeDeletedByClusterAutoscaler';
/** On every node of a run, so that Portico selects those and no other node of the cluster. */
export const RUN_LABEL = 'portico.example/run';

export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
}

/** A node as a kubelet would register it: status included. */
export function nodeObject(name: string, run: string): object {
  const address = NODES.find((node) => node.name === name)!.address;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name, [RUN_LABEL]: run } },
    status: {
      addresses: [
        { type: 'InternalIP', address },
        { type: 'Hostname', address: name },
      ],
      conditions: [readyCondition('True')],
    },
  };
}

/** The Ready condition, with what a kubelet or the node controller would say about it. */
export function readyCondition(status: 'True' | 'False' | 'Unknown'): object {
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const reason = status === 'True' ? 'KubeletReady' : 'KubeletNotReady';
  return { type: 'Ready', status, reason, lastHeartbeatTime: now, lastTransitionTime: now };
}

export interface ServiceOptions {
  readonly nodePort: number;
  readonly port: { readonly name: string; readonly number: number };
  readonly policy: 'Cluster' | 'Local';
  /** The label `app` of its pods; null: its endpoint slices are written by hand. */
  readonly app: string | null;
  /** Makes it a LoadBalancer service with this healthCheckNodePort. */
  readonly healthCheckNodePort?: number;
}

export function serviceObject(service: ServiceName, options: ServiceOptions): object {
  const isLoadBalancer = options.healthCheckNodePort !== undefined;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: service.namespace, name: service.name },
    spec: {
      type: isLoadBalancer ? 'LoadBalancer' : 'NodePort',
      externalTrafficPolicy: options.policy,
      ...(isLoadBalancer ? { healthCheckNodePort: options.healthCheckNodePort } : {}),
      ...(options.app === null ? {} : { selector: { app: options.app } }),
      ports: [
        {
          name: options.port.name,
          port: options.port.number,
          targetPort: options.port.number,
          nodePort: options.nodePort,
          protocol: 'TCP',
        },
      ],
    },
  };
}

/** A pod bound to its node at once: there is no scheduler, and no kubelet to start anything. */
export function podObject(service: ServiceName, name: string, node: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: service.namespace, name, labels: { app: service.name } },
    spec: {
      nodeName: node,
      terminationGracePeriodSeconds: 30,
      tolerations: [{ operator: 'Exists' }],
      containers: [{ name: 'app', image: `example.com/${service.name}:1`, ports: [{ containerPort: 80 }] }],
    },
  };
}

/** What a kubelet writes when the pod's readiness probe has passed. */
export function podReadyStatus(ip: string): object {
  const condition = (type: string): object => ({ type, status: 'True' });
  return {
    status: {
      phase: 'Running',
      podIP: ip,
      podIPs: [{ ip }],
      conditions: ['Initialized', 'PodScheduled', 'ContainersReady', 'Ready'].map(condition),
    },
  };
}

export interface SliceEndpoint {
  readonly node: string;
  readonly address: string;
  readonly terminating: boolean;
}

/** An endpoint slice as the endpoint slice controller writes it: terminating endpoints are serving, never ready. */
export function sliceObject(
  service: ServiceName,
  port: { readonly name: string; readonly number: number },
  endpoints: readonly SliceEndpoint[],
): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace: service.namespace,
      name: sliceName(service),
      labels: { 'kubernetes.io/service-name': service.name },
    },
    addressType: 'IPv4',
    ports: [{ name: port.name, port: port.number, protocol: 'TCP' }],
    endpoints: endpoints.map(sliceEndpoint),
  };
}

export function sliceName(service: ServiceName): string {
  return `${service.name}-by-hand`;
}

export function sliceEndpoint(endpoint: SliceEndpoint): object {
  return {
    addresses: [endpoint.address],
    nodeName: endpoint.node,
    conditions: { ready: !endpoint.terminating, serving: true, terminating: endpoint.terminating },
  };
}
