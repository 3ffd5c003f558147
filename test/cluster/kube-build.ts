// Builds the Go module under kube/ once and keeps the binary in a cache directory named after its sources.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { findProgram } from '../support/peers.ts';

const SOURCE = fileURLToPath(new URL('kube/', import.meta.url));
const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
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
  const sources = await Promise.all(
    ['go.mod', 'go.sum', 'main.go'].map((name) => readFile(path.join(SOURCE, name))),
  );
  const hash = createHash('sha256');
  for (const source of sources) {
    hash.update(source);
  }
  const version = /k8s\.io\/kubernetes (v\S+)/.exec(String(sources[0]))?.[1];
  if (version === undefined) {
    throw new Error(`${SOURCE}go.mod requires no k8s.io/kubernetes`);
  }
  const home = process.env['XDG_CACHE_HOME'];
  const cache = home === undefined || home === '' ? path.join(PROJECT, '.cache') : path.join(home, 'portico');
  const directory = path.join(cache, `kube-${hash.digest('hex').slice(0, 12)}`);
  const binary = { path: path.join(directory, 'kube'), kubectl: path.join(directory, 'kubectl'), version };
  if (existsSync(binary.path) && existsSync(binary.kubectl)) {
    return { ...binary, buildMs: 0 };
  }
  const go = findProgram('go');
  if (go === null) {
    throw new MissingToolError(
      `there is no Go toolchain in PATH to build Kubernetes ${version} with; set KUBECONFIG and KUBECTL to use a cluster that exists`,
    );
  }
  await mkdir(directory, { recursive: true });
  say(`building Kubernetes ${version} into ${directory} (minutes when Go's cache is cold)`);
  const startedAt = performance.now();
  const [, major, minor] = /^v(\d+)\.(\d+)/.exec(version) ?? [];
  const flags = [`gitVersion=${version}`, `gitMajor=${major}`, `gitMinor=${minor}`]
    .map((flag) => `-X ${VERSION_PACKAGE}.${flag}`)
    .join(' ');
  // Built beside its final name and renamed, so that an interrupted build never looks like a finished one.
  const unfinished = `${binary.path}.${process.pid}`;
  const parameters = ['build', '-trimpath', '-buildvcs=false', `-p=${availableParallelism()}`];
  const build = spawn(go, [...parameters, '-ldflags', `-s -w ${flags}`, '-o', unfinished, '.'], {
    cwd: SOURCE,
    env: { ...process.env, CGO_ENABLED: '0' },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [code] = (await once(build, 'exit')) as [number | null];
  if (code !== 0) {
    await rm(unfinished, { force: true });
    throw new Error(`go build ended with ${code}`);
  }
  await rename(unfinished, binary.path);
  await rm(binary.kubectl, { force: true });
  await symlink('kube', binary.kubectl);
  return { ...binary, buildMs: performance.now() - startedAt };
}

/** Something outside the project is missing: the run says so and ends with its own exit code. */
export class MissingToolError extends Error {}
