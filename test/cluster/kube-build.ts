// Builds the Go module under kube/ once: every Kubernetes program that the cluster tests run, in one binary.

import { existsSync } from 'node:fs';
import { readFile, symlink } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { buildGo } from '../support/go-build.ts';

const SOURCE = fileURLToPath(new URL('kube/', import.meta.url));
const VERSION_PACKAGE = 'k8s.io/component-base/version';

export interface KubeBinary {
  /** The binary; its first argument names the program. */
  readonly path: string;
  /** A link to it named `kubectl`, which then behaves as kubectl itself. */
  readonly kubectl: string;
  /** Of Kubernetes, as go.mod pins it, for example `v1.36.3`. */
  readonly version: string;
  /** How long the build took; 0 when the cached binary was used. */
  readonly buildMs: number;
}

/** Why this machine can't run the cluster test; null when it can. */
export function missingForBuild(): string | null {
  if (process.platform !== 'linux') {
    return `the cluster test needs Linux (every 127.0.0.0/8 address usable, Debian's sshd); this is ${process.platform}`;
  }
  return null;
}

/**
 * Returns the cached binary for the sources as they are, or builds it: about 5 minutes on 2 cores the first
 * time, under a minute while Go's own build cache is warm. The cache directory is `$XDG_CACHE_HOME/portico` when
 * that variable is set, `.cache` in the project otherwise.
 */
export async function buildKube(say: (line: string) => void): Promise<KubeBinary> {
  const version = /k8s\.io\/kubernetes (v\S+)/.exec(await readFile(path.join(SOURCE, 'go.mod'), 'utf8'))?.[1];
  if (version === undefined) {
    throw new Error(`${SOURCE}go.mod requires no k8s.io/kubernetes`);
  }
  const [, major, minor] = /^v(\d+)\.(\d+)/.exec(version) ?? [];
  const flags = [`gitVersion=${version}`, `gitMajor=${major}`, `gitMinor=${minor}`];
  const startedAt = performance.now();
  let built = false;
  const binary = await buildGo(
    {
      name: 'kube',
      module: SOURCE,
      sources: ['go.mod', 'go.sum', 'main.go'],
      package: '.',
      linkerFlags: flags.map((flag) => `-X ${VERSION_PACKAGE}.${flag}`).join(' '),
    },
    (line) => {
      built = true;
      say(`${line} (Kubernetes ${version}: minutes when Go's cache is cold)`);
    },
  );
  const kubectl = path.join(path.dirname(binary), 'kubectl');
  if (!existsSync(kubectl)) await symlink('kube', kubectl);
  return { path: binary, kubectl, version, buildMs: built ? performance.now() - startedAt : 0 };
}
