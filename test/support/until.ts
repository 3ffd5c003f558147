// Waiting for a state of another process, a file or a socket, which no event tells of.

import { setTimeout as sleep } from 'node:timers/promises';

/** Generous: a machine with a load of thirty starts four processes in half a minute, an idle one in less than a second. */
export const LIMIT_MS = 60_000;

/** Waits until `condition` holds; the text says what was waited for when it never does. */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | null | Promise<T | undefined | false | null>,
  limitMs = LIMIT_MS,
): Promise<T> {
  const endAtMs = performance.now() + limitMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false && value !== null) return value;
    if (performance.now() > endAtMs) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
    await sleep(10);
  }
}
