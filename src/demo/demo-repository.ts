// The git repository that the demo's SSH pods serve, made by the system's git when there is one.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface DemoRepository {
  /** Bare repository, for `git upload-pack`. */
  readonly path: string;
  /** The environment that its git commands run in: the user's configuration plays no part. */
  readonly environment: NodeJS.ProcessEnv;
}

const README = `# demo

This repository came through Portico: over a TCP listener, the rendezvous hash, a NodePort and an SSH server in a pod.
`;

const FAST_IMPORT = `commit refs/heads/main
committer Portico <demo@portico.invalid> 0 +0000
data 13
First commit

M 100644 inline README.md
data ${Buffer.byteLength(README)}
${README}
done
`;

/**
 * Makes the repository under `directory`; null when this machine has no git.
 * @param path the PATH that git is searched on
 */
export async function createDemoRepository(
  directory: string,
  path: string | undefined,
): Promise<DemoRepository | null> {
  const repository = {
    path: join(directory, 'demo.git'),
    environment: {
      HOME: directory,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      LC_ALL: 'C',
      ...(path === undefined ? {} : { PATH: path }),
    },
  };
  const git = async (args: readonly string[], input: string): Promise<void> => {
    const child = spawn('git', args, { env: repository.environment, stdio: ['pipe', 'ignore', 'pipe'] });
    let complaint = '';
    child.stderr.on('data', (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    // A git that ends early closes its input; its exit code tells why, so the broken pipe itself says nothing new.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new Error(`git ${args[0]} failed: ${complaint.trim()}`);
  };
  try {
    await git(['init', '--quiet', '--bare', repository.path], '');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
  await git(['--git-dir', repository.path, 'symbolic-ref', 'HEAD', 'refs/heads/main'], '');
  await git(['--git-dir', repository.path, 'fast-import', '--quiet', '--done'], FAST_IMPORT);
  return repository;
}
