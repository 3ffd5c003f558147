// Certificates and keys of the listeners, read beside the configuration and never printed.

import { readFile } from 'node:fs/promises';
import type { Config } from '../model/config.ts';
import type { Secrets } from '../model/snapshot.ts';

/** Rejects when a file cannot be read. */
export async function readSecrets(config: Config): Promise<Secrets> {
  const entries = await Promise.all(
    config.listeners.map(async ({ name, tls }) => {
      const pairs = (tls?.certificates ?? []).map(async ({ cert, key }) => ({
        cert: await readFile(cert, 'utf8'),
        key: await readFile(key, 'utf8'),
      }));
      return [name, await Promise.all(pairs)] as const;
    }),
  );
  return Object.fromEntries(entries.filter(([, pairs]) => pairs.length > 0));
}
