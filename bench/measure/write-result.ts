// Where results go: a JSON file for programs, and the part of a Markdown page between two marks for people.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

const beginOf = (command: string): string =>
  `<!-- ${command}: begin, made by \`npm run ${command} -- --markdown FILE\` -->`;
const endOf = (command: string): string => `<!-- ${command}: end -->`;

export async function writeJson(file: string, result: unknown): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(result, null, 2)}\n`);
}

/** @param command the npm script whose marks they are @throws Error when the file lacks them */
export async function writeMarkdown(file: string, part: string, command = 'bench'): Promise<void> {
  await writeFile(file, replacePart(await readFile(file, 'utf8'), part, command));
}

/**
 * The page with another part between the marks.
 * @param command the npm script whose marks they are
 * @throws Error when it lacks them
 */
export function replacePart(page: string, part: string, command = 'bench'): string {
  const [from, to] = [beginOf(command), endOf(command)];
  const begin = page.indexOf(from);
  const end = page.indexOf(to);
  if (begin < 0 || end < begin) throw new Error(`the page has no "${from}" with "${to}" behind it`);
  return `${page.slice(0, begin)}${from}\n\n${part.trimEnd()}\n\n${page.slice(end)}`;
}
