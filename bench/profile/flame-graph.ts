// A tree of calls as a flame graph: an SVG without script or anything from elsewhere. The root lies at the bottom.

import type { Frame } from './call-tree.ts';

const WIDTH = 1400;
const ROW = 17;
const TOP = 40;
const LEGEND = 26;
const MARGIN = 8;
/** Frames that are narrower in pixels are left out. */
const LEAST_WIDTH = 0.4;
/** Pixels of a letter at the font size below, and the least room for a label. */
const LETTER = 6.3;
const LEAST_LABEL = 24;

/** Colours say whose code it is: the first whose test holds. */
const AREAS: readonly { readonly name: string; readonly colour: string; readonly has: RegExp }[] = [
  { name: 'HTTP codecs', colour: '#8fc1a9', has: /^src\/http[12]\// },
  { name: 'proxy', colour: '#f2c879', has: /^src\/proxy\// },
  { name: 'telemetry', colour: '#d9a7c7', has: /^src\/telemetry\// },
  { name: 'the rest of Portico', colour: '#e8a87c', has: /^src\// },
  { name: 'packages', colour: '#c3b1e1', has: /node_modules/ },
  { name: 'Node', colour: '#a9c5e8', has: /^node:/ },
  { name: 'native', colour: '#c9ced3', has: /^/ },
];

interface Box {
  readonly frame: Frame;
  readonly depth: number;
  readonly x: number;
  readonly width: number;
}

export function flameGraph(title: string, tree: Frame): string {
  const boxes = boxesOf(tree);
  const depth = Math.max(...boxes.map((box) => box.depth)) + 1;
  const height = TOP + depth * ROW + LEGEND + MARGIN;
  const legend = AREAS.map(({ name, colour }, at) => {
    const x = MARGIN + at * 150;
    return `<rect x="${x}" y="${height - LEGEND + 4}" width="12" height="12" fill="${colour}"/><text x="${x + 17}" y="${height - LEGEND + 14}">${escaped(name)}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="monospace" font-size="10.5" fill="#111">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    `<text x="${MARGIN}" y="22" font-family="sans-serif" font-size="15">${escaped(title)}</text>`,
    ...boxes.map((box) => drawn(box, tree.totalUs, depth)),
    ...legend,
    '</svg>\n',
  ].join('\n');
}

/** From the left, the longest first; what is called lies within its caller. */
function boxesOf(tree: Frame): readonly Box[] {
  const boxes: Box[] = [];
  const scale = (WIDTH - 2 * MARGIN) / (tree.totalUs || 1);
  const place = (frame: Frame, depth: number, x: number): void => {
    const width = frame.totalUs * scale;
    if (width < LEAST_WIDTH && depth > 0) return;
    boxes.push({ frame, depth, x, width });
    let at = x;
    for (const call of frame.calls) {
      place(call, depth + 1, at);
      at += call.totalUs * scale;
    }
  };
  place(tree, 0, MARGIN);
  return boxes;
}

function drawn({ frame, depth, x, width }: Box, allUs: number, rows: number): string {
  const y = TOP + (rows - 1 - depth) * ROW;
  const share = (us: number): string => `${((us / (allUs || 1)) * 100).toFixed(1)}%`;
  const words = `${frame.name}${frame.place === '' ? '' : ` ${frame.place}`}: ${share(frame.totalUs)}, itself ${share(frame.selfUs)}`;
  const letters = Math.floor((width - 4) / LETTER);
  const label =
    width < LEAST_LABEL
      ? ''
      : `<text x="${round(x + 2)}" y="${y + 12}">${escaped(frame.name.slice(0, letters))}</text>`;
  const { colour } = AREAS.find(({ has }) => has.test(frame.place))!;
  return `<g><title>${escaped(words)}</title><rect x="${round(x)}" y="${y}" width="${round(width)}" height="${ROW - 1}" fill="${colour}"/>${label}</g>`;
}

const round = (value: number): number => Math.round(value * 10) / 10;
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
