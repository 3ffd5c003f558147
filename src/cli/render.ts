// Targets and explanations as text for people.

import { EXPIRY_WARNING_MS } from '../config/certificate-pair.ts';
import type { CertificateRow } from '../config/certificate-rows.ts';
import type { ExplainedTarget } from '../model/targets.ts';
import type { ExplanationAnswer, UrlExplanationAnswer } from './admin-answers.ts';
import { type Cell, type Paint, printable, table } from './terminal.ts';

const HEADER = ['POOL', 'NODE', 'ADDRESS', 'PORT', 'WEIGHT', 'STATE', 'HEALTH', 'REASONS'];
const NUMBERS: ReadonlySet<number> = new Set([3, 4]);

const STATE_COLOURS: Readonly<Record<string, Cell['colour']>> = {
  active: 'green',
  filling: 'yellow',
  draining: 'yellow',
  excluded: 'dim',
};
const HEALTH_COLOURS: Readonly<Record<string, Cell['colour']>> = { healthy: 'green', unhealthy: 'red' };

const coloured = (text: string, colour: Cell['colour']): Cell =>
  colour === undefined ? { text } : { text, colour };

/** The table of `portico targets`; the cluster stands before the node when there are several. */
export function renderTargets(targets: readonly ExplainedTarget[], paint: Paint): string {
  const clusters = new Set(targets.map((target) => target.cluster).filter((cluster) => cluster !== null));
  const rows = targets.map((target): Cell[] => [
    { text: target.pool },
    { text: nodeText(target, clusters.size > 1) },
    { text: target.address === '' ? '-' : target.address },
    { text: target.port === 0 ? '-' : String(target.port) },
    { text: String(Math.round(target.weight * 100) / 100) },
    coloured(target.lastResort ? `${target.state} (last resort)` : target.state, STATE_COLOURS[target.state]),
    coloured(target.health, HEALTH_COLOURS[target.health]),
    { text: target.reasons.map((reason) => reason.code).join(', ') || '-' },
  ]);
  return table(HEADER, rows, NUMBERS, paint);
}

const DAY_MS = 86_400_000;

/** The certificates below `portico check`. */
export function renderCertificates(rows: readonly CertificateRow[], nowMs: number, paint: Paint): string {
  const cells = rows.map(({ certificate, listeners, names, notAfter }): Cell[] => [
    { text: certificate },
    { text: listeners.join(', ') },
    { text: names.join(', ') || '-' },
    notAfter === null ? { text: 'read when Portico runs', colour: 'dim' } : expiryCell(notAfter, nowMs),
  ]);
  return table(['CERTIFICATE', 'LISTENERS', 'NAMES', 'EXPIRES'], cells, new Set(), paint);
}

function expiryCell(notAfter: string, nowMs: number): Cell {
  const leftMs = Date.parse(notAfter) - nowMs;
  const date = notAfter.slice(0, 10);
  if (leftMs <= 0) return { text: `${date} (expired)`, colour: 'red' };
  const days = Math.floor(leftMs / DAY_MS);
  return coloured(`${date} (${days} d)`, leftMs <= EXPIRY_WARNING_MS ? 'yellow' : 'green');
}

/** The answer of `portico targets --why`. */
export function renderReasons(targets: readonly ExplainedTarget[], paint: Paint): string {
  return targets.map((target) => renderTarget(target, paint)).join('\n');
}

function nodeText({ node, cluster }: ExplainedTarget, withCluster: boolean): string {
  if (node === null) return '-';
  return withCluster && cluster !== null ? `${cluster}/${node}` : node;
}

/** The text of `portico explain`. */
export function renderExplanation(explanation: ExplanationAnswer, paint: Paint): string {
  if (explanation.kind === 'url') return renderUrl(explanation, paint);
  const { kind, name, targets } = explanation;
  const count = targets.length === 1 ? '1 target' : `${targets.length} targets`;
  const head = `${kind === 'node' ? 'Node' : 'Service'} ${paint('bold', printable(name))}: ${count}\n`;
  return head + targets.map((target) => `\n${renderTarget(target, paint)}`).join('');
}

function renderTarget(target: ExplainedTarget, paint: Paint): string {
  const address = target.address === '' ? 'no address' : endpoint(target);
  const about = [target.service, nodeText(target, true), address].filter(
    (part) => part !== null && part !== '-',
  );
  const state = paint(STATE_COLOURS[target.state] ?? 'dim', target.state);
  const resort = target.lastResort ? ', last resort' : '';
  const lines = [
    `${paint('bold', printable(target.pool))}  ${printable(about.join('  '))}`,
    `  ${state}, ${printable(target.health)}, weight ${target.weight}${resort}`,
  ];
  if (target.changedAtMs > 0) lines.push(`  ${printable(changeText(target))}`);
  for (const { code, text, fix } of target.reasons) {
    lines.push(`  ${printable(code)}: ${printable(text)}`);
    if (fix !== '') lines.push(`    fix: ${printable(fix)}`);
  }
  return `${lines.join('\n')}\n`;
}

function changeText({ changedAtMs, changedBy, objectVersion }: ExplainedTarget): string {
  const by = changedBy === '' ? '' : ` by ${changedBy}`;
  const now = objectVersion === '' ? '' : `; decided by ${objectVersion}`;
  return `since ${new Date(changedAtMs).toISOString()}${by}${now}`;
}

function endpoint({ address, port }: ExplainedTarget): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return port === 0 ? host : `${host}:${port}`;
}

function renderUrl(answer: UrlExplanationAnswer, paint: Paint): string {
  const facts: [string, string | null][] = [
    ['listener', answer.listener],
    ['route', answer.route],
    ['rule', answer.rule],
    [
      'captures',
      Object.entries(answer.captures)
        .map(([name, value]) => `${name}=${value}`)
        .join(', ') || null,
    ],
    ['action', answer.action],
    ['failure', answer.failure],
  ];
  let text = `${paint('bold', printable(`${answer.method} ${answer.url}`))}\n\n`;
  for (const [name, value] of facts) if (value !== null) text += `  ${name.padEnd(9)} ${printable(value)}\n`;
  if (answer.steps.length > 0) text += '\n';
  answer.steps.forEach((step, index) => {
    text += `  ${index + 1}. ${printable(step)}\n`;
  });
  for (const pool of answer.pools) {
    const pick = pool.pick === null ? paint('red', 'no target') : `would go to ${printable(pool.pick)}`;
    text += `\nPool ${paint('bold', printable(pool.name))}, weight ${pool.weight}: ${pick}\n`;
    text += renderTargets(pool.targets, paint);
  }
  return text;
}
