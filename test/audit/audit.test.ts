// The judgement of `npm audit`: what fails, what is explained, and that silence is never taken for innocence.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { type Allowed, developmentOf, judge } from './judge.ts';

const ROOT = path.join(import.meta.dirname, '../..');

const report = (...advisories: readonly { name: string; severity: string }[]): string =>
  JSON.stringify({
    auditReportVersion: 2,
    vulnerabilities: Object.fromEntries([
      ...advisories.map(({ name, severity }) => [
        name,
        { via: [{ name, severity, title: 'Bad', url: `https://example.com/${name}` }] },
      ]),
      ['parent', { via: advisories.map(({ name }) => name) }],
    ]),
  });
const allow = (name: string, scope: Allowed['scope'] = 'development'): Allowed => ({
  package: name,
  scope,
  reason: 'only on loopback',
});

describe('an audit', () => {
  it('is clean when there is no advisory', () => {
    assert.deepEqual(judge(report(), [], new Set()), { kind: 'judged', problems: [], notes: [] });
  });

  it('fails for a high or critical advisory, in development too, and notes the others', () => {
    for (const severity of ['high', 'critical']) {
      const verdict = judge(report({ name: 'x', severity }), [], new Set(['x']));
      assert.deepEqual(verdict, {
        kind: 'judged',
        problems: [`x: Bad (${severity}, https://example.com/x)`],
        notes: [],
      });
    }
    const verdict = judge(report({ name: 'x', severity: 'moderate' }), [], new Set());
    assert.ok(verdict.kind === 'judged' && verdict.problems.length === 0 && verdict.notes.length === 1);
  });

  it('takes an exception with its reason, only where it is meant, and only as long as it is needed', () => {
    const high = report({ name: 'x', severity: 'high' });
    const explained = judge(high, [allow('x')], new Set(['x']));
    assert.ok(explained.kind === 'judged' && explained.problems.length === 0);
    assert.match(explained.notes.join(), /allowed, only on loopback/);
    const inProduction = judge(high, [allow('x')], new Set());
    assert.ok(inProduction.kind === 'judged');
    assert.match(inProduction.problems.join(), /production installs it/);
    const outdated = judge(report(), [allow('x')], new Set(['x']));
    assert.ok(outdated.kind === 'judged');
    assert.match(outdated.problems.join(), /no high advisory any more/);
  });

  it('says that it could not ask, and never that nothing was found', () => {
    for (const answer of [
      '',
      'not JSON',
      '{}',
      '[]',
      '{"message":"405 Method Not Allowed"}',
      '{"error":{"summary":"x"}}',
    ]) {
      assert.equal(judge(answer, [], new Set()).kind, 'not-asked', answer);
    }
  });

  it('knows from the lock file what production installs', () => {
    const lock = JSON.parse(readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8')) as Parameters<
      typeof developmentOf
    >[0];
    const development = developmentOf(lock);
    for (const name of ['http-proxy', 'typescript', 'fast-check']) assert.ok(development.has(name), name);
    for (const name of ['pino', 'yaml', 'undici']) assert.ok(!development.has(name), name);
  });

  it('has exceptions that only development needs, each with a reason', () => {
    const allowed = JSON.parse(
      readFileSync(path.join(ROOT, 'test/audit/allowed.json'), 'utf8'),
    ) as readonly Allowed[];
    for (const { reason, scope } of allowed) {
      assert.ok(reason.length > 20);
      assert.equal(scope, 'development');
    }
  });
});
