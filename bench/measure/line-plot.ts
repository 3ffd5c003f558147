// Lines over a common axis as an SVG of small panels, for reports that are kept in docs.

export interface PlotLine {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

export interface PlotPanel {
  readonly title: string;
  readonly lines: readonly PlotLine[];
  /** Stretches of x that are shaded: a warm-up, a fault. */
  readonly shaded?: readonly { readonly from: number; readonly to: number }[];
}

export interface Plot {
  readonly title: string;
  readonly xTitle: string;
  readonly panels: readonly PlotPanel[];
  readonly columns: number;
}

const WIDTH = 420;
const HEIGHT = 190;
const LEFT = 52;
const TOP = 34;
const RIGHT = 12;
const BOTTOM = 26;
const HEADER = 52;
/** Told apart also by those who do not see all colours (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];
/** More points than pixels say nothing. */
const MOST_POINTS = 400;

export function renderPlot({ title, xTitle, panels, columns }: Plot): string {
  const rows = Math.ceil(panels.length / columns);
  const names = [...new Set(panels.flatMap(({ lines }) => lines.map(({ name }) => name)))];
  const [width, height] = [columns * WIDTH, HEADER + rows * HEIGHT];
  const legend = names.map((name, at) => {
    const x = LEFT + (at * (width - LEFT)) / names.length;
    return `<rect x="${x}" y="34" width="14" height="4" fill="${colourOf(names, name)}"/><text x="${x + 19}" y="40">${escaped(name)}</text>`;
  });
  const drawn = panels.map((panel, at) => {
    const x = (at % columns) * WIDTH;
    const y = HEADER + Math.floor(at / columns) * HEIGHT;
    return `<g transform="translate(${x} ${y})">${renderPanel(panel, names, xTitle)}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="11" fill="#222">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${LEFT}" y="20" font-size="14">${escaped(title)}</text>`,
    ...legend,
    ...drawn,
    '</svg>\n',
  ].join('\n');
}

function renderPanel(
  { title, lines, shaded = [] }: PlotPanel,
  names: readonly string[],
  xTitle: string,
): string {
  const points = lines.flatMap((line) => line.points);
  const [xLow, xHigh] = [Math.min(...points.map(({ x }) => x)), Math.max(...points.map(({ x }) => x))];
  const yHigh = niceAbove(Math.max(...points.map(({ y }) => y), 1e-9));
  const xOf = (x: number): number => LEFT + ((x - xLow) / (xHigh - xLow || 1)) * (WIDTH - LEFT - RIGHT);
  const yOf = (y: number): number => HEIGHT - BOTTOM - (y / yHigh) * (HEIGHT - TOP - BOTTOM);
  const grid = [0, 0.5, 1].map((share) => {
    const y = yOf(share * yHigh);
    return `<path d="M${LEFT} ${round(y)}H${WIDTH - RIGHT}" stroke="#ddd"/><text x="${LEFT - 5}" y="${round(y + 4)}" text-anchor="end">${label(share * yHigh)}</text>`;
  });
  const ends = [xLow, (xLow + xHigh) / 2, xHigh].map(
    (x, at) =>
      `<text x="${round(xOf(x))}" y="${HEIGHT - BOTTOM + 15}" text-anchor="${['start', 'middle', 'end'][at]}">${label(x)}${at === 1 ? ` ${escaped(xTitle)}` : ''}</text>`,
  );
  const shades = shaded.map(({ from, to }) => {
    const [left, right] = [xOf(Math.max(from, xLow)), xOf(Math.min(to, xHigh))];
    return `<rect x="${round(left)}" y="${TOP}" width="${round(Math.max(0, right - left))}" height="${HEIGHT - TOP - BOTTOM}" fill="#f3f3f3"/>`;
  });
  const drawn = lines.map((line) => {
    const every = Math.max(1, Math.ceil(line.points.length / MOST_POINTS));
    const path = line.points
      .filter((_, at) => at % every === 0)
      .map(({ x, y }) => `${round(xOf(x))},${round(yOf(y))}`)
      .join(' ');
    return `<polyline fill="none" stroke="${colourOf(names, line.name)}" stroke-width="1.2" points="${path}"/>`;
  });
  return [
    `<text x="${LEFT}" y="24" font-size="12">${escaped(title)}</text>`,
    ...shades,
    ...grid,
    ...ends,
    ...drawn,
  ].join('');
}

const colourOf = (names: readonly string[], name: string): string =>
  COLOURS[names.indexOf(name) % COLOURS.length]!;

/** The next of 1, 2 and 5 times a power of ten. */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 5, 10].find((step) => step * power >= value) ?? 10);
}

const label = (value: number): string => String(Number(value.toPrecision(3)));
const round = (value: number): number => Math.round(value * 10) / 10;
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
