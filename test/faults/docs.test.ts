// docs/faults.md says exactly what the matrix says, and every row of the matrix is shown by a test that exists.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { FAILURES } from '../../src/model/failures.ts';
import { FAMILIES } from '../../src/telemetry/families.ts';
import type { Fault } from './fault.ts';
import { CLIENT } from './faults-client.ts';
import { CONNECTING } from './faults-connecting.ts';
import { PROCESSES } from './faults-process.ts';
import { TARGET } from './faults-target.ts';
import { TUNNELS } from './faults-tunnels.ts';
import { parseSeries } from './series.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const WIRE = [...CONNECTING, ...TARGET, ...CLIENT, ...TUNNELS];
const ALL: readonly Fault[] = [...WIRE, ...PROCESSES];
const MARKS = ['<!-- faults: begin -->\n', '<!-- faults: end -->\n'] as const;

const code = (text: string): string => `\`${text}\``;

function logged(text: string): string {
  if (text === '-') return '-';
  return text.startsWith('code ') ? `own log, ${code(text.slice(5))}` : `\`reason\` ${code(text)}`;
}

function tables(): string {
  const parts = [...Map.groupBy(ALL, ({ part }) => part)];
  return parts
    .map(([part, faults]) => {
      const rows = faults.map(
        (fault) =>
          `| ${fault.name} | ${fault.client} | ${logged(fault.logged)} | ${fault.counted.map(code).join(', ')} | ${fault.recovers} |\n`,
      );
      return `### ${part[0]!.toUpperCase()}${part.slice(1)}\n\n| fault | the client sees | logged | counted | what recovers |\n| --- | --- | --- | --- | --- |\n${rows.join('')}`;
    })
    .join('\n');
}

describe('the fault matrix', () => {
  it('is what docs/faults.md says, in both directions', () => {
    const page = readFileSync(path.join(ROOT, 'docs/faults.md'), 'utf8');
    const [begin, end] = MARKS.map((mark) => page.indexOf(mark)) as [number, number];
    assert.ok(begin > 0 && end > begin);
    assert.equal(page.slice(begin + MARKS[0].length, end).trim(), tables().trim());
  });

  it('names each fault once', () => {
    const names = ALL.map(({ part, name }) => `${part}: ${name}`);
    assert.deepEqual(names, [...new Set(names)]);
  });

  it('names only series that exist, with labels that they have', () => {
    for (const text of ALL.flatMap(({ counted }) => counted)) {
      const { name, labels } = parseSeries(text);
      const family = (FAMILIES as Readonly<Record<string, { readonly labels: readonly string[] }>>)[name];
      assert.ok(family !== undefined, name);
      for (const label of labels) assert.ok(family.labels.includes(label.split('=')[0]!), text);
    }
  });

  it('has a row for every failure that a target, the way to it or the machine can cause', () => {
    const seen = new Set(ALL.map((fault) => fault.logged));
    const upstream = Object.entries(FAILURES)
      .filter(([, { level }]) => level === 'warn')
      .map(([failure]) => failure);
    const elsewhere = [
      'pending-limit',
      'pending-timeout',
      'tls-handshake-failed',
      'certificate-invalid',
      'upstream-refused',
      'stream-reset',
      'upstream-header-too-large',
      'answer-too-slow',
      'total-timeout',
      'upgrade-failed',
      'upgrade-unsupported',
    ];
    assert.deepEqual(
      upstream.filter((failure) => !seen.has(failure)),
      elsewhere,
      'these are shown by the tests of limits, of HTTP/2 and TLS to targets, of the RFCs and of the exchange',
    );
  });

  it('is shown, where it is about processes, by tests that are there', () => {
    for (const { shownBy } of PROCESSES) {
      const [file, name] = shownBy.split(': ') as [string, string];
      const text = readFileSync(path.join(ROOT, file), 'utf8');
      assert.ok(text.includes(`'${name}'`), `${file} has no test "${name}"`);
    }
  });
});

if (process.argv.includes('--print')) process.stdout.write(tables());
