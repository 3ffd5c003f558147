// The program in a mount namespace of its own: a read-only file system, small disks, other name files; needs root.

import { type LaunchOptions, shell } from '../integration/portico.ts';

/** `nobody` of every Linux. */
export const NOBODY = 65534;

/** A command line that becomes `nobody` for good: no group, no capability, none to be gained. */
const UNPRIVILEGED = `setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all`;

/**
 * Starts the program in its own mounts, after these commands.
 * @param commands of a shell, as root
 */
export function enclosed(
  commands: readonly string[],
  options: { readonly asNobody: boolean },
): LaunchOptions {
  const enter = ['unshare', '--mount', '--propagation', 'private'];
  const [sh, flag, script, name] = shell(commands.join(' && ')) as [string, string, string, string];
  const as = options.asNobody ? script.replace('exec "$@"', `exec ${UNPRIVILEGED} "$@"`) : script;
  return { prefix: [...enter, sh, flag, `set -e; ${as}`, name] };
}

/** A path as the enclosed process sees it, from outside. */
export const inside = (pid: number, path: string): string => `/proc/${pid}/root${path}`;
