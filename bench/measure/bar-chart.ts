// Bars as an SVG, for pages that show who costs how much.

export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  /** Stands out from the others. */
  readonly own: boolean;
}

const WIDTH = 720;
const LABEL = 150;
const ROW = 26;
const TOP = 44;
const TEXT = 'font-family="sans-serif" font-size="13" fill="#333"';

/** @param unit what the bars count, for the title */
export function barChart(title: string, unit: string, bars: readonly Bar[]): string {
  const most = Math.max(...bars.map(({ max }) => max));
  const scale = (value: number): number => (value / most) * (WIDTH - LABEL - 90);
  const rows = bars.map(({ label, value, min, max, own }, index) => {
    const y = TOP + index * ROW;
    const middle = y + ROW / 2 - 3;
    const end = LABEL + scale(value);
    return [
      `<text x="${LABEL - 8}" y="${middle + 4}" text-anchor="end" ${TEXT}>${escaped(label)}</text>`,
      `<rect x="${LABEL}" y="${y + 2}" width="${scale(value).toFixed(1)}" height="${ROW - 10}" fill="${own ? '#2b7a4b' : '#9aa5b1'}"/>`,
      `<line x1="${(LABEL + scale(min)).toFixed(1)}" x2="${(LABEL + scale(max)).toFixed(1)}" y1="${middle}" y2="${middle}" stroke="#333" stroke-width="1.5"/>`,
      `<text x="${(Math.max(end, LABEL + scale(max)) + 6).toFixed(1)}" y="${middle + 4}" ${TEXT}>${value.toFixed(1)}</text>`,
    ].join('\n');
  });
  const height = TOP + bars.length * ROW + 8;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}">
<rect width="100%" height="100%" fill="#fff"/>
<text x="8" y="22" font-family="sans-serif" font-size="15" fill="#111">${escaped(title)}, ${escaped(unit)}; lines from least to most</text>
${rows.join('\n')}
</svg>
`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
