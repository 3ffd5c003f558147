// The report of a soak run: Markdown with the verdicts, and the plot beside it.

import { type Plot, renderPlot } from '../../bench/measure/line-plot.ts';
import { markdownTable } from '../../bench/measure/table.ts';
import { FALSE_ALARMS, MEASURES, type SoakSeries, samplesOf, type Verdict } from './series.ts';
import type { Outcome } from './traffic.ts';
import { WINDOWS } from './trend.ts';

export interface SoakRun {
  readonly startedAtMs: number;
  readonly minutes: number;
  readonly warmUpS: number;
  readonly perSecond: number;
  readonly machine: string;
  readonly node: string;
  readonly series: SoakSeries;
  readonly verdicts: readonly Verdict[];
  readonly outcomes: ReadonlyMap<string, Outcome>;
  readonly changes: { readonly reloads: number; readonly flaps: number; readonly rotations: number };
  /** What went wrong, in words; empty for a good run. */
  readonly problems: readonly string[];
}

export function soakReport(run: SoakRun, plotName: string): string {
  const { minutes, perSecond, warmUpS, changes, problems } = run;
  const jobs = [...run.outcomes.values()].reduce((sum, { done }) => sum + done, 0);
  return [
    `${new Date(run.startedAtMs).toISOString().slice(0, 16).replace('T', ' ')} UTC, ${minutes} minutes, ${run.machine}, Node ${run.node}. ${jobs} jobs (about ${perSecond} a second), ${changes.reloads} changed configurations by SIGHUP, ${changes.flaps} targets that left or came back, ${changes.rotations} rotations of the access log.`,
    '',
    problems.length === 0
      ? '**No trend found, nothing went wrong.**'
      : `**${problems.length === 1 ? 'One problem' : `${problems.length} problems`}:**\n\n${problems.map((problem) => `- ${problem}\n`).join('')}`,
    '',
    `![Every process over time](${plotName})`,
    '',
    markdownTable(verdictRows(run.verdicts)).trimEnd(),
    '',
    `Judged: the minima of ${WINDOWS} windows after ${warmUpS} s of warm-up. \`chance\` is how often a series without a trend would look as much like growth (Mann-Kendall); below ${(FALSE_ALARMS / run.verdicts.length).toExponential(1)}, with a growth above the resolution, it is an alarm, so that at most ${FALSE_ALARMS * 100}% of runs without a leak raise any.`,
    '',
    markdownTable(outcomeRows(run.outcomes)).trimEnd(),
    '',
  ].join('\n');
}

function verdictRows(verdicts: readonly Verdict[]): readonly (readonly string[])[] {
  const rows = verdicts.map(({ process, measure, resolution, trend, grows }) => [
    `${process.replace(/ \d+$/, '')}: ${measure.name}`,
    `${trend.level.toFixed(1)} ${measure.unit}`.trim(),
    trend.slopePerHour.toFixed(2),
    trend.growth.toFixed(2),
    String(resolution),
    trend.chance.toPrecision(2),
    grows ? '**grows**' : 'no',
  ]);
  return [['', 'level', 'slope per hour', 'growth', 'resolution', 'chance', 'alarm'], ...rows];
}

function outcomeRows(outcomes: ReadonlyMap<string, Outcome>): readonly (readonly string[])[] {
  const rows = [...outcomes].map(([name, { done, failed, failures }]) => [
    name,
    String(done),
    String(failed),
    [...failures].map(([text, count]) => `${count} ${text}`).join(', ') || '-',
  ]);
  return [['job', 'done', 'failed', 'how'], ...rows];
}

export function soakPlot({ series, startedAtMs, minutes, warmUpS }: SoakRun): string {
  const plot: Plot = {
    title: `Soak run of ${minutes} minutes`,
    xTitle: 'minutes',
    columns: 2,
    panels: MEASURES.map((measure) => ({
      title: measure.unit === '' ? measure.name : `${measure.name}, ${measure.unit}`,
      shaded: [{ from: 0, to: warmUpS / 60 }],
      lines: series.processes.map(({ process, lines }) => ({
        name: process,
        points: samplesOf(lines, series.reference, measure, startedAtMs).map(({ atS, value }) => ({
          x: atS / 60,
          y: value,
        })),
      })),
    })),
  };
  return renderPlot(plot);
}
