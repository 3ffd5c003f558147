// The inputs kept on disk: `corpus/` begins every run, `found/` holds what once broke something.

import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { KINDS, type Kind } from './oracles.ts';

export interface Entry {
  readonly kind: Kind;
  readonly name: string;
  readonly bytes: Buffer;
}

export const CORPUS = path.join(import.meta.dirname, 'corpus');
export const FOUND = path.join(import.meta.dirname, 'found');

/** The entries of a folder: raw bytes, in files named after their kind. */
export function loadEntries(folder: string): Entry[] {
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const kind = KINDS.find((known) => name.startsWith(`${known}-`));
      return kind === undefined || !name.endsWith('.http')
        ? []
        : [{ kind, name, bytes: readFileSync(path.join(folder, name)) }];
    });
}

/** Writes an input under a name made of its content; returns that name. */
export function saveEntry(folder: string, kind: Kind, bytes: Buffer): string {
  mkdirSync(folder, { recursive: true });
  const name = `${kind}-${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}.http`;
  writeFileSync(path.join(folder, name), bytes);
  return name;
}

/** The shortest input that `stillBad` says yes to, by removing ever smaller pieces; bounded in tries. */
export function shrink(bytes: Buffer, stillBad: (candidate: Buffer) => boolean, tries = 2000): Buffer {
  let best = bytes;
  let left = tries;
  for (let size = Math.max(1, best.length >> 1); size >= 1; size >>= 1) {
    for (let at = 0; at + size <= best.length && left > 0; ) {
      const candidate = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
      left--;
      if (stillBad(candidate)) best = candidate;
      else at += size;
    }
  }
  return best;
}
