// The comparison fails for what is new and for what is no longer there, and the file of explanations is whole.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { compare, type Differences, refused, type Verdicts } from './compare.ts';
import { PAYLOADS } from './payloads.ts';
import { PROXIES } from './proxies.ts';
import { RESPONSES } from './responses.ts';

const file = JSON.parse(readFileSync(new URL('differences.json', import.meta.url), 'utf8')) as Differences;

const row = (portico: string, nginx: string, haproxy: string): Verdicts => ({ portico, nginx, haproxy });
const STRICT = row('400 | nothing', '200 | GET /', '200 | GET /');
const LIBERAL = row('200 | GET /', '400 | nothing', '200 | GET /');
const explained: Differences = {
  reasons: { strict: { text: 'why' }, liberal: { text: 'why', lenient: true } },
  differences: { a: { ...STRICT, why: 'strict' }, b: { ...LIBERAL, why: 'liberal' } },
};
const seen = (over: Record<string, Verdicts> = {}): Map<string, Verdicts> =>
  new Map(Object.entries({ a: STRICT, b: LIBERAL, ...over }));

describe('the comparison', () => {
  it('has no problem with what is explained, and counts it', () => {
    const { problems, stricter, lenient } = compare(seen(), explained);
    assert.deepEqual([problems, stricter, lenient], [[], 1, ['b']]);
  });

  for (const [what, verdicts, problem] of [
    ['a new difference', seen({ c: row('400 | nothing', '200 | GET /', '400 | nothing') }), /^c: no reason/m],
    [
      'an explained one that changed',
      seen({ a: row('400 | nothing', '501 | nothing', '200 | GET /') }),
      /^a: nginx/m,
    ],
    [
      'an explained one that is gone',
      seen({ a: row('200 | x', '200 | x', '200 | x') }),
      /no difference any more/,
    ],
    ['an explained payload that is not sent', new Map([['a', STRICT]]), /no such payload/],
    ['a reason that nothing needs', new Map([['a', STRICT]]), /^reason liberal: not used/m],
  ] as const) {
    it(`fails for ${what}`, () => {
      assert.match(compare(verdicts, explained).problems.join('\n'), problem);
    });
  }

  it('fails when Portico takes what another refuses for a reason that does not say so', () => {
    const lax: Differences = {
      ...explained,
      differences: { ...explained.differences, b: { ...explained.differences['b']!, why: 'strict' } },
    };
    assert.match(compare(seen(), lax).problems.join('\n'), /b: Portico takes what another refuses/);
  });

  it('takes any of several verdicts that are expected, and no other', () => {
    const either: Differences = {
      ...explained,
      differences: {
        ...explained.differences,
        a: { ...STRICT, haproxy: ['200 | GET /', '400 | nothing'], why: 'strict' },
      },
    };
    const { problems } = compare(seen({ a: { ...STRICT, haproxy: '400 | nothing' } }), either);
    assert.deepEqual(problems, []);
    assert.match(
      compare(seen({ a: { ...STRICT, haproxy: '500 | x' } }), either).problems.join(),
      /^a: haproxy/,
    );
  });

  it('knows a refusal on either side', () => {
    assert.ok(refused('400 | nothing') && refused('closed | nothing') && refused('502 | next: 200 "fine"'));
    assert.ok(
      !refused('204 | nothing') && !refused('200 | GET /') && !refused('200 "ok" | next: 200 "fine"'),
    );
  });
});

describe('differences.json', () => {
  it('explains payloads that exist, with reasons that exist and are used', () => {
    const names = new Set([...PAYLOADS, ...RESPONSES].map(({ name }) => name));
    assert.equal(names.size, PAYLOADS.length + RESPONSES.length, 'names are unique');
    const used = new Set<string>();
    for (const [name, difference] of Object.entries(file.differences)) {
      assert.ok(names.has(name), name);
      assert.ok(file.reasons[difference.why] !== undefined, name);
      assert.ok(
        PROXIES.some((proxy) => difference[proxy] !== difference.portico),
        `${name} is no difference`,
      );
      used.add(difference.why);
    }
    assert.deepEqual([...used].sort(), Object.keys(file.reasons).sort());
  });

  it('comes from hundreds of payloads', () => {
    assert.ok(PAYLOADS.length >= 500 && RESPONSES.length >= 80);
  });
});
