// The certificates that a configuration names, as `portico check` shows them.

import { X509Certificate } from 'node:crypto';
import { readRegularFile } from '../files/regular-file.ts';
import type { Config } from '../model/config.ts';
import { certificateKey, certificateLabel } from '../model/secrets.ts';
import { factsOf } from './certificate-pair.ts';
import { NAMED_FILE_LIMIT_BYTES } from './named-files.ts';

export interface CertificateRow {
  /** The file's path, or `cluster/namespace/name` of a Secret. */
  readonly certificate: string;
  readonly listeners: readonly string[];
  readonly names: readonly string[];
  /** ISO 8601; null for a Secret, which is read when Portico runs. */
  readonly notAfter: string | null;
}

/** Of a configuration that has been checked: its files can be read. */
export async function certificateRows(config: Config): Promise<readonly CertificateRow[]> {
  const rows = new Map<string, { row: CertificateRow; listeners: string[] }>();
  for (const { name, tls } of config.listeners) {
    for (const source of tls?.certificates ?? []) {
      const known = rows.get(certificateKey(source));
      if (known !== undefined) {
        known.listeners.push(name);
        continue;
      }
      const listeners = [name];
      const facts =
        source.kind === 'files'
          ? factsOf(new X509Certificate(await readRegularFile(source.cert, NAMED_FILE_LIMIT_BYTES)))
          : null;
      const row: CertificateRow = {
        certificate: certificateLabel(source),
        listeners,
        names: facts?.names ?? [],
        notAfter: facts === null ? null : new Date(facts.notAfterMs).toISOString(),
      };
      rows.set(certificateKey(source), { row, listeners });
    }
  }
  return [...rows.values()].map(({ row }) => row);
}
