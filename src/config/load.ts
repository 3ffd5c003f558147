// Reads a configuration file and everything that can be known to be wrong with it before anything is bound.

import { isUtf8 } from 'node:buffer';
import { open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Environment } from './environment.ts';
import { checkNamedFiles, type KubeconfigFault, reason } from './named-files.ts';
import { type ParseResult, parse } from './parse.ts';
import type { Problem } from './problem.ts';
import { FILE_LIMIT_BYTES } from './yaml-limits.ts';

const CHUNK_BYTES = 65_536;

/** As `ParseResult`: the frozen configuration with its warnings, or the problems. */
export type LoadResult = ParseResult;

/**
 * Loads the file at `path`; relative paths in it start from its directory. Beside the checks of `parseConfig`,
 * certificates, keys and the token file must be readable and fit together. Never rejects: a file that cannot be
 * read is a problem too.
 * @param nowMs epoch milliseconds: certificates that end soon are warned of
 * @param kubeconfigFault see `checkNamedFiles`
 */
export async function loadConfig(
  path: string,
  env: Environment,
  nowMs: number,
  kubeconfigFault: KubeconfigFault | null = null,
): Promise<LoadResult> {
  const content = await readConfig(path);
  if (typeof content !== 'string') {
    return { problems: [content] };
  }
  const { result, tree, places } = parse(content, { file: path, env, baseDirectory: dirname(resolve(path)) });
  if ('problems' in result || places === null) {
    return result;
  }
  const files = await checkNamedFiles(result.config, places, nowMs, kubeconfigFault);
  if (files.problems.length > 0) {
    return { problems: files.problems.map((finding) => tree.locate(finding)) };
  }
  const warnings = [...result.warnings, ...files.warnings.map((finding) => tree.locate(finding))];
  return { config: result.config, warnings };
}

async function readConfig(path: string): Promise<string | Problem> {
  try {
    const bytes = await readLimited(path);
    if (bytes === null) {
      return fileProblem(
        path,
        'file-too-large',
        'the file is larger than 4 MiB',
        'Split the configuration, or remove generated parts.',
      );
    }
    return isUtf8(bytes) ? new TextDecoder().decode(bytes) : encodingProblem(path, bytes);
  } catch (error) {
    return fileProblem(
      path,
      'file-unreadable',
      `the file cannot be read: ${reason(error)}`,
      'Check the path and the permissions.',
    );
  }
}

/** At the first line that is not UTF-8: the rest of a large file may be well. */
function encodingProblem(file: string, bytes: Buffer): Problem {
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const end = bytes.indexOf(0x0a, start);
    const next = end === -1 ? bytes.length : end + 1;
    if (!isUtf8(bytes.subarray(start, next))) break;
    start = next;
  }
  const problem = fileProblem(file, 'file-encoding', 'the file is not UTF-8 text', 'Save it as UTF-8.');
  return { ...problem, line };
}

/** Null when there is more than the limit. Reads no further than that, so that a device or pipe cannot fill memory. */
async function readLimited(path: string): Promise<Buffer | null> {
  const file = await open(path);
  try {
    const chunks: Buffer[] = [];
    let length = 0;
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, null);
      if (bytesRead === 0) {
        return Buffer.concat(chunks);
      }
      chunks.push(buffer.subarray(0, bytesRead));
      length += bytesRead;
      if (length > FILE_LIMIT_BYTES) {
        return null;
      }
    }
  } finally {
    await file.close();
  }
}

function fileProblem(file: string, code: string, message: string, fix: string): Problem {
  return { file, line: 1, column: 1, code, message, offending: '', fix };
}
