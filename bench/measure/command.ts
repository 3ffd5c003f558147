// What the commands of the benchmark share: whole numbers among the options, result files, an orderly end.

import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { writeJson } from './write-result.ts';

export const print = (text: string): boolean => process.stdout.write(text);

/** @throws RangeError unless the text of option `--name` is a whole number of at least `least` */
export function wholeNumber(name: string, text: string, least = 1): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    throw new RangeError(`--${name} must be a whole number from ${least} up`);
  return value;
}

/** Writes a result as JSON and says where: into `file`, or one of its own in bench/results. */
export async function keepResult(
  kind: string,
  startedAt: Date,
  result: unknown,
  file?: string,
): Promise<void> {
  const name = `../results/${kind}-${startedAt.toISOString().replaceAll(':', '-')}.json`;
  const target = file ?? fileURLToPath(new URL(name, import.meta.url));
  await writeJson(target, result);
  print(`${path.relative(process.cwd(), target)}\n`);
}

export interface Command {
  readonly name: string;
  readonly main: () => Promise<void>;
  /** Exit code of an error, and of a signal (1). */
  readonly failure?: number;
}

/** Runs a command. A signal, or a reader that closes the pipe, ends it and the processes that it has started. */
export async function runCommand({ name, main, failure = 1 }: Command): Promise<void> {
  const leave = (): never => process.exit(failure);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, leave);
  process.stdout.on('error', leave);
  try {
    await main();
  } catch (error) {
    process.stderr.write(`${name}: ${messageOf(error)}\n`);
    process.exitCode = failure;
  }
}

/** An error in one line, with what caused it. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${messageOf(error.cause)}`;
}
