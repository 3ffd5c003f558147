// The cluster objects of the scale benchmark: as many as asked for, of the size that real ones have, the same in every run.

export interface Size {
  /** Over all clusters. */
  readonly nodes: number;
  readonly services: number;
  readonly endpoints: number;
}

export const CLUSTERS = ['iad', 'sea', 'fra'] as const;
/** Every fifth service has `externalTrafficPolicy: Local`. */
const LOCAL_EVERY = 5;
/** As many as the endpoint slice controller puts into one by default. */
const ENDPOINTS_PER_SLICE = 100;
const FIRST_NODE_PORT = 30_000;

export interface RawObject {
  readonly [field: string]: unknown;
  readonly kind: string;
  readonly metadata: { [field: string]: unknown; readonly name: string; resourceVersion: string };
}

/** Loopback addresses, so that traffic to every node of every cluster really arrives: 127.(16 + cluster).x.y. */
export function nodeAddress(cluster: number, node: number): string {
  return `127.${16 + cluster}.${node >> 8}.${node & 0xff}`;
}

export function nodesOf(size: Size, cluster: number): number {
  return share(size.nodes, cluster);
}

export function servicesOf(size: Size, cluster: number): number {
  return share(size.services, cluster);
}

function share(total: number, cluster: number): number {
  return (
    Math.floor((total * (cluster + 1)) / CLUSTERS.length) - Math.floor((total * cluster) / CLUSTERS.length)
  );
}

export function serviceName(service: number): string {
  return `svc-${service}`;
}

export function isLocal(service: number): boolean {
  return service % LOCAL_EVERY === LOCAL_EVERY - 1;
}

export function nodePortOf(service: number): number {
  return FIRST_NODE_PORT + service;
}

/** A node as kubelets write it: conditions, images and annotations included, of which Portico keeps a few fields. */
export function nodeObject(cluster: number, node: number, ready: boolean): RawObject {
  const name = `${CLUSTERS[cluster]}-node-${node}`;
  const condition = (type: string, status: string): object => ({
    type,
    status,
    lastHeartbeatTime: '2026-01-01T00:00:00Z',
    lastTransitionTime: '2026-01-01T00:00:00Z',
    reason: `Kubelet${type}`,
    message: 'kubelet has said so, in a sentence of the length that such sentences have',
  });
  return {
    kind: 'Node',
    apiVersion: 'v1',
    metadata: {
      name,
      uid: `uid-${name}`,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': 'amd64',
        'node.kubernetes.io/instance-type': 'm7.4xlarge',
        'topology.kubernetes.io/region': CLUSTERS[cluster],
        'topology.kubernetes.io/zone': `${CLUSTERS[cluster]}-${node % 3}`,
      },
      annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' },
    },
    spec: { podCIDR: `10.${cluster}.${node & 0xff}.0/24`, providerID: `metal:///${name}` },
    status: {
      capacity: { cpu: '16', memory: '65536000Ki', pods: '110' },
      allocatable: { cpu: '15', memory: '63000000Ki', pods: '110' },
      conditions: [
        condition('MemoryPressure', 'False'),
        condition('DiskPressure', 'False'),
        condition('PIDPressure', 'False'),
        condition('Ready', ready ? 'True' : 'False'),
      ],
      addresses: [
        { type: 'InternalIP', address: nodeAddress(cluster, node) },
        { type: 'Hostname', address: name },
      ],
      nodeInfo: {
        kubeletVersion: 'v1.36.3',
        osImage: 'Linux',
        containerRuntimeVersion: 'containerd://2.3.0',
      },
      images: Array.from({ length: 12 }, (_, image) => ({
        names: [`registry.example.com/team/image-${image}@sha256:${'0123456789abcdef'.repeat(4)}`],
        sizeBytes: 100_000_000 + image,
      })),
    },
  };
}

export function serviceObject(cluster: number, service: number): RawObject {
  const name = serviceName(service);
  return {
    kind: 'Service',
    apiVersion: 'v1',
    metadata: {
      name,
      namespace: 'shop',
      uid: `uid-${CLUSTERS[cluster]}-${name}`,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { app: name },
    },
    spec: {
      type: 'NodePort',
      externalTrafficPolicy: isLocal(service) ? 'Local' : 'Cluster',
      ipFamilies: ['IPv4'],
      clusterIP: `10.96.${service >> 8}.${service & 0xff}`,
      selector: { app: name },
      ports: [{ name: 'http', port: 80, targetPort: 8080, nodePort: nodePortOf(service), protocol: 'TCP' }],
    },
  };
}

/** Where the endpoints of a service run; `moved` shifts one of them, as a pod that was replaced. */
export function sliceObjects(
  size: Size,
  cluster: number,
  service: number,
  moved: number,
): readonly RawObject[] {
  const count = Math.max(1, Math.round(size.endpoints / size.services));
  const nodes = nodesOf(size, cluster);
  const name = serviceName(service);
  const slices: RawObject[] = [];
  for (let first = 0; first < count; first += ENDPOINTS_PER_SLICE) {
    const endpoints = Array.from({ length: Math.min(ENDPOINTS_PER_SLICE, count - first) }, (_, index) => {
      const endpoint = first + index;
      // The first endpoint of a slice is the one that comes and goes.
      const place = service * 31 + endpoint * 7 + (index === 0 ? moved * 13 : 0);
      return {
        addresses: [`10.${64 + cluster}.${(service * 3 + endpoint) & 0xff}.${endpoint & 0xff}`],
        nodeName: `${CLUSTERS[cluster]}-node-${place % nodes}`,
        conditions: { ready: true, serving: true, terminating: false },
        targetRef: {
          kind: 'Pod',
          namespace: 'shop',
          name: `${name}-${endpoint}`,
          uid: `uid-${name}-${endpoint}`,
        },
      };
    });
    const own = `${name}-${first / ENDPOINTS_PER_SLICE}`;
    slices.push({
      kind: 'EndpointSlice',
      apiVersion: 'discovery.k8s.io/v1',
      metadata: {
        name: own,
        namespace: 'shop',
        uid: `uid-${CLUSTERS[cluster]}-${own}`,
        resourceVersion: '1',
        labels: { 'kubernetes.io/service-name': name },
      },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints,
    });
  }
  return slices;
}
