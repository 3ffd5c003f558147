// Owns what a snapshot says of a pool beside its targets.

import { createHash } from 'node:crypto';
import type { PoolConfig } from '../../model/pool-config.ts';
import type { SnapshotPool } from '../../model/snapshot.ts';

export type Settings = Omit<SnapshotPool, 'name' | 'settings' | 'groups' | 'lost'> & {
  /** Digest of the rest with the pool's name. */
  readonly text: string;
};

export type SettingsMemo = WeakMap<PoolConfig, Settings>;

export function settingsOf(config: PoolConfig, memo: SettingsMemo): Settings {
  const known = memo.get(config);
  if (known !== undefined) return known;
  const {
    policy,
    unknown,
    ejection,
    slowStartMs,
    panicThreshold,
    spilloverThreshold,
    timeouts,
    connections,
    protocol,
    proxyProtocol,
    tls,
  } = config;
  const settings = {
    policy,
    unknown,
    ejection,
    slowStartMs,
    panicThreshold,
    spilloverThreshold,
    timeouts,
    connections,
    protocol,
    proxyProtocol,
    tls,
  };
  const text = createHash('sha256')
    .update(JSON.stringify([config.name, settings]))
    .digest('base64url');
  const made = { text, ...settings };
  memo.set(config, made);
  return made;
}
