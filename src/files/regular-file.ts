// Reads files whose path others may have filled with anything: a pipe that nobody writes to, a device without end.

import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';

/** To open a pipe that has no writer would block its thread for ever; a regular file is read as without the flag. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/** `not-a-regular-file` or `file-too-large`, in the place of a code of the system. */
export class UnsuitableFile extends Error {
  readonly code: 'not-a-regular-file' | 'file-too-large';

  constructor(code: UnsuitableFile['code']) {
    super(code);
    this.name = 'UnsuitableFile';
    this.code = code;
  }
}

/** The whole file; throws when it is none, is larger than `limitBytes`, or cannot be read. */
export function readRegularFileSync(path: string, limitBytes: number): Buffer {
  const descriptor = openSync(path, FLAGS);
  try {
    check(fstatSync(descriptor), limitBytes);
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** The same without holding up this thread, or one of those that look up names. */
export async function readRegularFile(path: string, limitBytes: number): Promise<Buffer> {
  const file = await open(path, FLAGS);
  try {
    check(await file.stat(), limitBytes);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function check(stats: Stats, limitBytes: number): void {
  if (!stats.isFile()) throw new UnsuitableFile('not-a-regular-file');
  if (stats.size > limitBytes) throw new UnsuitableFile('file-too-large');
}
