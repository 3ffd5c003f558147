import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type Candidate,
  type DerivationMemo,
  type DerivedSource,
  deriveService,
  deriveStatic,
  identityOf,
} from '../../../src/control/targets/derive.ts';
import { joinNodes, viewNode } from '../../../src/control/targets/nodes.ts';
import { EFFECTS, REASONS } from '../../../src/control/targets/reasons.ts';
import { parseSelector } from '../../../src/control/targets/selector.ts';
import { viewService } from '../../../src/control/targets/services.ts';
import type { NodeSelection, SourceConfig } from '../../../src/model/config.ts';
import type { EndpointSliceFact, NodeFact, ServiceFact } from '../../../src/model/inventory.ts';
import { REASON_CODES, type ReasonCode } from '../../../src/model/targets.ts';
import {
  clusterConfig,
  endpointFact,
  nodeFact,
  serviceFact,
  serviceSource,
  sliceFact,
  staticSource,
  TERMINATING,
} from './facts.ts';

interface World {
  node: NodeFact;
  others: NodeFact[];
  service: ServiceFact | null;
  slices: EndpointSliceFact[];
  source: SourceConfig;
  selection: NodeSelection;
  drained: boolean;
}

const world = (): World => ({
  node: nodeFact('node-1'),
  others: [nodeFact('node-2')],
  service: serviceFact('web'),
  slices: [sliceFact('web', [endpointFact('node-1'), endpointFact('node-2')])],
  source: serviceSource(),
  selection: clusterConfig().nodes,
  drained: false,
});

function derive({ node, others, service, slices, source, selection, drained }: World): DerivedSource {
  const selector = parseSelector(selection.selector ?? '');
  const views = [node, ...others].map((fact) =>
    viewNode('iad', fact, selection, selector, drained && fact === node),
  );
  const nodes = joinNodes('iad', selection.families, views);
  const view = viewService('shop/web', source, service, slices, selection.families);
  return deriveService(source, view, nodes, { shared: new WeakMap(), local: new WeakMap() });
}

function candidateIn(given: World): Candidate {
  const found = derive(given).candidateOf('node-1');
  assert.ok(found !== null);
  return found;
}

const codes = ({ reasons }: Pick<Candidate, 'reasons'>): ReasonCode[] => reasons.map(({ code }) => code);

type Row = {
  readonly name: string;
  readonly apply: (world: World) => void;
  readonly code: ReasonCode;
  readonly state: Candidate['state'];
  readonly lastResort?: boolean;
  /** Facts about the same thing cannot hold together. */
  readonly about:
    | 'label'
    | 'selector'
    | 'autoscaler'
    | 'karpenter'
    | 'deletion'
    | 'drain'
    | 'ready'
    | 'cordon'
    | 'address'
    | 'service'
    | 'endpoints'
    | 'deleting';
};

const local = (given: World): void => {
  if (given.service !== null) given.service = { ...given.service, externalTrafficPolicy: 'Local' };
};
const changeService = (given: World, changes: Partial<ServiceFact>): void => {
  if (given.service !== null) given.service = { ...given.service, ...changes };
};
const changeNode = (given: World, changes: Partial<NodeFact>): void => {
  given.node = { ...given.node, ...changes };
};
const taint = (given: World, key: string): void =>
  changeNode(given, { taints: [...given.node.taints, { key, effect: 'NoSchedule' }] });
const label = (given: World, key: string, value: string): void =>
  changeNode(given, { labels: { ...given.node.labels, [key]: value } });
const EXCLUDE = 'node.kubernetes.io/exclude-from-external-load-balancers';

