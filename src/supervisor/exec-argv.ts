// The flags that children run with, and what their environment adds.

import { allowedNodeEnvironmentFlags } from 'node:process';

/** Native functions from JavaScript, which Node has had since 26.1, and lets everybody use some versions later. */
const NO_FFI = allowedNodeEnvironmentFlags.has('--no-experimental-ffi') ? ['--no-experimental-ffi'] : [];

/** No child makes code from text, follows `__proto__` of foreign data, or calls native functions by name. */
const HARDENED = ['--disallow-code-generation-from-strings', '--disable-proto=delete', ...NO_FFI] as const;

/** A worker loads one: its own sockets (docs/decisions/0032-sockets-past-libuv.md). */
const NO_ADDONS = '--no-addons';

/**
 * The heap of a worker is some twenty megabytes, and V8 collects the garbage of one so small for every two of bulk in
 * flight, which stops it for ten milliseconds several times a second: it may double between two collections. Thrice was not
 * measurably better under floods, and left ten megabytes more of what events leave in a worker of 5,000 nodes.
 */
const GROWTH = '--heap-growing-percent=100';

/**
 * The threads that mark beside a worker take their time from it wherever as many workers run as there are processors: garbage
 * of buffers that a flood leaves stopped it for ten to twenty milliseconds, where steps of its own are below one.
 */
const MARKING = '--no-concurrent-marking';

/**
 * What a flood, a burst or a new kind of request reaches first has not run before: interpreted, each byte of a body in tiny
 * chunks costs a worker thirty times as much as later, and others waited 0.1 s. Compiled at the first call without optimising,
 * it takes two megabytes, and no measurable time of a start.
 */
const BASELINE = '--always-sparkplug';

/**
 * The threads that optimise what has become hot share a worker's processor, each with as much right to it as the worker: of four,
 * a new kind of request left it a fifth of the time for tens of milliseconds; of one, half. In floods of requests that are
 * sent ahead the slowest request of others took 16 ms, and takes 11 (docs/decisions/0025-bursts-take-turns.md).
 */
const COMPILERS = '--v8-pool-size=1';

/**
 * Enough young space for a burst of requests between two scavenges, in MiB: twice that saves no measurable CPU, takes
 * longer to scavenge, and stays in memory. At its memory ceiling a worker collects garbage before it believes that
 * the memory is in use. Node's permission model is left out, since it would cost the sockets that the data plane is built on
 * (docs/decisions/0017-node-permissions.md).
 */
export const WORKER_EXEC_ARGV: readonly string[] = [
  '--max-semi-space-size=8',
  GROWTH,
  MARKING,
  BASELINE,
  COMPILERS,
  '--expose-gc',
  ...HARDENED,
];

/**
 * libuv lets half of its threads wait for name servers: of its usual four, two names with a silent one would hold up all
 * look-ups. Half of these are the turns of src/names/lookup-turns.ts. All together take half a megabyte.
 */
const THREADS = { UV_THREADPOOL_SIZE: '64' } as const;

/**
 * glibc gives a buffer of a socket (68 KiB) back to the system when it is freed, and not only when it happens to lie at the
 * end of the heap: after a flood of clients that do not read, a worker would stay at its memory ceiling and refuse others.
 * So it does with what V8 compiles in, pieces of 32 KiB, which would stay as ten megabytes of holes. Other C libraries do not
 * look at it.
 */
export const WORKER_ENVIRONMENT: Readonly<Record<string, string>> = {
  ...THREADS,
  MALLOC_MMAP_THRESHOLD_: '32768',
};

/**
 * A controller's heap may grow by a third between two collections, not to a multiple: what it holds of large clusters
 * lives long. What each event makes of thousands of nodes lives until the next few: in a young space of 24 MiB it dies
 * there, and the whole heap is not marked every other second, which held up events for 150 ms (docs/scale.md).
 */
const CONTROLLER_MEMORY = ['--heap-growing-percent=30', '--max-semi-space-size=24'] as const;

export const CONTROLLER_ENVIRONMENT: Readonly<Record<string, string>> = THREADS;

export const CONTROLLER_EXEC_ARGV: readonly string[] = [...CONTROLLER_MEMORY, NO_ADDONS, ...HARDENED];
