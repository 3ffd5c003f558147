// The host key that all SSH pods of one demo show.

import { generateKeyPairSync } from 'node:crypto';
import ssh2 from 'ssh2';

export interface HostKey {
  /** PEM of RFC 5915. */
  readonly private: string;
  /** `ecdsa-sha2-nistp256 AAAA...`. */
  readonly public: string;
}

/** Made by Node: of 450 keys that ssh2 1.17 makes by itself (Ed25519), it cannot read one again. */
export function createHostKey(): HostKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ type: 'sec1', format: 'pem' }).toString();
  const parsed = ssh2.utils.parseKey(pem);
  if (parsed instanceof Error) throw parsed;
  return { private: pem, public: `${parsed.type} ${parsed.getPublicSSH().toString('base64')}` };
}
