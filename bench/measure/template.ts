// Configuration files of the peers: text with {{NAMES}} that are filled in when a proxy is started.

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** @throws RangeError for a name that has no value: a proxy must not start with half a configuration */
export function fill(template: string, values: Readonly<Record<string, string | number>>): string {
  return template.replaceAll(/\{\{([A-Z_0-9]+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new RangeError(`no value for {{${name}}}`);
    return String(value);
  });
}

/** Fills `bench/peers/NAME` in and writes it into `directory`; returns the path of the file. */
export async function fillFile(
  name: string,
  values: Readonly<Record<string, string | number>>,
  directory: string,
): Promise<string> {
  const target = path.join(directory, name);
  await writeFile(target, fill(await readTemplate(name), values));
  return target;
}

export function readTemplate(name: string): Promise<string> {
  return readFile(new URL(`../peers/${name}`, import.meta.url), 'utf8');
}
