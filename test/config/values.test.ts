// Single values: hosts, addresses, durations and the rest, read to their canonical form or refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHostName, parseHostPattern, parseHostTemplate } from '../../src/config/host-pattern.ts';
import { parseLabelSelector } from '../../src/config/label-selector.ts';
import { networkOf } from '../../src/config/network.ts';
import { Refusal } from '../../src/config/refusal.ts';
import { nearest } from '../../src/config/suggest.ts';
import {
  formatDuration,
  formatSize,
  isPrime,
  parseAddress,
  parseAdminBind,
  parseBind,
  parseCidr,
  parseDuration,
  parsePort,
  parseSize,
} from '../../src/config/values.ts';
import { fc } from '../support/properties.ts';

test('hosts become lower-case ASCII without the trailing dot', () => {
  assert.deepEqual(parseHostPattern('Example.COM.'), {
    kind: 'exact',
    text: 'example.com',
    host: 'example.com',
  });
  assert.deepEqual(parseHostPattern('*.Bücher.example'), {
    kind: 'wildcard',
    text: '*.xn--bcher-kva.example',
    suffix: '.xn--bcher-kva.example',
  });
  assert.deepEqual(parseHostPattern('[2001:DB8::0:1]'), {
    kind: 'exact',
    text: '[2001:db8::1]',
    host: '[2001:db8::1]',
  });
});

test('an IPv6 address with a zone is refused wherever an address is read', () => {
  for (const parse of [parseHostName, parseHostPattern, parseHostTemplate]) {
    const refusal = parse('[fe80::1%eth0]');
    assert.ok(refusal instanceof Refusal, parse.name);
    assert.match(refusal.message, /"\[fe80::1%eth0\]" has a zone/);
  }
  for (const parse of [parseBind, parseAdminBind, parseAddress]) {
    const refusal = parse('[fe80::1%eth0]:80');
    assert.ok(refusal instanceof Refusal, parse.name);
    assert.match(refusal.message, /"\[fe80::1%eth0\]" has a zone/);
  }
});

test('a capture fits one label of letters, digits and hyphens, and nothing else', () => {
  const pattern = parseHostPattern('{branch}.lab.Example.com');
  assert.ok(!(pattern instanceof Refusal) && pattern.kind === 'capture');
  const regex = new RegExp(pattern.regex);
  assert.equal(regex.exec('fix-login.lab.example.com')?.groups?.['branch'], 'fix-login');
  for (const host of [
    'a.b.lab.example.com',
    '.lab.example.com',
    'a.labxexample.com',
    'A.lab.example.com',
    `${'a'.repeat(64)}.lab.example.com`,
  ]) {
    assert.equal(regex.test(host), false, host);
  }
});

test('the network of a range has no bit beyond its length', () => {
  for (const [range, network] of [
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['10.1.2.255/25', '10.1.2.128/25'],
    ['1.2.3.4/0', '0.0.0.0/0'],
    ['255.255.255.255/31', '255.255.255.254/31'],
    ['2001:db8:1:2:3:4:5:6/33', '2001:db8::/33'],
    ['fd00::1/8', 'fd00::/8'],
    ['::ffff:10.1.2.3/104', '::ffff:a00:0/104'],
  ] as const) {
    assert.equal(networkOf(range), network);
  }
  const clean = [
    '10.0.0.0/8',
    '10.1.2.3/32',
    '0.0.0.0/0',
    '::/0',
    'FD00:0::/8',
    '::ffff:10.0.0.0/104',
    'fd00::1/128',
  ];
  assert.deepEqual(clean.map(networkOf), clean);
});

test('addresses to listen on', () => {
  assert.deepEqual(parseBind(':80'), { host: '0.0.0.0', port: 80, unixPath: null });
  assert.deepEqual(parseBind('[::]:80'), { host: '::', port: 80, unixPath: null });
  assert.deepEqual(parseBind('[0::1]:0'), { host: '::1', port: 0, unixPath: null });
  assert.equal(parseAddress('[0::1]:80'), '[::1]:80');
  assert.equal(parseAddress('DB.example.com:80'), 'db.example.com:80');
  assert.equal(parseCidr('10.0.0.1'), '10.0.0.1/32');
  assert.equal(parsePort('0080'), 80);
});

test('durations and sizes read back what is printed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 86_400_000 }), (milliseconds) => {
      assert.equal(parseDuration(formatDuration(milliseconds), 0, 86_400_000), milliseconds);
      assert.equal(parseSize(formatSize(milliseconds), 0, 86_400_000), milliseconds);
    }),
  );
  assert.equal(parseDuration('1.5s', 0, 10_000), 1500);
  assert.ok(parseDuration('1e3s', 0, 1e9) instanceof Refusal);
});

test('label selectors in every form of Kubernetes, and none other', () => {
  for (const selector of [
    'a',
    '!a',
    'a=b',
    'a==b',
    'a!=b,c',
    'x.example.com/a in (b, c)',
    'a notin (b)',
    'a=',
    ' a , b ',
  ]) {
    assert.equal(parseLabelSelector(selector), selector.trim(), selector);
  }
  for (const selector of ['a b', 'a=b=c', 'a in b', 'a in (b', 'a,,b', '=b', '-a', 'a/b/c']) {
    assert.ok(parseLabelSelector(selector) instanceof Refusal, selector);
  }
});

test('misspelt words find their neighbour, strangers find none', () => {
  const words = ['listeners', 'pools', 'routes', 'round-robin'];
  assert.equal(nearest('listners', words), 'listeners');
  assert.equal(nearest('Pool', words), 'pools');
  assert.equal(nearest('ruotes', words), 'routes');
  assert.equal(nearest('round_robin', words), 'round-robin');
  assert.equal(nearest('upstreams', words), null);
  assert.equal(nearest('x'.repeat(100_000), words), null);
});

test('primes', () => {
  assert.deepEqual([1, 2, 4, 9, 97, 65_536, 65_537, 16_777_213].map(isPrime), [
    false,
    true,
    false,
    false,
    true,
    false,
    true,
    true,
  ]);
});
