// Rows of text as an aligned table for a terminal, or as Markdown.

/** The first column reads to the right, numbers to the left. The first row is the heading. */
export function textTable(rows: readonly (readonly string[])[]): string {
  const widths = widthsOf(rows);
  return rows
    .map((row) => row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))))
    .map((cells) => `${cells.join('  ').trimEnd()}\n`)
    .join('');
}

export function markdownTable(rows: readonly (readonly string[])[]): string {
  const [heading = [], ...body] = rows;
  const rule = heading.map((_, at) => (at === 0 ? '---' : '---:'));
  return [heading, rule, ...body].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

function widthsOf(rows: readonly (readonly string[])[]): readonly number[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  }
  return widths;
}
