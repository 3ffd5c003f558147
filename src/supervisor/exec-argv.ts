// The flags that children run with.

/** No child makes code from text, follows `__proto__` of foreign data, or loads native code. */
const HARDENED = [
  '--disallow-code-generation-from-strings',
  '--disable-proto=delete',
  '--no-addons',
] as const;

/**
 * Enough young space for a burst of requests between two scavenges, in MiB; and at its memory ceiling a worker collects
 * garbage before it believes that the memory is in use. Node's permission model is left out, since it would cost the
 * sockets that the data plane is built on (docs/decisions/0017-node-permissions.md).
 */
export const WORKER_EXEC_ARGV: readonly string[] = ['--max-semi-space-size=16', '--expose-gc', ...HARDENED];

/**
 * A controller's heap may grow by a third between two collections, not to a multiple: what it holds of large clusters
 * lives long, and the lists that it is made from do not.
 */
const CONTROLLER_MEMORY = ['--heap-growing-percent=30', '--max-semi-space-size=8'] as const;

export const CONTROLLER_EXEC_ARGV: readonly string[] = [...CONTROLLER_MEMORY, ...HARDENED];