/** Every row of the table "NodePort truth" (docs/targets.md). */
const ROWS: readonly Row[] = [
  {
    name: 'exclude label, empty value',
    about: 'label',
    code: 'excluded-label',
    state: 'excluded',
    apply: (w) => label(w, EXCLUDE, ''),
  },
  {
    name: 'exclude label, value false (presence counts)',
    about: 'label',
    code: 'excluded-label',
    state: 'excluded',
    apply: (w) => label(w, EXCLUDE, 'false'),
  },
  {
    name: 'selector that does not match',
    about: 'selector',
    code: 'selector-mismatch',
    state: 'excluded',
    apply: (w) => {
      w.selection = { ...w.selection, selector: 'pool=web' };
    },
  },
  {
    name: 'taint of the cluster autoscaler',
    about: 'autoscaler',
    code: 'tainted-cluster-autoscaler',
    state: 'draining',
    apply: (w) => taint(w, 'ToBeDeletedByClusterAutoscaler'),
  },
  {
    name: 'taint of Karpenter',
    about: 'karpenter',
    code: 'tainted-karpenter',
    state: 'draining',
    apply: (w) => taint(w, 'karpenter.sh/disrupted'),
  },
  {
    name: 'older taint of Karpenter',
    about: 'karpenter',
    code: 'tainted-karpenter',
    state: 'draining',
    apply: (w) => taint(w, 'karpenter.sh/disruption'),
  },
  {
    name: 'node being deleted',
    about: 'deletion',
    code: 'node-deleting',
    state: 'draining',
    apply: (w) => changeNode(w, { deletionTimestamp: '2026-01-01T00:00:00Z' }),
  },
  {
    name: 'operator drain',
    about: 'drain',
    code: 'operator-drain',
    state: 'draining',
    apply: (w) => {
      w.drained = true;
    },
  },
  {
    name: 'cordon',
    about: 'cordon',
    code: 'cordoned',
    state: 'active',
    apply: (w) => changeNode(w, { unschedulable: true }),
  },
  {
    name: 'Ready False',
    about: 'ready',
    code: 'not-ready',
    state: 'active',
    lastResort: true,
    apply: (w) => changeNode(w, { ready: 'False' }),
  },
  {
    name: 'Ready Unknown',
    about: 'ready',
    code: 'not-ready',
    state: 'active',
    lastResort: true,
    apply: (w) => changeNode(w, { ready: 'Unknown' }),
  },
  {
    name: 'no address of the chosen type',
    about: 'address',
    code: 'no-address',
    state: 'excluded',
    apply: (w) => changeNode(w, { addresses: [{ type: 'ExternalIP', address: '192.0.2.1' }] }),
  },
  {
    name: 'address of another family',
    about: 'address',
    code: 'family-mismatch',
    state: 'excluded',
    apply: (w) => changeNode(w, { addresses: [{ type: 'InternalIP', address: 'fd00::1' }] }),
  },
  {
    name: 'missing service',
    about: 'service',
    code: 'service-not-found',
    state: 'excluded',
    apply: (w) => {
      w.service = null;
    },
  },
  {
    name: 'ClusterIP service',
    about: 'service',
    code: 'service-type',
    state: 'excluded',
    apply: (w) => changeService(w, { type: 'ClusterIP' }),
  },
  {
    name: 'port name not found',
    about: 'service',
    code: 'port-not-found',
    state: 'excluded',
    apply: (w) => {
      w.source = serviceSource({ port: 'grpc' });
    },
  },
  {
    name: 'port number not found',
    about: 'service',
    code: 'port-not-found',
    state: 'excluded',
    apply: (w) => {
      w.source = serviceSource({ port: 30080 });
    },
  },
  {
    name: 'UDP port',
    about: 'service',
    code: 'protocol-mismatch',
    state: 'excluded',
    apply: (w) => changeService(w, { ports: [{ name: 'http', port: 80, nodePort: 30080, protocol: 'UDP' }] }),
  },
  {
    name: 'nodePort not allocated',
    about: 'service',
    code: 'nodeport-unallocated',
    state: 'excluded',
    apply: (w) =>
      changeService(w, {
        type: 'LoadBalancer',
        ports: [{ name: 'http', port: 80, nodePort: 0, protocol: 'TCP' }],
      }),
  },
  {
    name: 'service of another family',
    about: 'service',
    code: 'family-mismatch',
    state: 'excluded',
    apply: (w) => changeService(w, { ipFamilies: ['IPv6'] }),
  },
  {
    name: 'service being deleted',
    about: 'deleting',
    code: 'service-deleting',
    state: 'draining',
    apply: (w) => changeService(w, { deletionTimestamp: '2026-01-01T00:00:00Z' }),
  },
  {
    name: 'no endpoint, policy Cluster',
    about: 'endpoints',
    code: 'no-endpoints',
    state: 'excluded',
    apply: (w) => {
      w.slices = [];
    },
  },
  {
    name: 'no endpoint, policy Local',
    about: 'endpoints',
    code: 'no-endpoints',
    state: 'excluded',
    apply: (w) => {
      local(w);
      w.slices = [sliceFact('web', [])];
    },
  },
  {
    name: 'Local, endpoint elsewhere',
    about: 'endpoints',
    code: 'no-local-endpoint',
    state: 'excluded',
    apply: (w) => {
      local(w);
      w.slices = [sliceFact('web', [endpointFact('node-2')])];
    },
  },
  {
    name: 'Local, endpoint of another port',
    about: 'endpoints',
    code: 'no-local-endpoint',
    state: 'excluded',
    apply: (w) => {
      local(w);
      w.slices = [
        sliceFact('web', [endpointFact('node-1')], { ports: [{ name: 'admin', port: 1 }] }),
        sliceFact('web', [endpointFact('node-2')]),
      ];
    },
  },
  {
    name: 'Local, endpoint not ready',
    about: 'endpoints',
    code: 'no-local-endpoint',
    state: 'excluded',
    apply: (w) => {
      local(w);
      w.slices = [
        sliceFact('web', [endpointFact('node-1', { ready: false, serving: false }), endpointFact('node-2')]),
      ];
    },
  },
  {
    name: 'Local, all terminating but serving',
    about: 'endpoints',
    code: 'local-endpoints-terminating',
    state: 'draining',
    apply: (w) => {
      local(w);
      w.slices = [sliceFact('web', [endpointFact('node-1', TERMINATING), endpointFact('node-2')])];
    },
  },
  {
    name: 'Local with ready endpoints',
    about: 'endpoints',
    code: 'local-endpoints',
    state: 'active',
    apply: local,
  },
  {
    name: 'Cluster, nodes with endpoints preferred',
    about: 'endpoints',
    code: 'hosts-no-endpoint',
    state: 'active',
    lastResort: true,
    apply: (w) => {
      w.source = { ...w.source, preferNodesWithEndpoints: true };
      w.slices = [sliceFact('web', [endpointFact('node-2')])];
    },
  },
];

