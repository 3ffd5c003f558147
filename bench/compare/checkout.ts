// Another commit of this repository in a directory of its own, with its packages, for as long as it is measured.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';

export interface Checkout {
  readonly directory: string;
  /** Its name as git abbreviates it. */
  readonly commit: string;
  remove(): void;
}

/**
 * @param repository top of the working tree that is compared with it
 * @param base anything that names a commit
 * @param directory must not exist yet
 * @throws Error when there is no such commit, or its packages cannot be installed
 */
export function checkOut(repository: string, base: string, directory: string): Checkout {
  const git = (...parameters: string[]): string =>
    execFileSync('git', ['-C', repository, ...parameters], { encoding: 'utf8', stdio: 'pipe' }).trim();
  // A name that begins with a dash is no option.
  const commit = git('rev-parse', '--verify', '--end-of-options', `${base}^{commit}`);
  git('worktree', 'add', '--detach', directory, commit);
  const remove = (): void => {
    git('worktree', 'remove', '--force', directory);
  };
  try {
    installPackages(repository, directory);
    return { directory, commit: git('rev-parse', '--short', commit), remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** What `npm ci` builds beside the packages; earlier commits have none. */
const SOCKETS = 'src/proxy/wire/epoll/build.sh';

/** The same lock file means the same packages: those of the working tree serve both. */
function installPackages(repository: string, directory: string): void {
  const lockOf = (tree: string): string => readFileSync(path.join(tree, 'package-lock.json'), 'utf8');
  if (lockOf(repository) !== lockOf(directory)) {
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: directory, stdio: 'pipe' });
    return;
  }
  symlinkSync(path.join(repository, 'node_modules'), path.join(directory, 'node_modules'));
  const build = path.join(directory, SOCKETS);
  if (existsSync(build)) execFileSync('sh', [build], { stdio: 'pipe' });
}
