// What is wrong with a configuration, where, and what to do about it; and its text for a terminal.

/** One finding about a configuration file. Line and column count from 1; the column counts UTF-16 units. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Stable and machine-readable, for example `unknown-key`. */
  readonly code: string;
  readonly message: string;
  /** The source line as it stands in the file (cut after 1,000 characters); empty when there is none. */
  readonly offending: string;
  /** What to write instead, one sentence. */
  readonly fix: string;
}

/** Keys and list indexes that lead from the root of the document to a value. */
export type Path = readonly (string | number)[];

/** A finding that still names its place by path; `at` chooses the key or the value there. */
export interface Finding {
  readonly path: Path;
  readonly at: 'key' | 'value';
  readonly code: string;
  readonly message: string;
  readonly fix: string;
}

/** Longest piece of a source line that a terminal gets to see. */
const SHOWN_COLUMNS = 100;

/**
 * The problems as text, one block each: `file:line:column: message`, the offending line with a caret below the
 * column, and the fix. Ends with a line feed unless there is nothing to say.
 */
export function formatProblems(
  problems: readonly Problem[],
  { colour }: { readonly colour: boolean },
): string {
  const paint = (code: string, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  return problems
    .map((problem) => {
      const place = `${printable(problem.file)}:${problem.line}:${problem.column}:`;
      const lines = [`${paint('1', place)} ${paint('31', printable(problem.message))}`];
      const { shown, caret } = excerpt(problem);
      if (shown.trim() !== '') {
        lines.push(`  ${shown}`, `  ${paint('32', caret)}`);
      }
      lines.push(`  fix: ${printable(problem.fix)}`);
      return `${lines.join('\n')}\n`;
    })
    .join('');
}

/** A window of the line around the column, and the caret that points into it. */
function excerpt(problem: Problem): { readonly shown: string; readonly caret: string } {
  const line = problem.offending;
  const column = Math.min(problem.column - 1, line.length);
  const start = line.length <= SHOWN_COLUMNS ? 0 : Math.max(0, column - SHOWN_COLUMNS / 2);
  const shown = printable(line.slice(start, start + SHOWN_COLUMNS));
  // Tabs are repeated so that the caret stands below its character whatever the terminal's tab stops are.
  return { shown, caret: `${shown.slice(0, column - start).replace(/[^\t]/g, ' ')}^` };
}

/** Control characters and those that change the direction of text, but for the tab. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const UNPRINTABLE = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/** A hostile file must not drive the terminal that shows a piece of it. */
function printable(text: string): string {
  return text.replace(UNPRINTABLE, '\ufffd');
}