const STRENGTH = ['excluded', 'draining', 'active'];

describe('NodePort truth, each row alone', () => {
  test('nothing special: active and ready', () => {
    const found = candidateIn(world());
    assert.deepEqual(
      [found.state, found.lastResort, codes(found), found.weight],
      ['active', false, ['ready'], 1],
    );
  });
  for (const row of ROWS) {
    test(`${row.name}: ${row.state}, ${row.code}`, () => {
      const given = world();
      row.apply(given);
      const found = candidateIn(given);
      assert.equal(found.state, row.state);
      assert.equal(found.lastResort, row.lastResort ?? false);
      assert.ok(codes(found).includes(row.code), codes(found).join());
      const isMember = derive(given).members.some(({ node }) => node === 'node-1');
      assert.equal(isMember, row.state !== 'excluded');
    });
  }
});

describe('NodePort truth, in pairs', () => {
  const hides = (row: Row, other: Row): boolean =>
    // Without a service, its port or its endpoints there is nothing to say of where endpoints are.
    row.about === 'endpoints' &&
    other.about === 'service' &&
    other.code !== 'service-type' &&
    other.code !== 'nodeport-unallocated' &&
    other.code !== 'protocol-mismatch';
  for (const [index, first] of ROWS.entries()) {
    test(`${first.name} with every other row: all reasons are told and the strongest state wins`, () => {
      for (const second of ROWS.slice(index + 1)) {
        if (first.about === second.about || hides(first, second) || hides(second, first)) continue;
        // What is not there is not being deleted.
        if (first.code === 'service-not-found' && second.about === 'deleting') continue;
        // The node's families are moot when the node has none or the service shares none.
        if (first.about === 'address' && (second.about === 'endpoints' || second.code === 'family-mismatch'))
          continue;
        if (second.about === 'address' && (first.about === 'endpoints' || first.code === 'family-mismatch'))
          continue;
        const given = world();
        first.apply(given);
        second.apply(given);
        if (
          second.about === 'endpoints' &&
          first.about === 'service' &&
          given.source.preferNodesWithEndpoints
        )
          continue;
        const found = candidateIn(given);
        const wanted = STRENGTH[Math.min(STRENGTH.indexOf(first.state), STRENGTH.indexOf(second.state))];
        const label = `${first.name} + ${second.name}: ${codes(found).join()}`;
        assert.equal(found.state, wanted, label);
        assert.ok(codes(found).includes(first.code), label);
        assert.ok(codes(found).includes(second.code), label);
        assert.equal(found.lastResort, first.lastResort === true || second.lastResort === true, label);
      }
    });
  }
});

