// What a command may use of the outside, and text laid out for people.

export interface CliIo {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether standard output, and standard error, are terminals. */
  readonly isTerminal: { readonly stdout: boolean; readonly stderr: boolean };
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Epoch milliseconds. */
  readonly wallClock: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

/** Colour only on a terminal, and never with NO_COLOR set to anything (no-color.org) or a dumb terminal. */
export function usesColour(io: CliIo, stream: 'stdout' | 'stderr'): boolean {
  const { NO_COLOR: none, TERM: terminal } = io.env;
  return io.isTerminal[stream] && (none === undefined || none === '') && terminal !== 'dumb';
}

export type Paint = (colour: keyof typeof COLOURS, text: string) => string;

const COLOURS = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;

/** Wraps text in a colour, or leaves it as it is. */
export function painter(enabled: boolean): Paint {
  return enabled ? (colour, text) => `\u001b[${COLOURS[colour]}m${text}\u001b[0m` : (_, text) => text;
}

/** Control characters and those that turn the direction of text: what comes over the network must not steer the terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

export function printable(text: string): string {
  return text.replace(
    UNPRINTABLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export interface Cell {
  readonly text: string;
  readonly colour?: keyof typeof COLOURS;
}

/** Rows under a header, in columns two spaces apart; widths are of the printable text, before colour. */
export function table(
  header: readonly string[],
  rows: readonly (readonly Cell[])[],
  rightAligned: ReadonlySet<number>,
  paint: Paint,
): string {
  const cells = rows.map((row) => row.map((cell) => ({ ...cell, text: printable(cell.text) })));
  const widths = header.map((title, column) =>
    cells.reduce((width, row) => Math.max(width, row[column]?.text.length ?? 0), title.length),
  );
  const line = (row: readonly Cell[]): string =>
    row
      .map(({ text, colour }, column) => {
        const space = ' '.repeat(widths[column]! - text.length);
        const shown = colour === undefined ? text : paint(colour, text);
        if (rightAligned.has(column)) return space + shown;
        return column === row.length - 1 ? shown : shown + space;
      })
      .join('  ')
      .trimEnd();
  const title = line(header.map((text) => ({ text })));
  return [paint('bold', title), ...cells.map(line)].map((text) => `${text}\n`).join('');
}

/** `1 flow`, `2 flows`. */
export const count = (number: number, word: string): string => `${number} ${word}${number === 1 ? '' : 's'}`;
