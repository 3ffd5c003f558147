// Gitea (code.gitea.io/gitea) as go.mod pins it: built once from its Go module, whose templates and texts it reads as they lie there.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { buildGo } from '../../support/go-build.ts';
import { findProgram } from '../../support/peers.ts';

const MODULE = 'code.gitea.io/gitea';

export interface GiteaProgram {
  readonly program: string;
  /** Templates, texts and what little of the pages' assets the module has: no JavaScript and no styles, which npm would build. */
  readonly files: string;
}

/** Returns the cached binary, or builds it: minutes the first time. Its SQLite is in C. */
export async function buildGitea(say: (line: string) => void): Promise<GiteaProgram> {
  const program = await buildGo(
    {
      name: 'gitea',
      module: import.meta.dirname,
      sources: ['go.mod', 'go.sum'],
      package: MODULE,
      tags: ['sqlite', 'sqlite_unlock_notify'],
      cgo: true,
    },
    say,
  );
  const go = async (...words: string[]): Promise<string> =>
    (await promisify(execFile)(findProgram('go')!, words, { cwd: import.meta.dirname })).stdout.trim();
  // The binary may be older than what is left of Go's own cache.
  await go('mod', 'download', MODULE);
  return { program, files: await go('list', '-m', '-f', '{{.Dir}}', MODULE) };
}