test('the strongest reason stands first', () => {
  const given = world();
  changeNode(given, { unschedulable: true, ready: 'False' });
  taint(given, 'karpenter.sh/disrupted');
  label(given, EXCLUDE, 'true');
  assert.deepEqual(codes(candidateIn(given)), [
    'excluded-label',
    'tainted-karpenter',
    'not-ready',
    'cordoned',
  ]);
});

test('ignoreExcludeLabel lets labelled nodes take part', () => {
  const given = world();
  label(given, EXCLUDE, 'true');
  given.selection = { ...given.selection, ignoreExcludeLabel: true };
  assert.equal(candidateIn(given).state, 'active');
});

test('under Local the weight is the number of ready local endpoints, each address once', () => {
  const given = world();
  local(given);
  const one = endpointFact('node-1', { addresses: ['10.1.0.1'] });
  const two = endpointFact('node-1', { addresses: ['10.1.0.2'] });
  const leaving = endpointFact('node-1', { addresses: ['10.1.0.3'], ...TERMINATING });
  given.slices = [sliceFact('web', [one, two, leaving]), sliceFact('web', [one], { name: 'web-second' })];
  assert.equal(candidateIn(given).weight, 2);
});

test('an endpoint without a node counts for no node, but the service has endpoints', () => {
  const given = world();
  given.slices = [sliceFact('web', [endpointFact(null)])];
  assert.equal(candidateIn(given).state, 'active');
  local(given);
  assert.deepEqual(codes(candidateIn(given)), ['no-local-endpoint']);
});

test('services that depend on nodes only share one list of members', () => {
  const selection = clusterConfig().nodes;
  const parsed = parseSelector('');
  const nodes = joinNodes('iad', ['ipv4'], [viewNode('iad', nodeFact('node-1'), selection, parsed, false)]);
  const memo: DerivationMemo = { shared: new WeakMap(), local: new WeakMap() };
  const slices = [sliceFact('web', [endpointFact('node-1')])];
  const lists = ['web', 'api'].map((name) => {
    const view = viewService(`shop/${name}`, serviceSource(), serviceFact(name), slices, ['ipv4']);
    return deriveService(serviceSource(), view, nodes, memo).members;
  });
  assert.equal(lists[0], lists[1]);
});

