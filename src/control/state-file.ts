// Files of the state directory: a header line with a checksum, then JSON, replaced whole or not at all.

import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { parseJsonObject } from './discovery/json.ts';

/** What every header line has beside what its format adds. */
const seal = { bytes: z.int(), sha256: z.string() };

/** The bytes of a file: `header` with size and checksum of the payload, and the payload. */
export function sealed(header: Readonly<Record<string, unknown>>, content: unknown): Buffer {
  const payload = Buffer.from(JSON.stringify(content));
  const line = JSON.stringify({ ...header, bytes: payload.length, sha256: digestOf(payload) });
  return Buffer.concat([Buffer.from(`${line}\n`), payload]);
}

/** The same in pieces, from the content's text in parts: `rest` lets others have their turn between two of them. */
export async function sealedInParts(
  header: Readonly<Record<string, unknown>>,
  parts: Iterable<string>,
  rest: () => Promise<void>,
): Promise<readonly Buffer[]> {
  const digest = createHash('sha256');
  const pieces: Buffer[] = [];
  let bytes = 0;
  for (const part of parts) {
    if (bytes > 0) await rest();
    const piece = Buffer.from(part);
    digest.update(piece);
    bytes += piece.length;
    pieces.push(piece);
  }
  const line = JSON.stringify({ ...header, bytes, sha256: digest.digest('hex') });
  return [Buffer.from(`${line}\n`), ...pieces];
}

/** Header and parsed content of a whole and unaltered file, or a sentence that says why these bytes are none. */
export function unsealed<Header extends z.ZodRawShape>(
  bytes: Uint8Array,
  header: Header,
): { readonly header: z.infer<z.ZodObject<Header>>; readonly content: unknown } | string {
  const end = bytes.indexOf(0x0a);
  if (end === -1) return 'it has no header line';
  const line = z.strictObject({ ...header, ...seal }).safeParse(parseJsonObject(bytes.subarray(0, end)));
  if (!line.success) return 'its header is not one of this version';
  const payload = bytes.subarray(end + 1);
  const { bytes: length, sha256 } = line.data as { bytes: number; sha256: string };
  if (payload.length !== length) return 'it is truncated or has grown';
  if (digestOf(payload) !== sha256) return 'its checksum is wrong';
  return { header: line.data as z.infer<z.ZodObject<Header>>, content: parseJsonObject(payload) };
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A crash at any moment leaves the old file or the new one, whole: write aside, fsync, rename, fsync the directory. */
export async function replaceFile(
  directory: string,
  name: string,
  pieces: readonly Uint8Array[],
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // Unique, because during an upgrade two processes may write at the same time.
  const aside = join(directory, `${name}.${randomUUID()}.tmp`);
  try {
    const file = await open(aside, 'wx', 0o600);
    try {
      // Each goes on where the one before ended.
      for (const piece of pieces) await file.writeFile(piece);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, join(directory, name));
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  const parent = await open(directory, 'r');
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
}
