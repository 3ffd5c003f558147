import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Candidate } from '../../../src/control/targets/candidate.ts';
import {
  createDerivationMemo,
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
import type { NodeSelection } from '../../../src/model/config.ts';
import type { EndpointSliceFact, NodeFact, ServiceFact } from '../../../src/model/inventory.ts';
import type { SourceConfig } from '../../../src/model/pool-config.ts';
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
  return deriveService(source, view, nodes, createDerivationMemo());
}

function candidateIn(given: World): Candidate {
  const found = derive(given).candidateOf('node-1');
  assert.ok(found !== null);
  return found;
}

const codes = ({ reasons }: Pick<Candidate, 'reasons'>): ReasonCode[] => reasons.map(({ code }) => code);

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
  const memo: DerivationMemo = createDerivationMemo();
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
  test('an address that cannot be that of a node is passed over, and named where there is no other', () => {
    for (const address of [
      '0.0.0.0',
      '255.255.255.255',
      '224.0.0.1',
      '::',
      '::ffff:0.0.0.0',
      'ff02::1',
      'fe80::1',
    ]) {
      const given = world();
      given.selection = { ...given.selection, families: ['ipv4', 'ipv6'] };
      given.service = serviceFact('web', { ipFamilies: ['IPv4', 'IPv6'] });
      changeNode(given, { addresses: [{ type: 'InternalIP', address }] });
      const derived = derive(given);
      assert.deepEqual(
        derived.members.map(({ node }) => node),
        ['node-2'],
        address,
      );
      const [reason] = derived.candidateOf('node-1')!.reasons;
      assert.equal(reason?.code, 'no-address');
      assert.ok(reason.text.endsWith(`${address} cannot be that of a node.`), reason.text);
      given.node = nodeFact('node-1', {
        addresses: [...given.node.addresses, { type: 'InternalIP', address: '10.0.0.1' }],
      });
      assert.equal(derive(given).candidateOf('node-1')!.address, '10.0.0.1');
    }
  });
  test('addresses of this machine, of links with an interface and of the former class E are taken', () => {
    for (const address of [
      '127.0.0.11',
      '::1',
      '169.254.1.1',
      'fe80::1%eth0',
      '240.0.0.1',
      '255.255.255.254',
    ]) {
      const given = world();
      given.selection = { ...given.selection, families: ['ipv4', 'ipv6'] };
      given.service = serviceFact('web', { ipFamilies: ['IPv4', 'IPv6'] });
      changeNode(given, { addresses: [{ type: 'InternalIP', address }] });
      assert.equal(derive(given).candidateOf('node-1')!.address, address);
    }
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
    assert.ok(codes(derived.candidateOf('node-1')!).includes('address-shared'));
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
