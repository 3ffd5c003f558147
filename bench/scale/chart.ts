// A line chart as SVG text, that reads on a light and on a dark page.

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface ChartOptions {
  readonly title: string;
  readonly unit: string;
  /** Name of the horizontal axis. */
  readonly axis: string;
  readonly series: readonly Series[];
}

const WIDTH = 640;
const HEIGHT = 320;
const LEFT = 64;
const RIGHT = 24;
const TOP = 44;
const BOTTOM = 48;
const COLOURS = ['#2f6feb', '#d1681d', '#2e8b57'];
const GREY = '#808890';

/** Both axes begin at zero. */
export function chart({ title, unit, axis, series }: ChartOptions): string {
  const points = series.flatMap((one) => one.points);
  const largestX = Math.max(1, ...points.map(([x]) => x));
  const step = niceStep(Math.max(1e-9, ...points.map(([, y]) => y)));
  const largestY = Math.max(step, Math.ceil(Math.max(...points.map(([, y]) => y)) / step) * step);
  const x = (value: number): number => round(LEFT + (value / largestX) * (WIDTH - LEFT - RIGHT));
  const y = (value: number): number => round(HEIGHT - BOTTOM - (value / largestY) * (HEIGHT - TOP - BOTTOM));
  const lines = Array.from({ length: Math.round(largestY / step) + 1 }, (_, index) => {
    const value = index * step;
    return `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}" stroke="${GREY}" stroke-opacity="0.3"/>${text(LEFT - 8, y(value) + 4, shortNumber(value), 'end')}`;
  });
  const ticks = [...new Set(points.map(([value]) => value))].map((value) =>
    text(x(value), HEIGHT - BOTTOM + 20, String(value), 'middle'),
  );
  const curves = series.map(({ name, points: own }, index) => {
    const colour = COLOURS[index % COLOURS.length]!;
    const path = own.map(([px, py]) => `${x(px)},${y(py)}`).join(' ');
    const dots = own
      .map(([px, py]) => `<circle cx="${x(px)}" cy="${y(py)}" r="3.5" fill="${colour}"/>`)
      .join('');
    const label = text(LEFT + 8 + index * 170, TOP - 8, name, 'start', colour);
    return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>${dots}${label}`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13">`,
    `<title>${escaped(title)}</title>`,
    text(WIDTH / 2, 18, `${title}, ${unit}`, 'middle'),
    ...lines,
    ...ticks,
    text(WIDTH / 2, HEIGHT - 8, axis, 'middle'),
    ...curves,
    '</svg>\n',
  ].join('\n');
}

function niceStep(largest: number): number {
  const raw = largest / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  return ([1, 2, 5, 10].find((factor) => factor * power >= raw) ?? 10) * power;
}

const round = (value: number): number => Math.round(value * 10) / 10;
const shortNumber = (value: number): string => String(Number(value.toPrecision(4)));

function text(x: number, y: number, content: string, anchor: string, colour = GREY): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" fill="${colour}">${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