describe('addresses and families', () => {
  const dual = [
    { type: 'Hostname', address: 'node-1.example.com' },
    { type: 'ExternalIP', address: '192.0.2.1' },
    { type: 'InternalIP', address: 'fd00::1' },
    { type: 'InternalIP', address: '10.0.0.1' },
    { type: 'InternalIP', address: '10.0.0.99' },
  ];
  const addressWith = (
    selection: Partial<NodeSelection>,
    ipFamilies: string[],
    slices?: EndpointSliceFact[],
  ): string => {
    const given = world();
    changeNode(given, { addresses: dual });
    changeService(given, { ipFamilies });
    given.selection = { ...given.selection, ...selection };
    if (slices !== undefined) given.slices = slices;
    return candidateIn(given).address;
  };
  const slice6 = sliceFact('web', [endpointFact('node-1')], { addressType: 'IPv6', name: 'six' });
  const slice4 = sliceFact('web', [endpointFact('node-1')]);
  test('one InternalIP by default, the first of the family', () => {
    assert.equal(addressWith({}, ['IPv4']), '10.0.0.1');
  });
  test('families are taken in configured order where the service has both', () => {
    assert.equal(addressWith({ families: ['ipv6', 'ipv4'] }, ['IPv4', 'IPv6'], [slice4, slice6]), 'fd00::1');
    assert.equal(addressWith({ families: ['ipv4', 'ipv6'] }, ['IPv4', 'IPv6'], [slice4, slice6]), '10.0.0.1');
  });
  test('a family without endpoints comes after one that has them', () => {
    assert.equal(addressWith({ families: ['ipv4', 'ipv6'] }, ['IPv4', 'IPv6'], [slice6]), 'fd00::1');
  });
  test('ExternalIP and Hostname by choice', () => {
    assert.equal(addressWith({ address: 'ExternalIP' }, ['IPv4']), '192.0.2.1');
    assert.equal(addressWith({ address: 'Hostname' }, ['IPv4']), 'node-1.example.com');
  });
  test('an address that two nodes claim belongs to the one in order', () => {
    const given = world();
    changeNode(given, { ready: 'False' });
    given.others = [nodeFact('node-2', { addresses: given.node.addresses })];
    const derived = derive(given);
    assert.deepEqual(
      derived.members.map(({ node }) => node),
      ['node-2'],
    );
    assert.ok(codes(derived.candidateOf('node-1')!).includes('no-address'));
  });
});

test('a port by number, and a single port without a name', () => {
  const given = world();
  given.source = serviceSource({ port: 80 });
  assert.equal(derive(given).port, 30080);
  given.source = serviceSource({ port: null });
  assert.equal(derive(given).port, 30080);
});

test('a number that names a TCP and a UDP port means the TCP one', () => {
  const given = world();
  changeService(given, {
    ports: [
      { name: 'dns-udp', port: 53, nodePort: 30053, protocol: 'UDP' },
      { name: 'http', port: 53, nodePort: 30054, protocol: 'TCP' },
    ],
  });
  given.source = serviceSource({ port: 53 });
  assert.equal(derive(given).port, 30054);
});

test('healthCheckNodePort counts under Local only', () => {
  const given = world();
  changeService(given, { type: 'LoadBalancer', healthCheckNodePort: 31000 });
  assert.equal(derive(given).healthCheckNodePort, 0);
  local(given);
  assert.equal(derive(given).healthCheckNodePort, 31000);
});

test('static addresses are members, host names and IPv6 included, each once', () => {
  const { members } = deriveStatic(
    staticSource(['127.0.0.1:9001', 'app.internal:80', '[::1]:9002', '127.0.0.1:9001']),
  );
  assert.deepEqual(
    members.map(({ address, port }) => identityOf(address, port)),
    ['127.0.0.1:9001', 'app.internal:80', '[::1]:9002'],
  );
  assert.deepEqual(codes(members[0]!), ['static']);
});

test('every reason code of the model has words and an effect', () => {
  assert.deepEqual(Object.keys(REASONS).sort(), [...REASON_CODES].sort());
  for (const row of Object.values(REASONS)) {
    assert.ok(row.text.length > 10 && EFFECTS.includes(row.effect) && !row.text.endsWith('.'));
  }
});
