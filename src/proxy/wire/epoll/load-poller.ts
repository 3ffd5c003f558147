// Whether this process has sockets past libuv: they are built when Portico is installed, on Linux and where there is a compiler.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Poller } from './poller.ts';
import type { Sockets } from './sockets.ts';

const BUILT = fileURLToPath(new URL('sockets.node', import.meta.url));

/** One for the process; undefined before it was asked for. */
let poller: Poller | null | undefined;

/** Null where they were not built, or cannot be loaded: `--no-addons` forbids it. */
export function loadPoller(): Poller | null {
  if (poller === undefined) poller = existsSync(BUILT) ? load() : null;
  return poller;
}

function load(): Poller | null {
  try {
    return new Poller(createRequire(import.meta.url)(BUILT) as Sockets);
  } catch {
    return null;
  }
}
