// Tokens for Portico's service account, each ended by the deletion of a secret.

import type { NetWorld } from './net-world.ts';

/** A token that lives as long as the secret does. */
export async function makeToken(world: NetWorld, secret: string): Promise<string> {
  const { name, namespace } = world.account;
  await world.kubectl.run(['create', 'secret', 'generic', secret, '-n', namespace]);
  const bound = ['--bound-object-kind=Secret', `--bound-object-name=${secret}`, '--duration=2h'];
  const token = await world.kubectl.run(['create', 'token', name, '-n', namespace, ...bound], {
    quiet: true,
  });
  return token.trim();
}
